/* Metering: life cycle only. What it adds up is in decide.c. */
#include "cap/metering/metering.h"

static const struct field config_fields[] = {
    FIELD_SPAN(struct metering_config, stale_us, .dflt = "30s", .doc = "A PDU reading older than this does not count."),
};
static const struct table config_table = TABLE(metering_config, config_fields, "How readings are added up.");

static const char *const centre_label[] = {"centre", NULL};
static const struct metric metrics[] = {
    {"suan_centre_power_watts", METRIC_GAUGE, "watts", centre_label, NULL, 0, "Power of a centre, cooling included."},
    {"suan_centre_carbon_grams_per_hour", METRIC_GAUGE, NULL, centre_label, NULL, 0, "CO2e a centre emits."},
    {"suan_centre_cores_used", METRIC_GAUGE, NULL, centre_label, NULL, 0, "Cores that tasks have reserved."},
};

static const struct goal goals[] = {
    {"decide-tick", 50, 10, "ms", "lower", "bench/run decide", "99th percentile of a decision at 100,000 objects."},
};

/* Whole watts: a rack is not worth an event for less. */
static bool moved(double before, double after) { return (int64_t)before != (int64_t)after; }

static void racks_write(struct host *h, const struct metering_plan *m) {
    for (uint32_t i = 0; i < m->n_racks; i++) {
        const struct sum *r = &m->racks[i];
        const struct rack *now = estate_get(h->estate, r->id, rack);
        if (!moved(now->power_w, r->power_w) && !moved(now->inlet_c * 10, r->inlet_c * 10))
            continue;
        struct rack *to = estate_observe(h->estate, r->id, rack);
        to->power_w = r->power_w;
        to->inlet_c = r->inlet_c;
    }
    for (uint32_t i = 0; i < m->n_halls; i++)
        if (moved(estate_get(h->estate, m->halls[i].id, hall)->power_w, m->halls[i].power_w))
            estate_observe(h->estate, m->halls[i].id, hall)->power_w = m->halls[i].power_w;
}

static void centres_write(struct host *h, const struct metering_plan *m) {
    for (uint32_t i = 0; i < m->n_centres; i++) {
        const struct sum *s = &m->centres[i];
        const struct centre *now = estate_get(h->estate, s->id, centre);
        const char *name = estate_name(h->estate, s->id);
        metric_series(h->metrics, &metrics[0], name, NULL)->value = s->power_w;
        metric_series(h->metrics, &metrics[1], name, NULL)->value = s->carbon_g_per_h;
        metric_series(h->metrics, &metrics[2], name, NULL)->value = (double)s->cores_used;
        if (!moved(now->power_w, s->power_w) && now->cores_total == s->cores_total && now->cores_used == s->cores_used)
            continue;
        struct centre *c = estate_observe(h->estate, s->id, centre);
        c->power_w = s->power_w;
        c->carbon_g_per_h = s->carbon_g_per_h;
        c->cores_total = s->cores_total;
        c->cores_used = s->cores_used;
    }
}

static void links_write(struct host *h, const struct metering_plan *m) {
    for (uint32_t i = 0; i < m->n_links; i++)
        if (moved(estate_get(h->estate, m->links[i].id, link)->used_bps, m->links[i].used_bps))
            estate_observe(h->estate, m->links[i].id, link)->used_bps = m->links[i].used_bps;
}

static void apply(struct host *h, void *state, const struct plan *p) {
    (void)state;
    if (!p->own)
        return;
    racks_write(h, p->own);
    centres_write(h, p->own);
    links_write(h, p->own);
}

const struct cap cap_metering = {
    .name = "metering",
    .title = "Metering",
    .title_zh = "计量",
    .family = "operations",
    .maturity = BETA,
    .config = &config_table,
    .metrics = metrics,
    .nmetrics = sizeof metrics / sizeof metrics[0],
    .goals = goals,
    .ngoals = sizeof goals / sizeof goals[0],
    .mode = MODE_ACT,
    .period_us = 5000000,
    .decide = metering_decide,
    .apply = apply,
};
