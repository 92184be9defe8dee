/* The scenario's door: what happens to the world without any controller asking for it. One table row a command. */
#include "world/world_private.h"

#include <stdio.h>

struct poke {
    const char *word;
    enum thing of;
    bool takes_value;
    double min, max;
    int (*fn)(struct world *w, uint32_t i, double value, struct err *e);
    const char *form;
};

static int poke_load(struct world *w, uint32_t n, double v, struct err *e) {
    (void)e;
    w->n_forced[n] = v;
    rack_settle(w, w->m->n_rack[n]);
    return 0;
}
static int poke_free(struct world *w, uint32_t n, double v, struct err *e) {
    return poke_load(w, n, -1, e);
}
static int poke_fail(struct world *w, uint32_t n, double v, struct err *e) {
    (void)v, (void)e;
    w->n_failed[n] = true;
    rack_settle(w, w->m->n_rack[n]);
    return 0;
}
static int poke_repair(struct world *w, uint32_t n, double v, struct err *e) {
    (void)v, (void)e;
    w->n_failed[n] = false;
    w->n_on[n] = true;
    rack_settle(w, w->m->n_rack[n]);
    return 0;
}
static int poke_trip(struct world *w, uint32_t p, double v, struct err *e) {
    (void)v, (void)e;
    w->p_tripped[p] = true;
    rack_settle(w, w->m->p_rack[p]);
    return 0;
}
static int poke_reset(struct world *w, uint32_t p, double v, struct err *e) {
    (void)v, (void)e;
    w->p_tripped[p] = false;
    w->p_over[p] = 0;
    rack_settle(w, w->m->p_rack[p]);
    return 0;
}
static int poke_supply(struct world *w, uint32_t r, double v, struct err *e) {
    (void)e;
    rack_air_to(w, r, w->now_us);
    w->r_supply[r] = v;
    return 0;
}
static int cut_set(struct world *w, uint32_t r, bool cut) {
    w->r_cut[r] = cut;
    rack_settle(w, r);
    return 0;
}
static int poke_cut(struct world *w, uint32_t r, double v, struct err *e) {
    (void)v, (void)e;
    return cut_set(w, r, true);
}
static int poke_feed(struct world *w, uint32_t r, double v, struct err *e) {
    (void)v, (void)e;
    return cut_set(w, r, false);
}
static int poke_rack_load(struct world *w, uint32_t r, double v, struct err *e) {
    (void)e;
    for (uint32_t n = w->m->r_first_node[r]; n < w->m->r_first_node[r] + w->m->r_n_nodes[r]; n++)
        w->n_forced[n] = v;
    rack_settle(w, r);
    return 0;
}

static const struct poke pokes[] = {
    {"load", THING_NODE, true, 0, 1, poke_load, "load node/NAME 0..1"},
    {"load", THING_RACK, true, 0, 1, poke_rack_load, "load rack/NAME 0..1"},
    {"unload", THING_NODE, false, 0, 0, poke_free, "unload node/NAME"},
    {"fail", THING_NODE, false, 0, 0, poke_fail, "fail node/NAME"},
    {"repair", THING_NODE, false, 0, 0, poke_repair, "repair node/NAME"},
    {"trip", THING_PDU, false, 0, 0, poke_trip, "trip pdu/NAME"},
    {"reset", THING_PDU, false, 0, 0, poke_reset, "reset pdu/NAME"},
    {"cut", THING_RACK, false, 0, 0, poke_cut, "cut rack/NAME"},
    {"feed", THING_RACK, false, 0, 0, poke_feed, "feed rack/NAME"},
    {"supply", THING_RACK, true, -20, 60, poke_supply, "supply rack/NAME -20..60"},
};
enum { POKES = sizeof pokes / sizeof pokes[0] };

static int poke_refuse(struct err *e, const char *command) {
    err_set(e, E_INVAL, "the world does not know how to '%.100s'", command);
    err_hint(e, "one of: load node|rack, unload, fail, repair node, trip, reset pdu, cut, feed, supply rack");
    return E_INVAL;
}

int world_poke(struct world *w, const char *command, struct err *e) {
    static const char *const kinds[] = {"centre", "rack", "node", "pdu"};
    char word[16], kind[16], name[ESTATE_NAME], rest[2];
    double value = 0;
    int got = sscanf(command, "%15s %15[a-z]/%63s %lf %1s", word, kind, name, &value, rest);
    if (got < 3 || got > 4)
        return poke_refuse(e, command);
    for (size_t i = 0; i < POKES; i++) {
        const struct poke *p = &pokes[i];
        if (strcmp(p->word, word) || strcmp(kinds[p->of], kind))
            continue;
        if (p->takes_value != (got == 4) || (p->takes_value && !(value >= p->min && value <= p->max)))
            return err_set(e, E_INVAL, "'%.100s': the form is '%s'", command, p->form);
        for (size_t t = 0; t < w->m->n_things; t++) {
            const struct thing_index *x = &w->m->things[t];
            if (x->type == p->of && !strcmp(x->name, name))
                return p->fn(w, x->index, value, e);
        }
        return err_set(e, E_NOTFOUND, "the world has no %s/%s", kind, name);
    }
    return poke_refuse(e, command);
}
