/* weather-reduce: all distributions in in/ (of one city) -> out/part. Trees of any depth give the same bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "distribution.h"
#include "folder.h"

int main(int argc, char **argv) {
    static struct distribution sum, one;
    char *names[FOLDER_INPUTS_MAX] = {0}, path[512];
    size_t n = 0;
    struct err e = {0};
    struct text t = TEXT_INIT;
    (void)argv;
    int rc = argc == 1 ? folder_inputs(names, &n, &e) : err_set(&e, E_INVAL, "weather-reduce takes no argument");
    for (size_t i = 0; i < n && !rc; i++) {
        snprintf(path, sizeof path, "in/%s", names[i]);
        rc = folder_read(path, &t, &e);
        if (!rc)
            rc = distribution_read(&one, path, text_str(&t), t.n, &e);
        if (!rc)
            rc = distribution_merge(&sum, &one, &e);
    }
    if (!rc) {
        text_reset(&t);
        distribution_print(&sum, &t);
        rc = folder_write("out/part", t.p, t.n, &e);
    }
    if (!rc)
        printf("result {\"city\":\"%s\",\"parts\":%zu,\"hours\":%llu,\"missing\":%llu}\n", sum.city, n,
               (unsigned long long)sum.hours, (unsigned long long)sum.missing);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    text_free(&t);
    return rc ? folder_fail("weather-reduce", &e) : 0;
}
