/* Powercap: its row, its property with the interlock, what it keeps. What it decides is in decide.c. */
#include "cap/powercap/powercap.h"

#include <stdio.h>
#include <stdlib.h>

#include "estate/kinds.h"

static const struct field config_fields[] = {
    FIELD_REAL(struct powercap_config, margin_ratio, .unit = "1", .min = 0.005, .max = 0.2, .dflt = "0.02",
               .doc = "Part of the budget between the marks: more than the meters' noise."),
    FIELD_REAL(struct powercap_config, trip_margin_ratio, .unit = "1", .min = 0, .max = 0.5, .dflt = "0.05",
               .doc = "Kept below the limit at which a PDU trips."),
    FIELD_REAL(struct powercap_config, release_ratio, .unit = "1", .min = 0.001, .max = 1, .dflt = "0.05",
               .doc = "Most of the budget that one step gives back."),
    FIELD_SPAN(struct powercap_config, release_after_us, .dflt = "1m", .doc = "Calm needed after lowering before a step back."),
    FIELD_SPAN(struct powercap_config, stale_us, .dflt = "35s", .doc = "A reading older than this counts as none."),
    FIELD_SPAN(struct powercap_config, lease_us, .dflt = "60s", .doc = "A cap falls away when it is not renewed for this long."),
};
static const struct table config_table = TABLE(powercap_config, config_fields, "How racks are kept under their budget.");

/* The firmware's own limits; whoever claims, nothing reaches a node that it would refuse or that would mean nothing. */
static int cap_interlock(const struct estate *s, oid id, double *value, char *why) {
    const struct node *n = estate_get(s, id, node);
    const struct model *m = estate_get(s, n->model, model);
    double most = model_power_w(m, 1);
    if (!(*value > 0)) {
        *value = 0;
    } else if (*value < m->cap_min_w) {
        snprintf(why, 160, "interlock: %.0f W raised to %.0f W, the least its firmware accepts", *value, m->cap_min_w);
        *value = m->cap_min_w;
    } else if (most > 0 && *value > most) {
        snprintf(why, 160, "interlock: %.0f W lowered to the nameplate's %.0f W", *value, most);
        *value = most;
    }
    return 0;
}
static const struct property properties[] = {
    {.kind = "node", .field = "cap_w", .safe = 0, .min_step = 1, .interlock = cap_interlock,
     .doc = "Power cap of a server in W; 0 = none. Without any claim a server runs free: the breaker is the last resort."},
};

static const struct metric metrics[] = {
    {"suan_powercap_capped_nodes", METRIC_GAUGE, NULL, NULL, NULL, 0, "Nodes that powercap holds below their nameplate."},
    {"suan_powercap_over_budget_racks", METRIC_GAUGE, NULL, NULL, NULL, 0, "Racks measured above their budget."},
};

static const struct goal goals[] = {
    {"powercap-overshoot", 60, 20, "s", "lower", "bench/run powercap",
     "Longest time that a rack spends above its budget after a step of load, over 20 seeds."},
    {"powercap-priority", 0.9, 0.95, "1", "higher", "bench/run powercap",
     "Work that the servers of high priority still do while the rack is capped, of what they would do uncapped."},
    {"powercap-honesty", 0, 0, "rows", "lower", "test/scn/test_honesty.c",
     "Rows of the decision journal that differ between the twin and the same world behind Modbus."},
};

/* -- the verb -- */

static int verb_racks(struct call *c) {
    const struct powercap *p = host_cap_state(c->host, "powercap");
    const struct estate *s = c->host->estate;
    struct arena *a = &c->arena;
    c->reply = doc_seq(a);
    for (oid i = 0; (i = estate_next(s, "rack", i));) {
        double power = 0, budget = estate_get(s, i, rack)->budget_w;
        int64_t capped = 0;
        for (oid k = 0; (k = estate_child(s, i, "pdu", k));)
            power += estate_get(s, k, pdu)->power_w;
        for (oid k = 0; p && (k = estate_child(s, i, "node", k));) {
            const struct cap_keep *kept = powercap_kept(p, k);
            capped += kept && kept->cap_w > 0;
        }
        struct doc *d = doc_map(a);
        doc_put_str(a, d, "rack", estate_name(s, i));
        doc_put_real(a, d, "power_w", power);
        doc_put_real(a, d, "budget_w", budget);
        doc_put_real(a, d, "spare_w", budget > 0 ? budget - power : 0);
        doc_put_int(a, d, "capped", capped);
        doc_push(c->reply, d);
    }
    return 0;
}
static const struct verb verbs[] = {
    {"racks", "powercap", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL,
     "Power, budget and capped nodes of every rack.", "powercap racks", verb_racks},
};

/* -- life -- */

static void apply(struct host *h, void *state, const struct plan *plan) {
    struct powercap *p = state;
    const struct powercap_plan *own = plan->own;
    uint32_t capped = 0;
    for (uint32_t i = 0; i < own->n_released; i++)
        arbiter_release(h->arbiter, own->released[i], "cap_w", cap_powercap.name);
    for (uint32_t i = 0; i < own->n_lost; i++) {
        char path[ESTATE_PATH];
        estate_path(h->estate, own->lost[i], path);
        host_journal(h, "alarm", cap_powercap.name, path, NULL, "%s does not show the cap it was sent: sent again", path);
        arbiter_failed(h->arbiter, own->lost[i], "cap_w");
    }
    p->caps.n = p->racks.n = 0;
    for (uint32_t i = 0; i < own->n_caps; i++) {
        vec_push(&p->caps, own->caps[i]);
        capped += own->caps[i].cap_w > 0;
    }
    for (uint32_t i = 0; i < own->n_racks; i++)
        vec_push(&p->racks, own->racks[i]);
    metric_series(h->metrics, &metrics[0], NULL)->value = capped;
    metric_series(h->metrics, &metrics[1], NULL)->value = own->n_over;
}

static int start(struct host *h, const void *config, void **state, struct err *e) {
    struct powercap *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, E_INTERNAL, "no memory");
    p->config = config;
    p->started_us = loop_now_us(h->loop);
    *state = p;
    return 0;
}

static void stop(struct host *h, void *state) {
    struct powercap *p = state;
    (void)h;
    vec_free(&p->caps);
    vec_free(&p->racks);
    free(p);
}

const struct cap cap_powercap = {
    .name = "powercap",
    .title = "Power capping",
    .title_zh = "功率封顶",
    .family = "green",
    .maturity = BETA,
    .config = &config_table,
    .verbs = verbs,
    .nverbs = sizeof verbs / sizeof verbs[0],
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof metrics[0],
    .properties = properties,
    .nproperties = sizeof properties / sizeof properties[0],
    .goals = goals,
    .ngoals = sizeof goals / sizeof goals[0],
    .mode = MODE_ADVISE,
    .period_us = 10000000,
    .decide = powercap_decide,
    .apply = apply,
    .start = start,
    .stop = stop,
};
