/* Decide: every ready task to the centre the policy likes best, or a reason why it waits. Pure. */
#include "cap/placement/placement.h"

#include <string.h>

enum { PLACED_MAX = 512, SHAPES_MAX = 64, BACKOFF_US = 1000000, BACKOFF_MAX_US = 60000000 };

/* Shapes that found no room in this cycle: the same shape need not be asked again. */
struct refused_shape {
    int64_t cores, memory_bytes;
    oid job;
    const char *pin, *why;
};

static const char *policy_of(const struct placement *p, const struct job *j) {
    return *j->policy ? j->policy : p->config->policy;
}

/* Mean CPU time of the job's finished tasks with the same program: the next one will be like them. */
static double expected_core_s(const struct estate *s, oid job, const struct task *like) {
    double sum = 0;
    int n = 0;
    for (oid i = 0; (i = estate_child(s, job, "task", i)) && n < 8;) {
        const struct task *t = estate_get(s, i, task);
        if (t->state == TASK_DONE && !strcmp(t->argv[0], like->argv[0])) {
            sum += t->account.cpu_s;
            n++;
        }
    }
    return n ? sum / n : 0;
}

static uint32_t busy_centres(const struct estate *s, oid job, oid *out, uint32_t max) {
    uint32_t n = 0;
    for (oid i = 0; (i = estate_child(s, job, "task", i)) && n < max;) {
        const struct task *t = estate_get(s, i, task);
        if (t->state == TASK_PLACED || t->state == TASK_RUNNING)
            out[n++] = t->centre;
    }
    return n;
}

static struct refused_shape *known_refusal(struct refused_shape *list, uint32_t n, const struct task *t, oid job) {
    for (uint32_t i = 0; i < n; i++)
        if (list[i].cores == t->cores && list[i].memory_bytes == t->memory_bytes && list[i].job == job &&
            !strcmp(list[i].pin, t->pin_centre))
            return &list[i];
    return NULL;
}

struct round {
    const struct view *v;
    struct placement *p;
    struct plan *plan;
    struct placement_plan *own;
    struct refused_shape refused[SHAPES_MAX];
    uint32_t n_refused;
    oid busy[PLACED_MAX];
};

static void wait_with(struct round *r, oid task, const char *why) {
    r->own->waiting[r->own->n_waiting].task = task;
    r->own->waiting[r->own->n_waiting++].why = why;
}

/* Attempts that end at once must not follow each other at once: a second after the first was placed, then twice as
 * long each time, up to a minute. One that ran longer than that is followed without a wait. */
static int64_t not_before_us(const struct task *t) {
    int64_t wait = BACKOFF_US;
    for (int64_t i = 1; i < t->attempt && wait < BACKOFF_MAX_US; i++)
        wait *= 2;
    return t->attempt ? t->placed_us + (wait < BACKOFF_MAX_US ? wait : BACKOFF_MAX_US) : 0;
}

/* What made an attempt fail may lie in its centre or its node: the next one goes elsewhere if it can. */
static int decide_away(struct round *r, const struct task *t, const char *policy, const struct sched_config *sc,
                       struct sched_request *q, struct err *e) {
    const struct estate *s = r->v->estate;
    if (t->attempt && estate_alive(s, t->centre) && !*t->pin_centre) {
        q->avoid_centre = estate_name(s, t->centre);
        if (!sched_decide(r->p->sched, policy, sc, q, r->v->now_us, &r->p->decision, e))
            return 0;
        q->avoid_centre = NULL;
    }
    if (t->attempt) {
        q->avoid_node = t->node;
        if (!sched_decide(r->p->sched, policy, sc, q, r->v->now_us, &r->p->decision, e))
            return 0;
        q->avoid_node = 0;
    }
    *e = (struct err){0};
    return sched_decide(r->p->sched, policy, sc, q, r->v->now_us, &r->p->decision, e);
}

/* Why the tenant's quota holds it back; NULL when it does not. */
static const char *over_quota(const struct round *r, const struct task *t, oid tenant) {
    const struct estate *s = r->v->estate;
    const struct tenant *x = estate_alive(s, tenant) ? estate_get(s, tenant, tenant) : NULL;
    if (!x || !x->quota_cores)
        return NULL;
    int64_t used = x->used_cores;
    for (uint32_t i = 0; i < r->own->n; i++)
        if (estate_get(s, estate_parent(s, r->own->placed[i].task), job)->tenant == tenant)
            used += estate_get(s, r->own->placed[i].task, task)->cores;
    return used + t->cores <= x->quota_cores
               ? NULL
               : arena_printf(r->plan->arena, "the quota of tenant %s is %lld cores, and %lld are used",
                              estate_name(s, tenant), (long long)x->quota_cores, (long long)used);
}

static void place_one(struct round *r, oid id) {
    const struct estate *s = r->v->estate;
    const struct task *t = estate_get(s, id, task);
    oid job_id = estate_parent(s, id);
    const struct job *job = estate_get(s, job_id, job);
    int64_t not_before = not_before_us(t);
    if (r->v->now_us < not_before) {
        if (!r->plan->next_us || not_before < r->plan->next_us)
            r->plan->next_us = not_before;
        return;
    }
    const char *quota = over_quota(r, t, job->tenant);
    if (quota) {
        wait_with(r, id, quota);
        return;
    }
    struct refused_shape *known = known_refusal(r->refused, r->n_refused, t, job_id);
    if (known) {
        wait_with(r, id, known->why);
        return;
    }
    struct sched_request q = {
        .task = id, .cores = t->cores, .memory_bytes = t->memory_bytes, .pin_centre = t->pin_centre,
        .inputs = t->inputs, .n_inputs = t->n_inputs, .tenant = job->tenant,
        .expected_core_s = expected_core_s(s, job_id, t), .busy = r->busy,
    };
    q.n_busy = busy_centres(s, job_id, r->busy, PLACED_MAX);
    for (uint32_t i = 0; i < r->own->n && q.n_busy < PLACED_MAX; i++)
        if (estate_parent(s, r->own->placed[i].task) == job_id)
            r->busy[q.n_busy++] = r->own->placed[i].centre;
    struct sched_config sc = {r->p->config->carbon_cny_per_kg, r->p->config->time_cny_per_h, r->p->config->default_core_s};
    struct decision *d = &r->p->decision;
    struct err e = {0};
    if (decide_away(r, t, policy_of(r->p, job), &sc, &q, &e)) {
        const char *why = arena_strdup(r->plan->arena, e.message);
        wait_with(r, id, why);
        if (r->n_refused < SHAPES_MAX)
            r->refused[r->n_refused++] =
                (struct refused_shape){t->cores, t->memory_bytes, job_id, t->pin_centre, why};
        return;
    }
    sched_hold(r->p->sched, d->node, t->cores, t->memory_bytes);
    char path[ESTATE_PATH];
    estate_path(s, id, path);
    struct placed *out = &r->own->placed[r->own->n++];
    *out = (struct placed){.task = id, .centre = d->centre, .node = d->node, .agent = d->agent,
                           .note = r->plan->n_notes};
    str_copy(out->why, sizeof out->why, d->why);
    plan_note(r->plan, arena_strdup(r->plan->arena, path), decision_doc(d, s, r->plan->arena), "place %s in %s: %s",
              estate_name(s, id), estate_name(s, d->centre), d->why);
}

int placement_decide(const struct view *v, struct plan *plan, struct err *e) {
    (void)e;
    struct placement *p = *(struct placement *const *)&v->state;
    struct round *r = arena_new(plan->arena, struct round);
    *r = (struct round){.v = v, .p = p, .plan = plan, .own = arena_new(plan->arena, struct placement_plan)};
    plan->own = r->own;
    r->own->placed = arena_array(plan->arena, struct placed, PLACED_MAX);
    r->own->waiting = arena_zalloc(plan->arena, sizeof *r->own->waiting * (p->ready.n + 1));
    for (size_t i = 0; i < p->ready.n; i++) {
        oid id = p->ready.p[i];
        if (!estate_alive(v->estate, id) || estate_get(v->estate, id, task)->state != TASK_READY)
            continue;
        if (r->own->n == PLACED_MAX) {
            plan->next_us = v->now_us; /* the rest at once, in a cycle of their own */
            break;
        }
        place_one(r, id);
    }
    return 0;
}

void placement_apply(struct host *h, void *state, const struct plan *plan) {
    struct placement *p = state;
    const struct placement_plan *own = plan->own;
    int64_t now = loop_now_us(h->loop);
    if (!own)
        return;
    for (uint32_t i = 0; i < own->n_waiting; i++) {
        const struct task *t = estate_get(h->estate, own->waiting[i].task, task);
        if (strncmp(t->reason, own->waiting[i].why, sizeof t->reason - 1))
            str_copy(estate_observe(h->estate, own->waiting[i].task, task)->reason, sizeof t->reason,
                     own->waiting[i].why);
    }
    for (uint32_t i = 0; i < own->n; i++) {
        const struct placed *pl = &own->placed[i];
        struct task *t = estate_observe(h->estate, pl->task, task);
        if (t->state != TASK_READY || estate_move(h->estate, pl->task, TASK_PLACED, NULL))
            continue;
        t->attempt++;
        t->centre = pl->centre;
        t->node = pl->node;
        t->agent = pl->agent;
        t->placed_us = now;
        t->reason[0] = '\0';
        str_copy(t->why, sizeof t->why, pl->why);
        t->decision = plan->notes[pl->note].sequence;
        task_reserve(h->estate, pl->task);
        job_follow(p, estate_parent(h->estate, pl->task));
    }
    size_t kept = 0;
    for (size_t i = 0; i < p->ready.n; i++)
        if (estate_alive(h->estate, p->ready.p[i]) && estate_get(h->estate, p->ready.p[i], task)->state == TASK_READY)
            p->ready.p[kept++] = p->ready.p[i];
    p->ready.n = kept;
}

void placement_act(struct host *h, void *state, const struct plan *plan) {
    struct placement *p = state;
    const struct placement_plan *own = plan->own;
    for (uint32_t i = 0; own && i < own->n; i++)
        if (estate_alive(h->estate, own->placed[i].task) &&
            estate_get(h->estate, own->placed[i].task, task)->state == TASK_PLACED)
            reconcile_start(p, own->placed[i].task);
    reconcile_agents(p);
}
