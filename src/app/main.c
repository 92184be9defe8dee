/* suan: one binary for every role. The first word says which. */
#include <stdio.h>
#include <string.h>

#include "app/app.h"

int main(int argc, char **argv) {
    struct options o = {0};
    struct err e = {0};
    int rc = options_read(argc, argv, &o, &e);
    return rc != 0;
}
