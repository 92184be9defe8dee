/* The capacity index: what is free where, kept from the estate's change feed. */
#include "sched/sched_private.h"

#include <stdlib.h>
#include <string.h>

struct sched *sched_new(const struct estate *s) {
    struct sched *c = calloc(1, sizeof *c);
    c->estate = s;
    c->cursor = 0;
    c->stale = true;
    return c;
}

void sched_free(struct sched *c) {
    if (!c)
        return;
    free(c->slots);
    free(c->index);
    free(c);
}

static uint32_t index_of(oid id) { return (uint32_t)(id & 0xffffffffu); }

static void slot_fill(struct sched *c, struct slot *slot, oid node) {
    const struct estate *s = c->estate;
    const struct node *n = estate_get(s, node, node);
    const struct model *m = estate_alive(s, n->model) ? estate_get(s, n->model, model) : NULL;
    slot->node = node;
    slot->centre = estate_ancestor(s, node, "centre");
    slot->cores = m ? m->cores : 0;
    slot->memory_bytes = m ? m->memory_bytes : 0;
    slot->cores_free = n->state == NODE_UP ? slot->cores - n->cores_used : 0;
    slot->memory_free_bytes = n->state == NODE_UP ? slot->memory_bytes - n->memory_used_bytes : 0;
    slot->family = m ? m->accelerator_family : "";
    slot->w_per_core = m && m->cores ? model_power_w(m, 1.0) / (double)m->cores : 0;
    slot->price_per_core_h = m ? m->price_per_core_h : 0;
}

/* A node's place in `slots`; nodes keep their place while they live. */
static struct slot *slot_of(struct sched *c, oid node, bool make) {
    uint32_t i = index_of(node);
    if (i >= c->index_cap) {
        if (!make)
            return NULL;
        uint32_t cap = c->index_cap ? c->index_cap : 1024;
        while (cap <= i)
            cap *= 2;
        c->index = realloc(c->index, cap * sizeof *c->index);
        memset(c->index + c->index_cap, 0, (cap - c->index_cap) * sizeof *c->index);
        c->index_cap = cap;
    }
    if (!c->index[i]) {
        if (!make)
            return NULL;
        if (c->n_slots == c->cap_slots) {
            c->cap_slots = c->cap_slots ? c->cap_slots * 2 : 1024;
            c->slots = realloc(c->slots, c->cap_slots * sizeof *c->slots);
        }
        c->slots[c->n_slots] = (struct slot){0};
        c->index[i] = ++c->n_slots;
    }
    return &c->slots[c->index[i] - 1];
}

static int slot_order(const void *x, const void *y) {
    const struct slot *a = x, *b = y;
    if (a->centre != b->centre)
        return a->centre < b->centre ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

static void centres_fill(struct sched *c) {
    c->n_centres = 0;
    for (oid i = 0; (i = estate_next(c->estate, "centre", i)) && c->n_centres < SCHED_CENTRES_MAX;)
        c->centres[c->n_centres++] = (struct centre_slots){.centre = i};
    uint32_t at = 0;
    while (at < c->n_slots) {
        oid centre = c->slots[at].centre;
        uint32_t end = at;
        while (end < c->n_slots && c->slots[end].centre == centre)
            end++;
        for (uint32_t k = 0; k < c->n_centres; k++)
            if (c->centres[k].centre == centre) {
                c->centres[k].first = at;
                c->centres[k].n = end - at;
            }
        at = end;
    }
    for (oid i = 0; (i = estate_next(c->estate, "agent", i));) {
        const struct agent *a = estate_get(c->estate, i, agent);
        for (uint32_t k = 0; k < c->n_centres; k++)
            if (c->centres[k].centre == a->centre && !c->centres[k].agent)
                c->centres[k].agent = i;
    }
}

static void rebuild(struct sched *c) {
    c->n_slots = 0;
    if (c->index)
        memset(c->index, 0, c->index_cap * sizeof *c->index);
    for (oid i = 0; (i = estate_next(c->estate, "node", i));)
        slot_fill(c, slot_of(c, i, true), i);
    qsort(c->slots, c->n_slots, sizeof *c->slots, slot_order);
    for (uint32_t k = 0; k < c->n_slots; k++)
        c->index[index_of(c->slots[k].node)] = k + 1;
    centres_fill(c);
    c->stale = false;
}

void sched_sync(struct sched *c) {
    struct change ch;
    int got;
    while ((got = estate_changes(c->estate, &c->cursor, &ch)) != 0) {
        if (got < 0) {
            c->stale = true;
            continue;
        }
        bool shapes = !strcmp(ch.kind->name, "node") || !strcmp(ch.kind->name, "centre") ||
                      !strcmp(ch.kind->name, "agent") || !strcmp(ch.kind->name, "model");
        if (!shapes)
            continue;
        if (ch.op == CHANGE_STATE && !strcmp(ch.kind->name, "node") && !c->stale) {
            struct slot *slot = estate_alive(c->estate, ch.id) ? slot_of(c, ch.id, false) : NULL;
            if (slot && slot->node == ch.id)
                slot_fill(c, slot, ch.id);
            else
                c->stale = true;
        } else if (ch.op != CHANGE_STATE && ch.op != CHANGE_CONDITION) {
            c->stale = true;
        }
    }
    if (c->stale)
        rebuild(c);
}

void sched_hold(struct sched *c, oid node, int64_t cores, int64_t memory_bytes) {
    struct slot *slot = slot_of(c, node, false);
    if (!slot || slot->node != node)
        return;
    slot->cores_free -= cores;
    slot->memory_free_bytes -= memory_bytes;
}

/* Best fit: the node that is left with the least free cores, so that large holes stay whole. */
const struct slot *sched_fit(const struct sched *c, const struct centre_slots *cs, const struct sched_request *r) {
    const struct slot *best = NULL;
    for (uint32_t i = cs->first; i < cs->first + cs->n; i++) {
        const struct slot *s = &c->slots[i];
        if (s->cores_free < r->cores || s->memory_free_bytes < r->memory_bytes || s->node == r->avoid_node)
            continue;
        if (r->accelerator_family && strcmp(s->family, r->accelerator_family))
            continue;
        if (!best || s->cores_free < best->cores_free)
            best = s;
    }
    return best;
}

static double price_now(const struct grid *g, int64_t now_us) {
    if (!g->n_price_per_kwh)
        return 0;
    int64_t local_s = now_us / 1000000 + (int64_t)(g->utc_offset_h * 3600);
    int64_t hour = (local_s / 3600) % 24;
    return g->price_per_kwh[g->n_price_per_kwh == 24 ? hour : 0];
}

void sched_offer(struct sched *c, const struct centre_slots *cs, int64_t now_us, struct offer *out) {
    const struct estate *s = c->estate;
    const struct centre *ce = estate_get(s, cs->centre, centre);
    *out = (struct offer){.centre = cs->centre, .agent = cs->agent, .pue_ratio = ce->pue_ratio > 0 ? ce->pue_ratio : 1};
    if (estate_alive(s, ce->grid)) {
        const struct grid *g = estate_get(s, ce->grid, grid);
        out->factor_kg_per_kwh = g->factor_kg_per_kwh;
        out->price_per_kwh = price_now(g, now_us);
    }
    if (estate_alive(s, cs->agent))
        out->is_connected = estate_get(s, cs->agent, agent)->state == AGENT_CONNECTED;
    for (uint32_t i = cs->first; i < cs->first + cs->n; i++) {
        out->cores_free += c->slots[i].cores_free > 0 ? c->slots[i].cores_free : 0;
        out->memory_free_bytes += c->slots[i].memory_free_bytes > 0 ? c->slots[i].memory_free_bytes : 0;
    }
}

size_t sched_offers(struct sched *c, int64_t now_us, struct offer *out, size_t max) {
    sched_sync(c);
    size_t n = 0;
    for (uint32_t k = 0; k < c->n_centres && n < max; k++)
        sched_offer(c, &c->centres[k], now_us, &out[n++]);
    return n;
}
