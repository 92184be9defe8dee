/* weather-report: one distribution a city in in/ -> out/report.json and out/distribution.csv.
 *
 * Free cooling, as a plant with a cooling tower and a plate heat exchanger sees it: the tower comes within 4 K of the wet
 * bulb, the exchanger within 2 K of that. Water wanted at 18 degC: towers alone do it up to a wet bulb of 12 degC ("full").
 * Water comes back at 24 degC: up to 18 degC they still take a part of the heat ("partial"); above, chillers do all. */
#include <stdio.h>
#include <stdlib.h>

#include "distribution.h"
#include "folder.h"

static const double full_c = 12, partial_c = 18;

static void city_report(const struct distribution *d, bool first, struct text *json, struct text *csv) {
    unsigned long long full = distribution_hours_to(d, full_c), partial = distribution_hours_to(d, partial_c) - full;
    text_addf(json, "%s\"%s\":{\"hours\":%llu,\"missing\":%llu,\"mean_c\":%.3f,\"p01_c\":%.2f,\"p50_c\":%.2f,\"p99_c\":%.2f,"
              "\"full_hours\":%llu,\"partial_hours\":%llu}", first ? "" : ",", d->city, (unsigned long long)d->hours,
              (unsigned long long)d->missing, distribution_mean_c(d), distribution_quantile_c(d, 0.01),
              distribution_quantile_c(d, 0.5), distribution_quantile_c(d, 0.99), full, partial);
    for (int k = -40; k < 40; k++) {
        uint64_t hours = distribution_hours_to(d, k + 0.99) - distribution_hours_to(d, k - 0.01);
        if (hours)
            text_addf(csv, "%s,%d,%d,%llu\n", d->city, k, k + 1, (unsigned long long)hours);
    }
}

int main(int argc, char **argv) {
    static struct distribution d;
    char *names[FOLDER_INPUTS_MAX] = {0}, path[512];
    size_t n = 0;
    struct err e = {0};
    struct text t = TEXT_INIT, json = TEXT_INIT, csv = TEXT_INIT;
    (void)argv;
    int rc = argc == 1 ? folder_inputs(names, &n, &e) : err_set(&e, E_INVAL, "weather-report takes no argument");
    text_add(&json, "{");
    text_add(&csv, "city,wet_bulb_from_c,wet_bulb_to_c,hours\n");
    for (size_t i = 0; i < n && !rc; i++) {
        snprintf(path, sizeof path, "in/%s", names[i]);
        rc = folder_read(path, &t, &e);
        if (!rc)
            rc = distribution_read(&d, path, text_str(&t), t.n, &e);
        if (!rc && !d.hours)
            rc = err_set(&e, E_INVAL, "%.100s holds no hour", path);
        if (!rc)
            city_report(&d, !i, &json, &csv);
    }
    text_add(&json, "}");
    if (!rc)
        rc = folder_write("out/distribution.csv", csv.p, csv.n, &e);
    if (!rc)
        rc = folder_write("out/report.json", json.p, json.n, &e);
    if (!rc)
        printf("result %s\n", json.p);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    text_free(&t);
    text_free(&json);
    text_free(&csv);
    return rc ? folder_fail("weather-report", &e) : 0;
}
