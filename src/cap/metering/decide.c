/* Decide: add up. Pure; the sums are written by apply(). */
#include "cap/metering/metering.h"

static struct sum *sums_new(const struct view *v, struct plan *p, const char *kind, uint32_t *n) {
    struct sum *list = arena_array(p->arena, struct sum, estate_count(v->estate, kind) + 1);
    *n = 0;
    for (oid i = 0; (i = estate_next(v->estate, kind, i));)
        list[(*n)++].id = i;
    return list;
}

/* Lists are in id order, as iteration is. */
static struct sum *find(struct sum *list, uint32_t n, oid id) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (list[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && list[low].id == id ? &list[low] : NULL;
}

static void racks_add(const struct view *v, struct metering_plan *m) {
    const struct estate *s = v->estate;
    const struct metering_config *c = v->config;
    for (uint32_t i = 0; i < m->n_racks; i++) {
        struct sum *r = &m->racks[i];
        double nodes_w = 0, pdus_w = 0, warm_c = 0;
        int n_warm = 0, n_fresh = 0, n_pdus = 0;
        for (oid k = 0; (k = estate_child(s, r->id, "node", k));) {
            const struct node *n = estate_get(s, k, node);
            nodes_w += n->power_w;
            r->cores_used += n->cores_used;
            r->cores_total += n->state == NODE_UP && n->model ? estate_get(s, n->model, model)->cores : 0;
            if (n->temperature_c > 0) {
                warm_c += n->temperature_c;
                n_warm++;
            }
        }
        for (oid k = 0; (k = estate_child(s, r->id, "pdu", k));) {
            const struct pdu *u = estate_get(s, k, pdu);
            bool fresh = u->read_us && v->now_us - u->read_us <= c->stale_us;
            pdus_w += fresh ? u->power_w : 0;
            n_fresh += fresh;
            n_pdus++;
        }
        /* The PDUs see cords and switches too; but only all of them together see the whole rack. */
        r->power_w = n_pdus && n_fresh == n_pdus ? pdus_w : nodes_w;
        r->inlet_c = n_warm ? warm_c / n_warm : 0;
    }
}

static void up(const struct view *v, struct metering_plan *m) {
    for (uint32_t i = 0; i < m->n_racks; i++) {
        const struct sum *r = &m->racks[i];
        struct sum *h = find(m->halls, m->n_halls, estate_ancestor(v->estate, r->id, "hall"));
        struct sum *c = find(m->centres, m->n_centres, estate_ancestor(v->estate, r->id, "centre"));
        if (h)
            h->power_w += r->power_w;
        if (c) {
            c->power_w += r->power_w;
            c->cores_total += r->cores_total;
            c->cores_used += r->cores_used;
        }
    }
    for (uint32_t i = 0; i < m->n_centres; i++) {
        const struct centre *c = estate_get(v->estate, m->centres[i].id, centre);
        m->centres[i].power_w *= c->pue_ratio;
        if (c->grid)
            m->centres[i].carbon_g_per_h = m->centres[i].power_w * estate_get(v->estate, c->grid, grid)->factor_kg_per_kwh;
    }
}

enum { LINK_WINDOW_US = 60000000 };

static void fetched(const struct estate *s, struct metering_plan *m, oid from, oid to, int64_t bytes) {
    for (uint32_t i = 0; i < m->n_links; i++) {
        const struct link *l = estate_get(s, m->links[i].id, link);
        if ((l->from == from && l->to == to) || (l->from == to && l->to == from))
            m->links[i].used_bps += (double)bytes * 8 / (LINK_WINDOW_US / 1000000);
    }
}

static void links_add(const struct view *v, struct metering_plan *m) {
    const struct estate *s = v->estate;
    for (oid i = 0; m->n_links && (i = estate_next(s, "task", i));) {
        const struct task *t = estate_get(s, i, task);
        if (!t->started_us || v->now_us - t->started_us > LINK_WINDOW_US)
            continue;
        for (uint32_t k = 0; k < t->n_inputs; k++)
            if (t->inputs[k].centre && t->inputs[k].centre != t->centre)
                fetched(s, m, t->inputs[k].centre, t->centre, t->inputs[k].size_bytes);
    }
}

int metering_decide(const struct view *v, struct plan *p, struct err *e) {
    (void)e;
    struct metering_plan *m = arena_new(p->arena, struct metering_plan);
    m->racks = sums_new(v, p, "rack", &m->n_racks);
    m->halls = sums_new(v, p, "hall", &m->n_halls);
    m->centres = sums_new(v, p, "centre", &m->n_centres);
    m->links = sums_new(v, p, "link", &m->n_links);
    racks_add(v, m);
    up(v, m);
    links_add(v, m);
    p->own = m;
    return 0;
}
