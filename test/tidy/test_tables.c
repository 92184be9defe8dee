/* Every table of this binary: names carry the unit of their row, every row says what it is in a full sentence. The checker
 * proves itself on bad rows first. */
#include "tap.h"

#include "app/list.h"
#include "device/live/agent/agent.h"
#include "core/host.h"
#include "estate/kinds.h"

/* How a name ends when its row has this unit. A unit without a line here is itself a finding. */
static const struct ending {
    const char *unit, *ending;
} endings[] = {
    {"W", "_w"}, {"kW", "_kw"}, {"kWh", "_kwh"}, {"Wh", "_wh"}, {"J", "_j"}, {"degC", "_c"}, {"Pa", "_pa"}, {"us", "_us"},
    {"s", "_s"}, {"h", "_h"}, {"bit/s", "_bps"}, {"1", "_ratio"}, {"B", "_bytes"}, {"kg", "_kg"}, {"g", "_g"},
    {"g/h", "_g_per_h"}, {"kg/h", "_kg_per_h"}, {"kg/kWh", "_kg_per_kwh"}, {"g/kWh", "_g_per_kwh"}, {"deg", "_deg"},
    {"CNY", "_cny"}, {"CNY/kWh", "_per_kwh"}, {"CNY/GB", "_per_gb"}, {"CNY/h", "_cny_per_h"}, {"CNY/h", "_per_core_h"},
    {"CNY/kg", "_cny_per_kg"}, {"V", "_v"}, {"A", "_a"}, {"Hz", "_hz"}, {"U", "_u"}, {"TFLOP/s", "_tflops"},
    {"core s", "_core_s"}, {"J/K", "_j_per_k"}, {"W/K", "_w_per_k"}, {"m/s", "_m_per_s"}, {"1/s", "_per_s"},
};
enum { ENDINGS = sizeof endings / sizeof endings[0], DEPTH_MAX = 4 };

static size_t findings;
static bool is_quiet;

static void found(const char *table, const char *row, const char *why, const char *what) {
    findings++;
    if (!is_quiet)
        printf("# %s.%s: %s%s\n", table, row, why, what);
}

static bool is_sentence(const char *doc) {
    size_t n = doc ? strlen(doc) : 0;
    return n > 1 && doc[n - 1] == '.';
}

static bool is_snake(const char *s) { return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s); }

static bool ends(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    /* "budget_w" and the plain "w" of a table that has only that */
    return (n >= m && !strcmp(s + n - m, end)) || !strcmp(s, end + 1);
}

/* The longest ending is the name's: "_cny_per_h" is not hours. */
static const struct ending *ending_of(const char *name) {
    const struct ending *best = NULL;
    for (size_t i = 0; i < ENDINGS; i++)
        if (ends(name, endings[i].ending) && (!best || strlen(endings[i].ending) > strlen(best->ending)))
            best = &endings[i];
    return best;
}

static void check_unit(const char *table, const struct field *f) {
    const struct ending *e = ending_of(f->name);
    bool is_time = f->type == FIELD_TIME || f->type == FIELD_SPAN, fits = false;
    if (is_time) {
        if (!ends(f->name, "_us"))
            found(table, f->name, "a time is kept in us and its name says so", "");
        return;
    }
    if (f->unit && !unit_known(f->unit))
        found(table, f->name, "base/unit.c does not know the unit ", f->unit);
    for (size_t i = 0; f->unit && i < ENDINGS; i++)
        fits |= !strcmp(endings[i].unit, f->unit) && ends(f->name, endings[i].ending);
    /* "value" is what a set point's verb gets: the verb's name says of what. */
    if (f->unit && !fits && strcmp(f->name, "value"))
        found(table, f->name, "the name does not end in its unit ", f->unit);
    bool is_number = f->type == FIELD_INT || f->type == FIELD_REAL;
    if (!f->unit && e && is_number)
        found(table, f->name, "the name ends in a unit, the row has none: ", e->unit);
}

static void check_table(const struct table *t, int depth) {
    if (!t || depth > DEPTH_MAX)
        return;
    if (!is_sentence(t->doc))
        found(t->name, "", "the table's doc is no full sentence: ", t->doc ? t->doc : "(none)");
    for (uint32_t i = 0; i < t->nfields; i++) {
        const struct field *f = &t->fields[i];
        if (!is_snake(f->name))
            found(t->name, f->name, "not in snake_case", "");
        if (!is_sentence(f->doc))
            found(t->name, f->name, "the doc is no full sentence: ", f->doc ? f->doc : "(none)");
        if (f->type == FIELD_ENUM && !f->words)
            found(t->name, f->name, "an enum without words", "");
        check_unit(t->name, f);
        check_table(f->type == FIELD_GROUP ? f->group : NULL, depth + 1);
    }
}

static void check_verbs(const char *owner, const struct verb *rows, size_t n, bool wants_example) {
    for (size_t i = 0; i < n; i++) {
        const struct verb *v = &rows[i];
        if (!is_sentence(v->doc))
            found(owner, v->name, "the verb's doc is no full sentence: ", v->doc ? v->doc : "(none)");
        if (wants_example && !(v->example && *v->example))
            found(owner, v->name, "the verb has no example", "");
        check_table(v->in, 0);
        check_table(v->out, 0);
    }
}

static void check_metrics(const char *owner, const struct metric *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct metric *m = &rows[i];
        char end[48];
        snprintf(end, sizeof end, "_%s", m->unit ? m->unit : "");
        if (strncmp(m->name, "suan_", 5) || !is_snake(m->name))
            found(owner, m->name, "a metric is named suan_…, in snake_case", "");
        if (ends(m->name, "_total"))
            found(owner, m->name, "the front adds _total to a counter's name", "");
        if (m->unit && !ends(m->name, end))
            found(owner, m->name, "the name does not end in its unit ", m->unit);
        if (!is_sentence(m->doc))
            found(owner, m->name, "the metric's doc is no full sentence: ", m->doc ? m->doc : "(none)");
    }
}

static void check_kind(const struct kind *k) {
    if (!is_sentence(k->doc))
        found(k->name, "", "the kind's doc is no full sentence: ", k->doc ? k->doc : "(none)");
    if (!k->title || !*k->title || !k->title_zh || !*k->title_zh)
        found(k->name, "", "a kind has a title in both languages", "");
    check_table(k->table, 0);
}

static void check_cap(const struct cap *c) {
    if (!c->title || !*c->title || !c->title_zh || !*c->title_zh)
        found(c->name, "", "a capability has a title in both languages", "");
    check_table(c->config, 0);
    check_verbs(c->name, c->verbs, c->nverbs, true);
    check_metrics(c->name, c->metrics, c->nmetrics);
    for (size_t i = 0; i < c->ngoals; i++)
        if (!is_sentence(c->goals[i].doc) || !c->goals[i].measured_by || !*c->goals[i].measured_by)
            found(c->name, c->goals[i].name, "a goal says what it is and what measures it", "");
}

/* -- bad rows -- */

struct bad {
    double power, heat_w, speed_ratio;
    int64_t until, Odd;
};
static const struct field bad_fields[] = {
    FIELD_REAL(struct bad, power, .unit = "W", .doc = "Name without its unit."),
    FIELD_REAL(struct bad, heat_w, .doc = "Unit without its row."),
    FIELD_REAL(struct bad, speed_ratio, .unit = "furlong", .doc = "A unit nobody knows, and not the name's."),
    FIELD_TIME(struct bad, until, .doc = "A time without us."),
    FIELD_INT(struct bad, Odd, .doc = "not a sentence"),
};
static const struct table bad_table = TABLE(bad, bad_fields, "no full stop");

static size_t count_bad(void) {
    static const struct verb verb = {.name = "do", .doc = "No example."};
    static const struct metric metric = {"suan_power", METRIC_GAUGE, "watts", NULL, NULL, 0, "no stop"};
    is_quiet = true;
    check_table(&bad_table, 0);
    check_verbs("bad", &verb, 1, true);
    check_metrics("bad", &metric, 1);
    is_quiet = false;
    size_t n = findings;
    findings = 0;
    return n;
}

static bool none(size_t *since) {
    bool good = findings == *since;
    *since = findings;
    return good;
}

int main(void) {
    const struct kind *kinds[ESTATE_KINDS_MAX];
    size_t n = app_kinds(kinds), since = 0, fields = 0;
    is_int(count_bad(), 11, "the checker finds the eleven faults of a bad table, verb and metric");
    for (size_t i = 0; i < n; i++) {
        check_kind(kinds[i]);
        fields += kinds[i]->table->nfields;
    }
    ok(none(&since), "kinds: names end in units, docs are sentences");
    ok(n >= 13 && fields > 100, "and there are some");
    check_metrics("agent", agent_metrics, agent_nmetrics);
    check_verbs("house", house_verbs, house_nverbs, true);
    ok(none(&since), "house verbs have a doc, an example and clean tables");
    for (size_t i = 0; app_classes[i]; i++)
        check_verbs(app_classes[i]->name, app_classes[i]->verbs, app_classes[i]->nverbs, false);
    ok(none(&since), "device classes have clean tables");
    for (size_t i = 0; app_caps[i]; i++)
        check_cap(app_caps[i]);
    ok(none(&since), "capabilities have clean configuration, verbs, metrics and goals");
    return tap_done();
}
