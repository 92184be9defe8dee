/* Example: the smallest useful capability. It raises a condition on every rack whose inlet air is too warm.
 *
 * Everything a capability has is here: a configuration, a decide that only looks and plans, one verb, one row at the
 * end. HACKING.md walks through this file; copy the folder, rename, and add one line to src/app/list.c. */
#include "cap/example/example.h"

#include <string.h>

#include "core/host.h"
#include "estate/kinds.h"

struct example_config {
    double inlet_max_c;
};
static const struct field config_fields[] = {
    FIELD_REAL(struct example_config, inlet_max_c, .unit = "degC", .min = 10, .max = 60, .dflt = "32",
               .doc = "Inlet air above this is reported (ASHRAE A1 allows 32 degC)."),
};
static const struct table config_table = TABLE(example_config, config_fields, "When a rack counts as hot.");

/* Warmest inlet that the servers of a rack report. */
static double inlet_c(const struct estate *s, oid rack) {
    double most = -273;
    for (oid i = 0; (i = estate_child(s, rack, "node", i));) {
        double here = estate_get(s, i, node)->temperature_c;
        most = here > most ? here : most;
    }
    return most;
}

static bool is_reported(const struct estate *s, oid rack) {
    const struct condition *c;
    for (size_t n = estate_conditions(s, rack, &c); n-- > 0;)
        if (!strcmp(c[n].name, "hot-inlet"))
            return true;
    return false;
}

static int decide(const struct view *v, struct plan *p, struct err *e) {
    const struct example_config *config = v->config;
    (void)e;
    for (oid i = 0; (i = estate_next(v->estate, "rack", i));) {
        double t = inlet_c(v->estate, i);
        bool is_hot = t > config->inlet_max_c, was = is_reported(v->estate, i);
        char path[ESTATE_PATH];
        estate_path(v->estate, i, path);
        if (is_hot && !was) {
            plan_condition(p, i, "hot-inlet", SEV_WARNING, "%.0f degC at the inlet, above %.0f", t, config->inlet_max_c);
            plan_note(p, arena_strdup(p->arena, path), NULL, "%s is hot: %.0f degC at the inlet", path, t);
        } else if (was && t < config->inlet_max_c - 1) { /* a degree of hysteresis, so that it does not flicker */
            plan_condition(p, i, "hot-inlet", SEV_WARNING, NULL);
        }
    }
    return 0;
}

struct hottest {
    char rack[ESTATE_NAME];
    double inlet_c;
};
static const struct field hottest_fields[] = {
    FIELD_TEXT(struct hottest, rack, .doc = "Rack."),
    FIELD_REAL(struct hottest, inlet_c, .unit = "degC", .doc = "Its inlet air."),
};
static const struct table hottest_table = TABLE(hottest, hottest_fields, "The hottest rack.");

static int verb_hottest(struct call *c) {
    struct hottest *out = c->out;
    const struct estate *s = c->host->estate;
    for (oid i = 0; (i = estate_next(s, "rack", i));)
        if (!*out->rack || inlet_c(s, i) > out->inlet_c) {
            str_copy(out->rack, sizeof out->rack, estate_name(s, i));
            out->inlet_c = inlet_c(s, i);
        }
    return *out->rack ? 0 : err_set(&c->err, E_NOTFOUND, "the estate has no rack");
}
static const struct verb verbs[] = {
    {.name = "hottest", .on = "example", .out = &hottest_table, .role = ROLE_VIEWER, .flags = VERB_READ,
     .doc = "The rack with the warmest inlet.", .example = "example hottest", .fn = verb_hottest},
};

const struct cap cap_example = {
    .name = "example",
    .title = "Hot racks (the example)",
    .title_zh = "机柜过热（示例）",
    .family = "operations",
    .maturity = BETA,
    .config = &config_table,
    .verbs = verbs,
    .nverbs = sizeof verbs / sizeof verbs[0],
    .mode = MODE_ACT,
    .period_us = 30000000,
    .decide = decide,
};
