/* What the parts of the scenario runner share: scenario.c (reading, time), scenario_statement.c, scenario_expect.c. */
#ifndef SUAN_APP_SCENARIO_PRIVATE_H
#define SUAN_APP_SCENARIO_PRIVATE_H

#include "app/house.h"
#include "app/scenario.h"
#include "base/vec.h"

enum { LINE_MAX_BYTES = 512, LINES_MAX = 10000, ALWAYS_MAX = 64 };

struct comparison { /* PATH FIELD OP VALUE */
    oid object;
    const struct field *field;
    int op; /* index of comparison_words */
    double number;
    char word[64]; /* enums, texts */
    char text[LINE_MAX_BYTES];
};
struct always {
    struct comparison c;
    int line;
    double worst;
    char broken[160]; /* "" = held */
};
struct later { /* "at +5m: …" */
    struct scenario *s;
    struct timer timer;
    int line;
    char text[LINE_MAX_BYTES];
};

struct scenario {
    const char *path;
    const struct scenario_options *o;
    struct scenario_result *result;
    struct text *report;
    struct loop *loop;
    struct house house;
    bool is_open, is_live, is_timed; /* is_timed: inside an `at`, where nothing may wait */
    char estate[512];
    int line;
    uint64_t seed;
    int64_t start_us;
    bool is_wired; /* the PDUs are read through Modbus */
    char instrument[128];
    struct wire_modbus *wire;
    VEC(struct later *) later;
    struct always always[ALWAYS_MAX];
    size_t n_always;
    struct timer always_timer;
    struct err *e; /* of the statement that failed inside an `at` */
    int later_rc;
};

/* scenario.c */
int scenario_line(struct scenario *s, char *text, int line, struct err *e);
int scenario_live(struct scenario *s, struct err *e); /* the house is built and lives from here */
int scenario_refuse(const struct scenario *s, struct err *e, const char *format, ...) __attribute__((format(printf, 3, 4)));
int scenario_find(const struct scenario *s, const char *what, char out[512], struct err *e); /* a file */
void scenario_check(struct scenario *s, bool good, int line, const char *what, const char *why);
char *word_next(char **rest); /* NULL = none is left */
int words_end(char *rest, struct err *e); /* E_INVAL when something is left */

/* scenario_statement.c */
int scenario_set(struct scenario *s, oid id, const char *name, const char *value, struct err *e);
/* Each takes what stands behind the word; E_NOTFOUND from the table = no such statement */
struct statement {
    const char *word;
    bool is_live; /* builds the house when it does not stand yet */
    int (*fn)(struct scenario *s, const char *word, char *rest, struct err *e);
    const char *form;
};
extern const struct statement statements[];
extern const size_t statement_count;

/* scenario_expect.c */
int statement_expect(struct scenario *s, const char *word, char *rest, struct err *e);
int statement_always(struct scenario *s, const char *word, char *rest, struct err *e);
void always_report(struct scenario *s);

#endif
