/* Decide: which caps each rack needs now. Pure: all it knows is the estate and what apply has kept. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cap/powercap/powercap.h"
#include "estate/kinds.h"

enum { SETTLE_US = 2000000, READ_BACK_US = 40000000, ADVICE_TEXT = 120 };
#define LOSS_MAX_RATIO 0.10   /* between a rack's meter and its servers: more is a reading that lies */
#define BLIND_LOSS_RATIO 0.05 /* assumed without sight */
#define LEAST_W 0.5           /* less is rounding: caps are whole watts */

struct seat { /* a node of the rack under decision */
    oid id;
    int64_t priority;
    double power_w;           /* what it draws, or could draw as far as is known */
    double floor_w, most_w;   /* least that a cap brings it to; nameplate */
    double cap_w, next_w;     /* 0 = none */
    bool is_up;
};

struct round {
    const struct view *v;
    const struct powercap *p;
    const struct powercap_config *config;
    struct plan *plan;
    struct powercap_plan *own;
    /* the rack */
    oid rack;
    char path[ESTATE_PATH];
    double budget_w, power_w, scale, high_w, aim_w, low_w;
    int64_t read_us; /* of the oldest reading */
    size_t n_pdus;
    bool is_blind, is_trip; /* is_trip: a PDU's own limit binds */
    bool holds;             /* caps are in force on some of its nodes */
    struct rack_keep keep;
    struct seat *seats;
    size_t n_seats, cap_seats;
};

static int by_id(const void *x, const void *y) {
    oid a = *(const oid *)x, b = *(const oid *)y;
    return a < b ? -1 : a > b;
}

const struct cap_keep *powercap_kept(const struct powercap *p, oid node) {
    return p->caps.n ? bsearch(&node, p->caps.p, p->caps.n, sizeof *p->caps.p, by_id) : NULL;
}

static bool has_condition(const struct estate *s, oid id, const char *name, enum severity least) {
    const struct condition *c;
    size_t n = estate_conditions(s, id, &c);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(c[i].name, name) && c[i].severity >= least)
            return true;
    return false;
}

/* -- looking -- */

/* A PDU that is near its own limit tightens the marks: the rack may draw only so much that the unit keeps below it. */
static void look_at_pdus(struct round *r) {
    const struct estate *s = r->v->estate;
    r->power_w = 0;
    r->n_pdus = 0;
    r->read_us = INT64_MAX;
    for (oid i = 0; (i = estate_child(s, r->rack, "pdu", i)); r->n_pdus++) {
        const struct pdu *p = estate_get(s, i, pdu);
        r->power_w += p->power_w;
        r->read_us = p->read_us < r->read_us ? p->read_us : r->read_us;
    }
    int64_t since = r->read_us > r->p->started_us ? r->read_us : r->p->started_us;
    r->is_blind = r->v->now_us - since > r->config->stale_us;
    double margin = r->config->margin_ratio * r->budget_w;
    r->high_w = r->budget_w - margin;
    r->is_trip = false;
    for (oid i = 0; (i = estate_child(s, r->rack, "pdu", i));) {
        const struct pdu *p = estate_get(s, i, pdu);
        if (!(p->limit_w > 0) || !(p->power_w > 0))
            continue;
        double allowed = r->power_w * p->limit_w * (1 - r->config->trip_margin_ratio) / p->power_w;
        if (allowed < r->high_w) {
            r->high_w = allowed;
            r->is_trip = r->power_w > allowed - 2 * margin;
        }
    }
    r->aim_w = r->high_w - margin;
    r->low_w = r->aim_w - margin;
}

/* Without a reading of its own a node that is up may draw all that its cap, or its nameplate, allows. */
static void seat_fill(struct round *r, oid id, struct seat *seat) {
    const struct estate *s = r->v->estate;
    const struct node *n = estate_get(s, id, node);
    const struct model *m = estate_get(s, n->model, model);
    const struct cap_keep *kept = powercap_kept(r->p, id);
    double idle = model_power_w(m, 0), limit;
    *seat = (struct seat){.id = id, .priority = n->priority, .most_w = model_power_w(m, 1),
                          .is_up = n->state != NODE_DOWN};
    seat->floor_w = ceil(m->cap_min_w > idle ? m->cap_min_w : idle);
    if (kept)
        seat->cap_w = kept->cap_w;
    else if (r->v->now_us - r->p->started_us < 2 * r->config->release_after_us && !has_condition(s, id, "overridden", 0))
        seat->cap_w = n->cap_w; /* left by an earlier life: taken over, given back in steps */
    limit = seat->cap_w > 0 ? seat->cap_w : seat->most_w;
    if (has_condition(s, id, "overridden", 0))
        limit = n->cap_w > 0 ? n->cap_w : seat->most_w;
    seat->power_w = r->is_blind || (seat->is_up && !(n->power_w > 0)) ? limit : n->power_w < limit ? n->power_w : limit;
    if (!seat->is_up)
        seat->power_w = 0;
    seat->next_w = seat->cap_w;
}

static int by_priority(const void *x, const void *y) {
    const struct seat *a = x, *b = y;
    return a->priority != b->priority ? (a->priority < b->priority ? -1 : 1) : by_id(&a->id, &b->id);
}

static void look_at_nodes(struct round *r) {
    const struct estate *s = r->v->estate;
    double sum = 0;
    r->n_seats = 0;
    r->holds = false;
    for (oid i = 0; (i = estate_child(s, r->rack, "node", i));) {
        if (r->n_seats == r->cap_seats) {
            struct seat *more = arena_array(r->plan->arena, struct seat, r->cap_seats ? r->cap_seats * 2 : 64);
            if (r->n_seats)
                memcpy(more, r->seats, r->n_seats * sizeof *more);
            r->cap_seats = r->cap_seats ? r->cap_seats * 2 : 64;
            r->seats = more;
        }
        seat_fill(r, i, &r->seats[r->n_seats]);
        r->holds |= r->seats[r->n_seats].cap_w > 0;
        sum += r->seats[r->n_seats++].power_w;
    }
    qsort(r->seats, r->n_seats, sizeof *r->seats, by_priority);
    r->scale = sum > 0 ? r->power_w / sum : 1;
    r->scale = r->scale < 1 ? 1 : r->scale > 1 + LOSS_MAX_RATIO ? 1 + LOSS_MAX_RATIO : r->scale;
    if (r->is_blind) {
        r->scale = 1 + BLIND_LOSS_RATIO;
        r->power_w = sum * r->scale;
    }
}

/* -- lowering and raising -- */

static size_t group_end(const struct round *r, size_t from) {
    size_t to = from;
    while (to < r->n_seats && r->seats[to].priority == r->seats[from].priority)
        to++;
    return to;
}

/* What the servers must give, lowest priority first. Returns what they cannot. */
static double lower(struct round *r, double need_w) {
    for (size_t from = 0, to; from < r->n_seats && need_w > LEAST_W; from = to) {
        double room = 0;
        to = group_end(r, from);
        for (size_t i = from; i < to; i++)
            room += r->seats[i].power_w > r->seats[i].floor_w ? r->seats[i].power_w - r->seats[i].floor_w : 0;
        if (!(room > 0))
            continue;
        double part = need_w < room ? need_w / room : 1;
        for (size_t i = from; i < to; i++) {
            struct seat *seat = &r->seats[i];
            double give = seat->power_w - seat->floor_w;
            if (!(give > 0))
                continue;
            double cap = floor(seat->power_w - give * part);
            cap = cap < seat->floor_w ? seat->floor_w : cap;
            if (!(seat->cap_w > 0) || cap < seat->cap_w)
                seat->next_w = cap;
        }
        need_w -= room * part;
    }
    return need_w > LEAST_W ? need_w : 0;
}

/* Gives `spare_w` back, highest priority first; a cap that reaches the nameplate is released. */
static void raise_caps(struct round *r, double spare_w) {
    for (size_t to = r->n_seats, from; to > 0 && spare_w > 0; to = from) {
        double want = 0;
        for (from = to - 1; from > 0 && r->seats[from - 1].priority == r->seats[to - 1].priority;)
            from--;
        for (size_t i = from; i < to; i++)
            want += r->seats[i].cap_w > 0 ? r->seats[i].most_w - r->seats[i].cap_w : 0;
        double part = want > spare_w ? spare_w / want : 1;
        for (size_t i = from; i < to; i++) {
            struct seat *seat = &r->seats[i];
            if (!(seat->cap_w > 0))
                continue;
            double cap = floor(seat->cap_w + (seat->most_w - seat->cap_w) * part);
            seat->next_w = part >= 1 || cap >= seat->most_w - 1 ? 0 : cap;
        }
        spare_w -= want * part;
    }
}

/* -- telling -- */

static struct doc *reasons(const struct round *r) {
    struct arena *a = r->plan->arena;
    struct doc *d = doc_map(a), *nodes = doc_seq(a);
    doc_put_real(a, d, "power_w", r->power_w);
    doc_put_real(a, d, "budget_w", r->budget_w);
    doc_put_real(a, d, "high_w", r->high_w);
    doc_put_real(a, d, "aim_w", r->aim_w);
    doc_put_bool(a, d, "measured", !r->is_blind);
    doc_put_bool(a, d, "trip_limit_binds", r->is_trip);
    for (size_t i = 0; i < r->n_seats; i++) {
        const struct seat *seat = &r->seats[i];
        if (seat->next_w == seat->cap_w)
            continue;
        struct doc *n = doc_map(a);
        doc_put_str(a, n, "node", estate_name(r->v->estate, seat->id));
        doc_put_int(a, n, "priority", seat->priority);
        doc_put_real(a, n, "power_w", seat->power_w);
        doc_put_real(a, n, "from_w", seat->cap_w);
        doc_put_real(a, n, "to_w", seat->next_w);
        doc_push(nodes, n);
    }
    doc_put(d, "nodes", nodes);
    return d;
}

static void note_change(struct round *r, size_t changed, bool is_lower) {
    const char *path = arena_strdup(r->plan->arena, r->path);
    /* In advise mode nothing is kept, so the same change comes up each time: the conditions remember that it was told. */
    if (!r->holds && (has_condition(r->v->estate, r->rack, "over-budget", SEV_WARNING) ||
                      has_condition(r->v->estate, r->rack, "near-budget", 0) ||
                      has_condition(r->v->estate, r->rack, "not-measured", 0)))
        return;
    if (r->is_blind)
        plan_note(r->plan, path, reasons(r),
                  "%s is not measured and could draw %.0f W, budget %.0f W: cap %zu nodes so that it cannot", r->path,
                  r->power_w, r->budget_w, changed);
    else if (is_lower)
        plan_note(r->plan, path, reasons(r), "%s draws %.0f W, above %.0f W (%s): lower %zu nodes to reach %.0f W",
                  r->path, r->power_w, r->high_w, r->is_trip ? "its PDU's trip limit less a margin" : "budget less a margin",
                  changed, r->aim_w);
    else
        plan_note(r->plan, path, reasons(r), "%s draws %.0f W, below %.0f W: give %zu nodes something back", r->path,
                  r->power_w, r->low_w, changed);
}

/* Names the nodes whose end would bring the rack to its aim. Advice only: ending work is a person's decision. */
static void advise_shedding(const struct round *r, double short_w, char out[ADVICE_TEXT]) {
    size_t at = 0;
    out[0] = '\0';
    for (size_t k = 0; k < r->n_seats && short_w > 0; k++) {
        const struct seat *seat = &r->seats[k];
        double saves = seat->next_w > 0 && seat->next_w < seat->power_w ? seat->next_w : seat->power_w;
        if (!(saves > 0))
            continue;
        short_w -= saves;
        int n = snprintf(out + at, ADVICE_TEXT - at, "%s%s", at ? ", " : "", estate_name(r->v->estate, seat->id));
        if (n < 0 || at + (size_t)n >= ADVICE_TEXT - 8) {
            str_copy(out + at, ADVICE_TEXT - at, " …");
            return;
        }
        at += (size_t)n;
    }
}

static void conditions(struct round *r, double short_w) {
    const struct estate *s = r->v->estate;
    if (r->is_blind)
        plan_condition(r->plan, r->rack, "not-measured", SEV_WARNING,
                       "a PDU was not read for %lld s: caps hold the budget whatever the load",
                       (long long)(r->config->stale_us / 1000000));
    else if (has_condition(s, r->rack, "not-measured", 0))
        plan_condition(r->plan, r->rack, "not-measured", SEV_WARNING, NULL);
    bool known = has_condition(s, r->rack, "over-budget", 0), near = has_condition(s, r->rack, "near-budget", 0);
    bool is_near = !r->is_blind && !r->holds && r->power_w > r->high_w && r->power_w <= r->budget_w;
    if (is_near && !near)
        plan_condition(r->plan, r->rack, "near-budget", SEV_NOTICE, "%.0f W of %.0f W, above the mark of %.0f W",
                       r->power_w, r->budget_w, r->high_w);
    else if (near && !is_near && (r->holds || r->power_w < r->aim_w || r->power_w > r->budget_w))
        plan_condition(r->plan, r->rack, "near-budget", SEV_NOTICE, NULL);
    if (r->power_w > r->budget_w && short_w > 0) {
        char who[ADVICE_TEXT];
        advise_shedding(r, short_w, who);
        if (!has_condition(s, r->rack, "over-budget", SEV_CRITICAL))
            plan_note(r->plan, arena_strdup(r->plan->arena, r->path), reasons(r),
                      "%s draws %.0f W, budget %.0f W, and caps cannot save %.0f W more: advise to switch off %s",
                      r->path, r->power_w, r->budget_w, short_w, who);
        plan_condition(r->plan, r->rack, "over-budget", SEV_CRITICAL,
                       "%.0f W of %.0f W and all caps at their least: switch off %s", r->power_w, r->budget_w, who);
    } else if (r->power_w > r->budget_w && !r->is_blind) {
        plan_condition(r->plan, r->rack, "over-budget", SEV_WARNING, "%.0f W of %.0f W; caps can bring it below",
                       r->power_w, r->budget_w);
    } else if (known && r->power_w <= r->high_w) {
        plan_condition(r->plan, r->rack, "over-budget", SEV_WARNING, NULL);
    }
    r->own->n_over += r->power_w > r->budget_w;
}

/* -- claims and what is kept -- */

static void keep_seat(struct round *r, const struct seat *seat) {
    const struct node *n = estate_get(r->v->estate, seat->id, node);
    const struct cap_keep *kept = powercap_kept(r->p, seat->id);
    int64_t now = r->v->now_us;
    struct cap_keep next = {seat->id, seat->next_w, kept && seat->next_w == seat->cap_w ? kept->changed_us : now};
    bool overridden = has_condition(r->v->estate, seat->id, "overridden", 0);
    bool is_old = now - next.changed_us > READ_BACK_US;
    if (!(seat->cap_w > 0) && !(seat->next_w > 0) && !kept)
        return;
    if (next.cap_w > 0) {
        plan_claim(r->plan, seat->id, "cap_w", next.cap_w, r->is_trip ? CLAIM_SAFETY : CLAIM_CONTRACT,
                   r->config->lease_us, "%s: %.0f W of %.0f W%s, priority %lld", r->path, r->power_w, r->budget_w,
                   r->is_blind ? " possible, not measured" : r->is_trip ? ", near a trip" : "", (long long)seat->priority);
        if (is_old && seat->is_up && !overridden && fabs(n->cap_w - next.cap_w) > 1) {
            r->own->lost[r->own->n_lost++] = seat->id;
            next.changed_us = now;
        }
    } else if (seat->cap_w > 0) {
        r->own->released[r->own->n_released++] = seat->id;
    } else if (is_old) {
        if (!(n->cap_w > 0) || overridden)
            return; /* the node shows that it is free */
        next.cap_w = n->cap_w; /* the release was lost: hold it again, then give it back again */
        next.changed_us = now;
    }
    r->own->caps[r->own->n_caps++] = next;
}

static struct rack_keep rack_kept(const struct round *r) {
    const struct rack_keep *k =
        r->p->racks.n ? bsearch(&r->rack, r->p->racks.p, r->p->racks.n, sizeof *k, by_id) : NULL;
    return k ? *k : (struct rack_keep){.rack = r->rack, .lowered_us = r->p->started_us};
}

static void rack_decide(struct round *r) {
    int64_t now = r->v->now_us;
    double short_w = 0;
    size_t changed = 0;
    estate_path(r->v->estate, r->rack, r->path);
    look_at_pdus(r);
    if (!r->n_pdus) {
        if (!has_condition(r->v->estate, r->rack, "no-meter", 0))
            plan_condition(r->plan, r->rack, "no-meter", SEV_WARNING, "it has a budget of %.0f W, but no PDU measures it",
                           r->budget_w);
        return;
    }
    look_at_nodes(r);
    r->keep = rack_kept(r);
    bool is_settled = r->is_blind || r->read_us > r->keep.changed_us + SETTLE_US;
    bool is_low = r->power_w < r->low_w && !r->is_blind;
    if (is_settled && r->power_w > r->high_w) {
        short_w = lower(r, (r->power_w - r->aim_w) / r->scale);
    } else if (is_settled && is_low && now - r->keep.lowered_us >= r->config->release_after_us &&
               now - r->keep.changed_us >= r->config->release_after_us / 2) {
        double spare = (r->aim_w - r->power_w) / r->scale, most = r->config->release_ratio * r->budget_w;
        raise_caps(r, spare < most ? spare : most);
    }
    bool is_lower = false;
    for (size_t i = 0; i < r->n_seats; i++) {
        const struct seat *seat = &r->seats[i];
        changed += seat->next_w != seat->cap_w;
        is_lower |= seat->next_w > 0 && (!(seat->cap_w > 0) || seat->next_w < seat->cap_w);
    }
    if (changed) {
        note_change(r, changed, is_lower);
        r->keep.changed_us = now;
        r->keep.lowered_us = is_lower ? now : r->keep.lowered_us;
    }
    if (is_settled)
        conditions(r, short_w);
    for (size_t i = 0; i < r->n_seats; i++)
        keep_seat(r, &r->seats[i]);
    r->own->racks[r->own->n_racks++] = r->keep;
}

int powercap_decide(const struct view *v, struct plan *plan, struct err *e) {
    const struct estate *s = v->estate;
    (void)e;
    size_t nodes = estate_count(s, "node") + 1, racks = estate_count(s, "rack") + 1;
    struct round *r = arena_new(plan->arena, struct round);
    *r = (struct round){.v = v, .p = v->state, .config = v->config, .plan = plan,
                        .own = arena_new(plan->arena, struct powercap_plan)};
    plan->own = r->own;
    r->own->caps = arena_array(plan->arena, struct cap_keep, nodes);
    r->own->racks = arena_array(plan->arena, struct rack_keep, racks);
    r->own->released = arena_array(plan->arena, oid, nodes);
    r->own->lost = arena_array(plan->arena, oid, nodes);
    for (oid i = 0; (i = estate_next(s, "rack", i));) {
        r->rack = i;
        r->budget_w = estate_get(s, i, rack)->budget_w;
        if (r->budget_w > 0)
            rack_decide(r);
    }
    qsort(r->own->caps, r->own->n_caps, sizeof *r->own->caps, by_id); /* racks are in id order already */
    return 0;
}
