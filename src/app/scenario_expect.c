/* What a scenario expects: comparisons of fields, conditions, the journal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/scenario_private.h"
#include "base/civil.h"

enum { ALWAYS_US = 1000000 };
static const char *const comparison_words[] = {"<", "<=", ">", ">=", "==", "!="};
enum { COMPARISONS = sizeof comparison_words / sizeof comparison_words[0] };

static int comparison_read(struct scenario *s, const char *path, char *rest, struct comparison *c, struct err *e) {
    const struct estate *es = s->house.host.estate;
    char *name = word_next(&rest), *op = word_next(&rest);
    rest += strspn(rest, " \t");
    *c = (struct comparison){0};
    int rc = estate_lookup_path(es, path, &c->object, e);
    if (rc)
        return rc;
    if (!name || !op || !*rest)
        return err_set(e, E_INVAL, "a comparison is: PATH FIELD OP VALUE");
    c->field = table_find(estate_kind_of(es, c->object)->table, name);
    if (!c->field || c->field->count_max)
        return scenario_refuse(s, e, "%s has no field '%.40s' that can be compared", path, name);
    while (c->op < COMPARISONS && strcmp(comparison_words[c->op], op))
        c->op++;
    if (c->op == COMPARISONS)
        return scenario_refuse(s, e, "'%.20s' is none of < <= > >= == !=", op);
    snprintf(c->text, sizeof c->text, "%s %s %s %s", path, name, op, rest);
    str_copy(c->word, sizeof c->word, rest);
    bool is_number = c->field->type == FIELD_REAL || c->field->type == FIELD_INT || c->field->type == FIELD_SPAN;
    if (is_number)
        return unit_parse(rest, c->field->unit, &c->number, e);
    return c->op >= 4 ? 0 : scenario_refuse(s, e, "%s is not a number: compare it with == or !=", name);
}

static bool comparison_holds(const struct scenario *s, const struct comparison *c, double *value, struct text *shown) {
    const struct estate *es = s->house.host.estate;
    *value = NAN;
    if (!estate_alive(es, c->object)) {
        text_add(shown, "gone");
        return false;
    }
    const void *data = estate_data(es, c->object);
    const char *at = (const char *)data + c->field->offset;
    struct field_env env = estate_env(es);
    field_print(c->field, data, &env, shown);
    if (c->field->type == FIELD_REAL)
        memcpy(value, at, sizeof *value);
    else if (c->field->type == FIELD_INT || c->field->type == FIELD_SPAN)
        *value = (double)*(const int64_t *)(const void *)at;
    else
        return (strcmp(text_str(shown), c->word) == 0) == (c->op == 4);
    const double v = *value, n = c->number;
    const bool holds[COMPARISONS] = {v < n, v <= n, v > n, v >= n, v == n, v != n};
    return holds[c->op];
}

struct search {
    const char *text;
    int64_t row;
};
static int row_search(void *ctx, const struct journal_row *row) {
    struct search *x = ctx;
    if (!strstr(row->text, x->text))
        return 0;
    x->row = row->sequence;
    return 1;
}

static int expect_journal(struct scenario *s, bool is_no, char *rest, struct err *e) {
    char *from = strchr(rest, '"'), *to = strrchr(rest, '"'), what[LINE_MAX_BYTES + 32], why[80];
    struct journal_query all = {.limit = INT64_MAX};
    if (!from || to == from)
        return err_set(e, E_INVAL, "expect journal wants a text in quotes");
    *to = '\0';
    struct search x = {.text = from + 1};
    /* What this instant has to say is in the pending rows: let it be written. */
    for (int i = 0; i < 8 && !s->is_timed; i++) {
        loop_run_deferred(s->loop);
        host_cycle(&s->house.host);
    }
    journal_read(s->house.host.store, &all, row_search, &x, NULL);
    snprintf(what, sizeof what, "%sjournal \"%s\"", is_no ? "no " : "", x.text);
    snprintf(why, sizeof why, is_no ? "row %lld says so" : "no row says so", (long long)x.row);
    scenario_check(s, is_no == !x.row, s->line, what, why);
    return 0;
}

static int expect_condition(struct scenario *s, bool is_no, char *rest, struct err *e) {
    const struct estate *es = s->house.host.estate;
    char *path = word_next(&rest), *name = word_next(&rest), *severity = word_next(&rest), what[256];
    const struct condition *c, *found = NULL;
    struct text why = TEXT_INIT;
    oid id;
    if (!path || !name)
        return err_set(e, E_INVAL, "expect condition wants an object and a name");
    int rc = estate_lookup_path(es, path, &id, e), least = SEV_INFO;
    if (!rc)
        rc = words_end(rest, e);
    if (rc)
        return rc;
    for (int i = 0; severity; i++) {
        if (i > SEV_CRITICAL)
            return scenario_refuse(s, e, "'%.20s' is no severity", severity);
        if (!strcmp(severity_words[i], severity)) {
            least = i;
            break;
        }
    }
    size_t n = estate_conditions(es, id, &c);
    for (size_t i = 0; i < n; i++) {
        text_addf(&why, "%s%s (%s: %s)", why.n ? ", " : "it has ", c[i].name, severity_words[c[i].severity], c[i].text);
        if (!strcmp(c[i].name, name) && (!severity || (int)c[i].severity == least))
            found = &c[i];
    }
    snprintf(what, sizeof what, "%scondition %s %s%s%s", is_no ? "no " : "", path, name, severity ? " " : "",
             severity ? severity : "");
    scenario_check(s, is_no == !found, s->line, what, why.n ? text_str(&why) : "it has none");
    text_free(&why);
    return 0;
}

int statement_expect(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *first = word_next(&rest);
    bool is_no = first && !strcmp(first, "no");
    (void)word;
    if (is_no)
        first = word_next(&rest);
    if (!first)
        return err_set(e, E_INVAL, "what is to be expected?");
    if (!strcmp(first, "journal"))
        return expect_journal(s, is_no, rest, e);
    if (!strcmp(first, "condition"))
        return expect_condition(s, is_no, rest, e);
    if (is_no)
        return scenario_refuse(s, e, "'expect no' stands before condition or journal only");
    struct comparison c;
    int rc = comparison_read(s, first, rest, &c, e);
    if (rc)
        return rc;
    struct text shown = TEXT_INIT, why = TEXT_INIT;
    double value;
    bool holds = comparison_holds(s, &c, &value, &shown);
    text_addf(&why, "it is %s", text_str(&shown));
    scenario_check(s, holds, s->line, c.text, text_str(&why));
    text_free(&shown);
    text_free(&why);
    return 0;
}

/* -- always -- */

static void always_look(void *ctx) {
    struct scenario *s = ctx;
    for (size_t i = 0; i < s->n_always; i++) {
        struct always *a = &s->always[i];
        struct text shown = TEXT_INIT;
        double value;
        bool holds = comparison_holds(s, &a->c, &value, &shown);
        if (!(value == value) || a->worst != a->worst || (a->c.op <= 1 ? value > a->worst : value < a->worst))
            a->worst = value;
        if (!holds && !*a->broken) {
            char at[CIVIL_TEXT];
            civil_print(at, loop_now_us(s->loop));
            snprintf(a->broken, sizeof a->broken, "it was %.60s at %s", text_str(&shown), at);
        }
        text_free(&shown);
    }
    timer_in(s->loop, &s->always_timer, ALWAYS_US, always_look, s);
}

int statement_always(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *path = word_next(&rest);
    (void)word;
    if (!path)
        return err_set(e, E_INVAL, "what is always to hold?");
    if (s->n_always == ALWAYS_MAX)
        return scenario_refuse(s, e, "a scenario has at most %d 'always'", ALWAYS_MAX);
    struct always *a = &s->always[s->n_always];
    *a = (struct always){.line = s->line, .worst = NAN};
    int rc = comparison_read(s, path, rest, &a->c, e);
    if (rc)
        return rc;
    s->n_always++;
    if (!timer_is_set(&s->always_timer))
        timer_in(s->loop, &s->always_timer, 0, always_look, s);
    return 0;
}

void always_report(struct scenario *s) {
    for (size_t i = 0; i < s->n_always; i++) {
        struct always *a = &s->always[i];
        char what[LINE_MAX_BYTES + 64], worst[32] = "";
        if (a->worst == a->worst)
            snprintf(worst, sizeof worst, " (worst %.6g)", a->worst);
        snprintf(what, sizeof what, "always %s%s", a->c.text, worst);
        scenario_check(s, !*a->broken, a->line, what, a->broken);
    }
}
