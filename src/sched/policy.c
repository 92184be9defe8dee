/* Policies: every one ranks the same candidates; they differ only in what they add up. */
#include "sched/sched_private.h"

#include <stdio.h>
#include <string.h>

struct policy {
    const char *name;
    double (*score)(const struct candidate *c, const struct offer *o);
    const char *doc;
};

static double score_balanced(const struct candidate *c, const struct offer *o) {
    (void)o;
    return c->energy_cny + c->carbon_cny + c->compute_cny + c->data_cny + c->time_cny;
}
static double score_cheapest(const struct candidate *c, const struct offer *o) {
    (void)o;
    return c->energy_cny + c->compute_cny + c->data_cny;
}
static double score_greenest(const struct candidate *c, const struct offer *o) {
    (void)o;
    return c->carbon_kg;
}
static double score_nearest(const struct candidate *c, const struct offer *o) {
    (void)o;
    return c->transfer_s;
}
static double score_spread(const struct candidate *c, const struct offer *o) {
    /* A million CNY a neighbour: money only decides between equally empty centres. */
    return c->same_job * SPREAD_CNY + score_balanced(c, o);
}

static const struct policy policies[] = {
    {"balanced", score_balanced, "Energy, carbon, compute, data and waiting, all in CNY."},
    {"cheapest", score_cheapest, "Money only: energy, compute, data."},
    {"greenest", score_greenest, "Least carbon."},
    {"nearest-data", score_nearest, "Shortest transfer of the inputs."},
    {"spread", score_spread, "Fewest tasks of the same job, then balanced."},
};
enum { N_POLICIES = sizeof policies / sizeof policies[0] };

const char *const *sched_policies(void) {
    static const char *const names[] = {"balanced", "cheapest", "greenest", "nearest-data", "spread", NULL};
    _Static_assert(sizeof names / sizeof names[0] == N_POLICIES + 1, "one name a policy");
    return names;
}

enum { CENTRE_INPUTS = 32 };

/* Bytes that would have to come to `c->centre`, how long that takes and costs. Inputs from one centre share its link. */
static bool data_cost(const struct estate *s, const struct sched_request *r, struct candidate *c) {
    oid from[CENTRE_INPUTS];
    double bytes[CENTRE_INPUTS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_inputs; i++) {
        const struct artifact_ref *a = &r->inputs[i];
        if (!a->centre || a->centre == c->centre)
            continue;
        uint32_t k = 0;
        while (k < n && from[k] != a->centre)
            k++;
        if (k == n) {
            if (n == CENTRE_INPUTS)
                return false;
            from[n] = a->centre;
            bytes[n++] = 0;
        }
        bytes[k] += (double)a->size_bytes;
    }
    for (uint32_t k = 0; k < n; k++) {
        const struct link *l = centre_link(s, from[k], c->centre);
        if (!l)
            return false;
        double t = l->delay_us * 2e-6 + (l->bandwidth_bps > 0 ? bytes[k] * 8 / l->bandwidth_bps : 0);
        c->transfer_s = t > c->transfer_s ? t : c->transfer_s;
        c->moved_bytes += bytes[k];
        c->data_cny += bytes[k] / 1e9 * l->price_per_gb;
    }
    return true;
}

static bool refuse(struct candidate *c, const char *why) {
    snprintf(c->refused, sizeof c->refused, "%s", why);
    return false;
}

/* Fill one candidate; false when the centre cannot take the work, with the reason in it. */
static bool weigh(struct sched *s, const struct centre_slots *cs, const struct sched_config *k,
                  const struct sched_request *r, int64_t now_us, struct offer *o, struct candidate *c,
                  const struct slot **slot) {
    sched_offer(s, cs, now_us, o);
    c->centre = cs->centre;
    if (r->pin_centre && *r->pin_centre && strcmp(r->pin_centre, estate_name(s->estate, cs->centre)))
        return refuse(c, "the task is pinned elsewhere");
    if (!o->agent)
        return refuse(c, "no agent");
    if (!o->is_connected)
        return refuse(c, "its agent is away");
    if (r->avoid_centre && *r->avoid_centre && !strcmp(r->avoid_centre, estate_name(s->estate, cs->centre)))
        return refuse(c, "the last attempt failed there");
    *slot = sched_fit(s, cs, r);
    if (!*slot)
        return refuse(c, "no node with enough free cores and memory of that kind");
    for (uint32_t i = 0; i < r->n_busy; i++)
        c->same_job += r->busy[i] == c->centre;
    if (!data_cost(s->estate, r, c))
        return refuse(c, "no link to where the inputs lie");
    double core_s = r->expected_core_s > 0 ? r->expected_core_s : k->default_core_s;
    c->energy_kwh = core_s * (*slot)->w_per_core * o->pue_ratio / 3.6e6;
    c->carbon_kg = c->energy_kwh * o->factor_kg_per_kwh;
    c->energy_cny = c->energy_kwh * o->price_per_kwh;
    c->carbon_cny = c->carbon_kg * k->carbon_cny_per_kg;
    c->compute_cny = core_s / 3600 * (*slot)->price_per_core_h;
    c->time_cny = (c->transfer_s + o->queue_s) / 3600 * k->time_cny_per_h;
    return true;
}

static int policy_find(const char *name, const struct policy **out, struct err *e) {
    for (int i = 0; i < N_POLICIES; i++)
        if (!strcmp(policies[i].name, name)) {
            *out = &policies[i];
            return 0;
        }
    err_set(e, E_NOTFOUND, "no scheduling policy '%s'", name);
    const char *near = str_nearest(name, sched_policies(), N_POLICIES);
    err_hint(e, near ? "did you mean '%s'?" : "suan placement policies lists them%s", near ? near : "");
    return E_NOTFOUND;
}

int sched_decide(struct sched *s, const char *policy, const struct sched_config *config, const struct sched_request *r,
                 int64_t now_us, struct decision *out, struct err *e) {
    const struct policy *p = NULL;
    int rc = policy_find(policy, &p, e);
    out->centre = out->node = out->agent = 0;
    out->n_candidates = 0;
    out->why[0] = '\0';
    if (rc)
        return rc;
    out->policy = p->name;
    sched_sync(s);
    const struct slot *best_slot = NULL;
    uint32_t best = 0;
    for (uint32_t i = 0; i < s->n_centres; i++) {
        struct candidate *c = &out->candidates[out->n_candidates];
        const struct slot *slot = NULL;
        struct offer o;
        *c = (struct candidate){0};
        if (weigh(s, &s->centres[i], config, r, now_us, &o, c, &slot)) {
            c->score_cny = p->score(c, &o);
            const struct candidate *b = &out->candidates[best];
            /* Ties go to the lower name, so that the answer does not depend on creation order. */
            if (!best_slot || c->score_cny < b->score_cny ||
                (c->score_cny <= b->score_cny &&
                 strcmp(estate_name(s->estate, c->centre), estate_name(s->estate, b->centre)) < 0)) {
                best_slot = slot;
                best = out->n_candidates;
                out->agent = o.agent;
            }
        }
        out->n_candidates++;
    }
    if (!best_slot) {
        sched_explain_nowhere(out, s->estate);
        return err_set(e, E_UNAVAIL, "%s", out->why);
    }
    out->centre = out->candidates[best].centre;
    out->node = best_slot->node;
    sched_explain(out, best, s->estate);
    return 0;
}
