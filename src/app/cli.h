/* The command line's own view of the tables, and its printing. */
#ifndef SUAN_APP_CLI_H
#define SUAN_APP_CLI_H

#include "app/app.h"
#include "core/verb.h"
#include "estate/estate.h"

/* Every noun and verb of this binary, without a running house: what CLI, help and reference pages are built from. */
struct catalogue {
    struct estate *estate; /* empty: its kinds only */
    struct verbs *verbs;
    struct verb *device_verbs;
};
void catalogue_open(struct catalogue *c);
void catalogue_close(struct catalogue *c);
/* The row that ON VERB means: its own, or the one every kind has. */
int catalogue_find(const struct catalogue *c, const char *on, const char *verb, const struct verb **out, struct err *e);

/* -- cli_print.c -- */
/* As a person reads it: a list as a table, an object by its kind's fields, anything else as YAML. */
void print_answer(const struct catalogue *c, const char *on, const struct verb *v, const struct doc *d, struct text *out);
/* Rows of maps as aligned columns; keys in the order of `keys` (NULL-terminated), or of their first appearance. */
void print_rows(const struct doc *rows, const char *const *keys, const struct table *t, struct text *out);
void print_value(const struct field *f, const struct doc *d, struct text *out);
size_t text_columns(const char *s); /* columns a terminal needs: Chinese characters are two wide */

#endif
