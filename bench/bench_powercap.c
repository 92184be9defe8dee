/* How well powercap keeps a rack under its budget after steps of load, over 20 seeds, beside the two plain ways of
 * doing it in the same house with the same meters: nothing at all, and one that scales every server alike. What counts
 * is the world's own power, not the meters'. */
#include <stdio.h>
#include <string.h>

#include "app/house.h"
#include "estate/kinds.h"

enum { MINUTES = 50, PERIOD_S = 10 };
static const int64_t T0 = 1767225600000000, SECOND = 1000000;

enum way { WAY_POWERCAP, WAY_UNIFORM, WAY_NOTHING, WAYS };

struct trial {
    struct loop *loop;
    struct house house;
    struct rng rng;
    oid rack, pdu;
    double budget_w;
    struct timer second, uniform;
    int64_t below_us; /* uniform: since when it is calm */
    double over_ws, over_s, longest_s, worst_w;
    double work_high, work_low; /* node seconds of load, by priority */
};

/* Every second, the truth. */
static void on_second(void *ctx) {
    struct trial *t = ctx;
    const struct world *w = twin_look(t->house.twin);
    struct world_pdu p;
    world_pdu(w, t->pdu, &p, NULL);
    double over = p.power_w - t->budget_w;
    t->over_s = over > 0 ? t->over_s + 1 : 0;
    t->over_ws += over > 0 ? over : 0;
    t->longest_s = t->over_s > t->longest_s ? t->over_s : t->longest_s;
    t->worst_w = over > t->worst_w ? over : t->worst_w;
    for (oid i = 0; (i = estate_child(t->house.host.estate, t->rack, "node", i));) {
        struct world_node n;
        world_node(w, i, &n, NULL);
        *(estate_get(t->house.host.estate, i, node)->priority > 5 ? &t->work_high : &t->work_low) += n.utilisation_ratio;
    }
    timer_in(t->loop, &t->second, SECOND, on_second, t);
}

/* The plain way: above the mark every server's cap is scaled by the same factor, below it by 5 % up after a minute. */
static void on_uniform(void *ctx) {
    struct trial *t = ctx;
    struct host *h = &t->house.host;
    int64_t now = loop_now_us(t->loop);
    double power = estate_get(h->estate, t->pdu, pdu)->power_w, factor = 1;
    if (power > 0.98 * t->budget_w)
        factor = 0.96 * t->budget_w / power;
    else if (power < 0.94 * t->budget_w && now - t->below_us >= 60 * SECOND)
        factor = 1.05;
    if (power >= 0.94 * t->budget_w)
        t->below_us = now;
    for (oid i = 0; factor != 1 && (i = estate_child(h->estate, t->rack, "node", i));) {
        const struct node *n = estate_get(h->estate, i, node);
        double most = model_power_w(estate_get(h->estate, n->model, model), 1), from = n->cap_w > 0 ? n->cap_w : n->power_w;
        if (!(n->cap_w > 0) && factor > 1)
            continue;
        struct claim c = {.object = i, .kind = "node", .field = "cap_w", .value = from * factor, .cls = CLAIM_CONTRACT, .by = "uniform",
                          .until_us = now + 3600 * SECOND};
        if (c.value >= most)
            arbiter_release(h->arbiter, i, "cap_w", "uniform");
        else
            arbiter_claim(h->arbiter, &c, NULL);
    }
    host_kick(h);
    timer_in(t->loop, &t->uniform, PERIOD_S * SECOND, on_uniform, t);
}

static void load(struct trial *t, double least, double most) {
    char path[ESTATE_PATH], command[ESTATE_PATH + 32];
    for (oid i = 0; (i = estate_child(t->house.host.estate, t->rack, "node", i));) {
        estate_path(t->house.host.estate, i, path);
        snprintf(command, sizeof command, "load %s %.4f", path, least + (most - least) * rng_unit(&t->rng));
        world_poke(twin_world(t->house.twin), command, NULL);
    }
}

static int trial_run(uint64_t seed, enum way way, struct trial *t, struct err *e) {
    memset(t, 0, sizeof *t);
    t->rng = rng_new(seed);
    t->loop = loop_new(LOOP_VIRTUAL, T0);
    int rc = house_open(&t->house, t->loop, NULL, seed, e);
    if (!rc)
        rc = host_import(&t->house.host, "share/estates/rack.yaml", e);
    if (!rc)
        rc = house_start(&t->house, seed, e);
    if (!rc)
        rc = host_cap_set_mode(&t->house.host, "powercap", way == WAY_POWERCAP ? MODE_ACT : MODE_OFF, e);
    if (rc)
        return rc;
    t->rack = estate_next(t->house.host.estate, "rack", 0);
    t->pdu = estate_next(t->house.host.estate, "pdu", 0);
    t->budget_w = estate_get(t->house.host.estate, t->rack, rack)->budget_w;
    load(t, 0.2, 0.4);
    timer_in(t->loop, &t->second, SECOND, on_second, t);
    if (way == WAY_UNIFORM)
        timer_in(t->loop, &t->uniform, PERIOD_S * SECOND, on_uniform, t);
    loop_run_until(t->loop, T0 + (300 + (int64_t)rng_below(&t->rng, 60)) * SECOND);
    load(t, 0.8, 1.0);
    loop_run_until(t->loop, T0 + (1500 + (int64_t)rng_below(&t->rng, 60)) * SECOND);
    load(t, 0.3, 0.6);
    loop_run_until(t->loop, T0 + (2000 + (int64_t)rng_below(&t->rng, 60)) * SECOND);
    load(t, 0.9, 1.0);
    loop_run_until(t->loop, T0 + MINUTES * 60 * SECOND);
    timer_cancel(t->loop, &t->second);
    timer_cancel(t->loop, &t->uniform);
    house_close(&t->house);
    loop_free(t->loop);
    return 0;
}

int main(int argc, char **argv) {
    int seeds = argc > 1 && !strcmp(argv[1], "--quick") ? 5 : 20;
    struct trial worst[WAYS] = {0}, t;
    struct err e = {0};
    for (int way = 0; way < WAYS; way++)
        for (int seed = 1; seed <= seeds; seed++) {
            struct trial *w = &worst[way];
            if (trial_run((uint64_t)seed, (enum way)way, &t, &e)) {
                fprintf(stderr, "powercap: %s %s\n", e.place, e.message);
                return 1;
            }
            w->longest_s = t.longest_s > w->longest_s ? t.longest_s : w->longest_s;
            w->over_ws = t.over_ws > w->over_ws ? t.over_ws : w->over_ws;
            w->worst_w = t.worst_w > w->worst_w ? t.worst_w : w->worst_w;
            w->work_high += t.work_high;
            w->work_low += t.work_low;
        }
    const struct trial *own = &worst[WAY_POWERCAP], *uniform = &worst[WAY_UNIFORM], *nothing = &worst[WAY_NOTHING];
    double target_s = 60, kept = own->work_high / nothing->work_high, target_kept = 0.9;
    bool quick_enough = own->longest_s <= target_s, kept_enough = kept >= target_kept;
    printf("{\"goal\":\"powercap-overshoot\",\"value\":%.0f,\"unit\":\"s\",\"target\":%.0f,"
           "\"peer\":{\"uniform scaling\":%.0f,\"no capping\":%.0f},\"ok\":%s,"
           "\"over_ws\":%.0f,\"peer_over_ws\":{\"uniform scaling\":%.0f,\"no capping\":%.0f},\"seeds\":%d}\n",
           own->longest_s, target_s, uniform->longest_s, nothing->longest_s, quick_enough ? "true" : "false",
           own->over_ws, uniform->over_ws, nothing->over_ws, seeds);
    printf("{\"goal\":\"powercap-priority\",\"value\":%.4f,\"unit\":\"1\",\"target\":%g,"
           "\"peer\":{\"uniform scaling\":%.4f},\"ok\":%s,\"all_work_ratio\":%.4f,\"peer_all_work_ratio\":%.4f,"
           "\"seeds\":%d}\n",
           kept, target_kept, uniform->work_high / nothing->work_high, kept_enough ? "true" : "false",
           (own->work_high + own->work_low) / (nothing->work_high + nothing->work_low),
           (uniform->work_high + uniform->work_low) / (nothing->work_high + nothing->work_low), seeds);
    return quick_enough && kept_enough ? 0 : 1;
}
