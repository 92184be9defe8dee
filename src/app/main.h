/* The commands of the binary, a row each. */
#ifndef SUAN_APP_MAIN_H
#define SUAN_APP_MAIN_H

#include "app/app.h"

struct command_row {
    const char *word;
    int (*run)(const struct options *o, struct err *e);
    const char *usage, *doc;
};
extern const struct command_row commands[];
extern const size_t command_count;

#endif
