/* Executors: starting, following, stopping; leases; and bringing both sides to agree after a cut. */
#include "cap/placement/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MAX_US = 2000000, STOP_GRACE_US = 2000000, START_AGAIN_US = 15000000 };

/* -- small requests whose answer only matters when it fails -- */

struct errand {
    struct device_request r;
    struct placement *p;
    oid task, agent;
    int64_t attempt;
    union {
        struct exec_task task;
        struct exec_stop stop;
        struct exec_lease lease;
        struct exec_input fetch;
        struct exec_start start;
    } in;
    struct exec_list list;
    int64_t sent_us;
    oid centre;
};

static struct errand *errand_new(struct placement *p, oid agent, void (*done)(struct device_request *r, int rc)) {
    struct errand *x = calloc(1, sizeof *x);
    x->p = p;
    x->agent = agent;
    x->sent_us = loop_now_us(p->host->loop);
    x->r = (struct device_request){.in = &x->in, .done = done, .ctx = x};
    return x;
}

static void send(struct errand *x, const char *verb) { device_submit(x->p->host->devices, x->agent, verb, &x->r); }

/* A stop or a forget that may not have arrived: what the executor still holds is compared again at the next tick. */
static void errand_done(struct device_request *r, int rc) {
    struct errand *x = r->ctx;
    if (rc && rc != E_NOTFOUND)
        agent_known(x->p, x->agent)->is_unsure = true;
    free(x);
}

void reconcile_stop(struct placement *p, oid task, oid agent, int64_t attempt) {
    if (!estate_alive(p->host->estate, agent))
        return;
    struct errand *x = errand_new(p, agent, errand_done);
    str_copy(x->in.stop.task, sizeof x->in.stop.task, estate_name(p->host->estate, task));
    x->in.stop.attempt = attempt;
    x->in.stop.grace_us = STOP_GRACE_US;
    send(x, "stop");
}

/* What has ended is forgotten by the executor only after our commit of its result. */
static void forget_now(void *ctx) {
    struct errand *x = ctx;
    send(x, "forget");
}

static void forget(struct placement *p, oid agent, const char *task, int64_t attempt) {
    struct errand *x = errand_new(p, agent, errand_done);
    str_copy(x->in.task.task, sizeof x->in.task.task, task);
    x->in.task.attempt = attempt;
    host_after_commit(p->host, forget_now, x);
}

/* -- start -- */

/* Where `digest` is to be fetched from when `to` does not have it. */
static void input_fill(const struct estate *s, oid from, oid to, const char *name, const char *digest, int64_t size,
                       struct exec_input *out) {
    str_copy(out->name, sizeof out->name, name);
    str_copy(out->digest, sizeof out->digest, digest);
    out->size_bytes = size;
    oid peer = from != to && estate_alive(s, from) ? centre_agent(s, from) : 0;
    if (!peer)
        return;
    const struct agent *a = estate_get(s, peer, agent);
    const struct link *l = centre_link(s, from, to);
    str_copy(out->peer, sizeof out->peer, a->address);
    snprintf(out->peer_name, sizeof out->peer_name, "agent/%s", estate_name(s, peer));
    if (l) {
        out->wan_bandwidth_bps = l->bandwidth_bps;
        out->wan_delay_us = l->delay_us;
    }
}

static void start_done(struct device_request *r, int rc) {
    struct errand *x = r->ctx;
    struct placement *p = x->p;
    struct estate *s = p->host->estate;
    /* Not reached: the attempt may or may not have been accepted; asking again with the same number is safe. */
    bool again = rc == E_UNAVAIL || rc == E_TIMEOUT || rc == E_CANCELLED || !rc;
    if (!again && estate_alive(s, x->task)) {
        const struct task *t = estate_get(s, x->task, task);
        if (t->attempt == x->attempt && t->state == TASK_PLACED) {
            char why[200];
            estate_observe(s, x->task, task)->failures++;
            snprintf(why, sizeof why, "the agent refused it: %.180s", r->err.message);
            task_retry(p, x->task, why);
        }
    }
    free(x);
}

void reconcile_start(struct placement *p, oid task) {
    const struct estate *s = p->host->estate;
    const struct task *t = estate_get(s, task, task);
    struct errand *x = errand_new(p, t->agent, start_done);
    struct exec_start *in = &x->in.start;
    x->task = task;
    x->attempt = t->attempt;
    str_copy(in->task, sizeof in->task, estate_name(s, task));
    in->attempt = t->attempt;
    memcpy(in->argv, t->argv, sizeof in->argv);
    in->n_argv = t->n_argv;
    memcpy(in->env, t->env, sizeof in->env);
    in->n_env = t->n_env;
    in->n_inputs = t->n_inputs;
    for (uint32_t i = 0; i < t->n_inputs; i++)
        input_fill(s, t->inputs[i].centre, t->centre, t->inputs[i].name, t->inputs[i].digest, t->inputs[i].size_bytes,
                   &in->inputs[i]);
    in->n_outputs = t->n_outputs;
    for (uint32_t i = 0; i < t->n_outputs; i++)
        str_copy(in->outputs[i].name, sizeof in->outputs[i].name, t->outputs[i].name);
    in->cores = t->cores;
    in->memory_bytes = t->memory_bytes;
    in->time_limit_us = t->time_limit_us;
    in->checkpoints = t->checkpoints;
    if (t->checkpoints && *t->checkpoint)
        input_fill(s, t->checkpoint_centre, t->centre, "latest", t->checkpoint, t->checkpoint_bytes, &in->checkpoint);
    send(x, "start");
}

/* -- reports -- */

static void fetched(struct device_request *r, int rc) {
    struct errand *x = r->ctx;
    struct estate *s = x->p->host->estate;
    if (!rc && estate_alive(s, x->task)) {
        struct task *t = estate_observe(s, x->task, task);
        if (!strcmp(t->checkpoint, x->in.fetch.digest))
            t->checkpoint_centre = x->centre;
    }
    free(x);
}

/* A checkpoint that lies only where the task runs dies with that centre: keep a copy at the nearest other one. */
static void replicate(struct placement *p, oid task) {
    const struct estate *s = p->host->estate;
    const struct task *t = estate_get(s, task, task);
    oid best = 0;
    double nearest = 0;
    for (oid i = 0; (i = estate_next(s, "agent", i));) {
        const struct agent *a = estate_get(s, i, agent);
        const struct link *l = a->centre != t->centre ? centre_link(s, a->centre, t->centre) : NULL;
        if (a->state == AGENT_CONNECTED && l && (!best || l->delay_us < nearest)) {
            best = i;
            nearest = l->delay_us;
        }
    }
    if (!best)
        return;
    struct errand *x = errand_new(p, best, fetched);
    x->task = task;
    x->centre = estate_get(s, best, agent)->centre;
    input_fill(s, t->centre, x->centre, "latest", t->checkpoint, t->checkpoint_bytes, &x->in.fetch);
    send(x, "fetch");
}

static void checkpoint_seen(struct placement *p, oid task, const struct exec_report *r) {
    struct task *t = estate_observe(p->host->estate, task, task);
    if (!*r->checkpoint || !strcmp(t->checkpoint, r->checkpoint))
        return;
    str_copy(t->checkpoint, sizeof t->checkpoint, r->checkpoint);
    t->checkpoint_bytes = r->checkpoint_bytes;
    t->checkpoint_centre = t->centre;
    replicate(p, task);
}

static void done_seen(struct placement *p, oid task, const struct exec_report *r) {
    struct estate *s = p->host->estate;
    struct task *t = estate_observe(s, task, task);
    for (uint32_t i = 0; i < t->n_outputs; i++)
        for (uint32_t k = 0; k < r->n_outputs; k++)
            if (!strcmp(t->outputs[i].name, r->outputs[k].name)) {
                str_copy(t->outputs[i].digest, sizeof t->outputs[i].digest, r->outputs[k].digest);
                t->outputs[i].size_bytes = r->outputs[k].size_bytes;
                t->outputs[i].centre = t->centre;
            }
    str_copy(t->result, sizeof t->result, r->result);
    t->started_us = t->started_us ? t->started_us : r->started_us;
    t->ended_us = r->ended_us;
    t->exit_status = r->exit_status;
    double wall_s = (double)(r->ended_us - r->started_us) * 1e-6;
    account_task(s, t, t->node, wall_s > 0 ? wall_s : 0, r->cpu_s, *r->cpu_from != '\0', r->moved_bytes, t->ended_us,
                 &t->account);
    task_finish(p, task, TASK_DONE, NULL);
}

static bool node_is_down(const struct estate *s, const struct task *t) {
    return !estate_alive(s, t->node) || estate_get(s, t->node, node)->state == NODE_DOWN;
}

static void current_report(struct placement *p, oid task, oid agent, const struct exec_report *r) {
    struct estate *s = p->host->estate;
    bool ended = r->state >= EXEC_DONE;
    checkpoint_seen(p, task, r);
    if (r->state == EXEC_RUNNING && estate_get(s, task, task)->state == TASK_PLACED) {
        estate_move(s, task, TASK_RUNNING, NULL);
        estate_observe(s, task, task)->started_us = r->started_us;
    } else if (r->state == EXEC_DONE) {
        done_seen(p, task, r);
    } else if (r->state == EXEC_FAILED) {
        struct task *t = estate_observe(s, task, task);
        t->failures++;
        t->exit_status = r->exit_status;
        task_retry(p, task, *r->reason ? r->reason : "it failed");
    } else if (ended) {
        bool down = node_is_down(s, estate_get(s, task, task));
        task_retry(p, task, down ? "its node is down" : *r->reason ? r->reason : r->state == EXEC_LOST ? "the agent lost it" : "it was stopped");
    }
    if (ended)
        forget(p, agent, r->task, r->attempt);
}

void reconcile_report(void *ctx, oid agent, const struct exec_report *r) {
    struct placement *p = ctx;
    struct estate *s = p->host->estate;
    oid task = estate_find(s, "task", r->task);
    const struct task *t = task ? estate_get(s, task, task) : NULL;
    bool open = t && (t->state == TASK_PLACED || t->state == TASK_RUNNING);
    if (open && t->agent == agent && t->attempt == r->attempt) {
        current_report(p, task, agent, r);
        host_kick(p->host);
    } else if (r->state >= EXEC_DONE) {
        forget(p, agent, r->task, r->attempt); /* an older attempt, or known already */
    } else {
        /* It runs what nobody wants any more: a cancelled task, or an attempt that was given up. */
        struct errand *x = errand_new(p, agent, errand_done);
        str_copy(x->in.stop.task, sizeof x->in.stop.task, r->task);
        x->in.stop.attempt = r->attempt;
        x->in.stop.grace_us = STOP_GRACE_US;
        send(x, "stop");
    }
}

/* -- agreement after a connection -- */

/* What it holds, then what we thought it holds and it does not. An attempt that began after we asked need not be in the
 * answer, which may be slower than a report: of that one the next list tells. */
static void agree(struct placement *p, oid agent, const struct doc *reports, int64_t asked_us) {
    struct estate *s = p->host->estate;
    struct map attempts = {0}; /* that it holds, by task */
    doc_each(d, reports) {
        struct exec_report rep = {0};
        struct field_env env = estate_env(s);
        map_put(&attempts, doc_get_str(d, "task", ""), NULL)->value.num = (uint64_t)doc_get_int(d, "attempt", 0);
        if (!table_read(&table_exec_report, &rep, d, "list", &env, TABLE_RESTORE, NULL))
            reconcile_report(p, agent, &rep);
    }
    for (oid i = 0; (i = estate_next(s, "task", i));) {
        const struct task *t = estate_get(s, i, task);
        if (t->agent != agent || (t->state != TASK_PLACED && t->state != TASK_RUNNING))
            continue;
        const struct map_entry *held = map_get(&attempts, estate_name(s, i));
        if (held && held->value.num == (uint64_t)t->attempt)
            continue;
        if (t->state == TASK_PLACED)
            reconcile_start(p, i);
        else if (t->started_us < asked_us)
            task_retry(p, i, "its agent came back without it");
        else
            agent_known(p, agent)->is_unsure = true;
    }
    map_free(&attempts);
}

static void list_done(struct device_request *r, int rc) {
    struct errand *x = r->ctx;
    const struct doc *reports = rc ? NULL : x->list.reports;
    if (!estate_alive(x->p->host->estate, x->agent)) {
        free(x);
        return;
    }
    if (reports && reports->type == DOC_SEQ)
        agree(x->p, x->agent, reports, x->sent_us);
    else
        agent_known(x->p, x->agent)->is_unsure = true;
    free(x);
}

static void list_send(struct placement *p, oid agent) {
    struct errand *x = errand_new(p, agent, list_done);
    agent_known(p, agent)->is_unsure = false;
    x->r.in = NULL;
    x->r.out = &x->list;
    send(x, "list");
}

struct known_agent *agent_known(struct placement *p, oid agent) {
    for (size_t i = 0; i < p->agents.n; i++)
        if (p->agents.p[i].agent == agent)
            return &p->agents.p[i];
    vec_push(&p->agents, (struct known_agent){.agent = agent, .epoch = -1});
    return &p->agents.p[p->agents.n - 1];
}

static void lease_done(struct device_request *r, int rc) {
    struct errand *x = r->ctx;
    struct estate *s = x->p->host->estate;
    /* The agent began to count when it got the message, which was before this answer came. */
    if (!rc && estate_alive(s, x->agent)) {
        struct loop *l = x->p->host->loop;
        struct known_agent *k = agent_known(x->p, x->agent);
        k->lease_until_mono_us = loop_mono_us(l) + x->in.lease.lease_us;
        k->granted_us = x->in.lease.lease_us;
        estate_observe(s, x->agent, agent)->lease_until_us = loop_now_us(l) + x->in.lease.lease_us;
    }
    free(x);
}

static void lease_send(struct placement *p, oid agent) {
    struct errand *x = errand_new(p, agent, lease_done);
    x->in.lease.epoch = estate_get(p->host->estate, agent, agent)->epoch;
    x->in.lease.lease_us = p->config->lease_us;
    struct known_agent *k = agent_known(p, agent);
    k->granted_us = k->granted_us > x->in.lease.lease_us ? k->granted_us : x->in.lease.lease_us;
    send(x, "lease");
}

/* A renewal whose answer was lost counts too: the lease counts from the end of the link at the latest. */
static void away_seen(struct placement *p, struct known_agent *k, bool is_away) {
    int64_t until = loop_mono_us(p->host->loop) + k->granted_us;
    if (is_away && !k->is_away && until > k->lease_until_mono_us)
        k->lease_until_mono_us = until;
    k->is_away = is_away;
}

void reconcile_agents(struct placement *p) {
    struct estate *s = p->host->estate;
    for (oid i = 0; (i = estate_next(s, "agent", i));) {
        const struct agent *a = estate_get(s, i, agent);
        struct known_agent *k = agent_known(p, i);
        away_seen(p, k, a->state == AGENT_AWAY);
        if (a->state != AGENT_CONNECTED || k->epoch == a->epoch)
            continue;
        k->epoch = a->epoch;
        lease_send(p, i);
        list_send(p, i);
        function_redeploy(p, i);
    }
}

static void lapse(struct placement *p, oid agent) {
    struct estate *s = p->host->estate;
    int64_t now = loop_now_us(p->host->loop);
    char path[ESTATE_PATH];
    oid centre = estate_get(s, agent, agent)->centre;
    if (estate_move(s, agent, AGENT_LAPSED, NULL))
        return;
    estate_path(s, agent, path);
    host_journal(p->host, "decision", "placement", path, NULL,
                 "the lease of %s has ended: its tasks have stopped and are placed again", path);
    estate_condition(s, agent, "lapsed", SEV_ERROR, "placement", now, "not heard for a lease; its tasks go elsewhere");
    if (estate_alive(s, centre) && estate_get(s, centre, centre)->state != CENTRE_CUT_OFF) {
        estate_move(s, centre, CENTRE_CUT_OFF, NULL);
        estate_condition(s, centre, "cut-off", SEV_CRITICAL, "placement", now, "its agent is not heard");
    }
    functions_gone(p, agent);
    for (oid i = 0; (i = estate_next(s, "task", i));) {
        const struct task *t = estate_get(s, i, task);
        if (t->agent == agent && (t->state == TASK_PLACED || t->state == TASK_RUNNING))
            task_retry(p, i, "its agent was not heard for a lease");
    }
}

void reconcile_tick(void *ctx) {
    struct placement *p = ctx;
    struct estate *s = p->host->estate;
    int64_t now = loop_now_us(p->host->loop);
    for (oid i = 0; (i = estate_next(s, "agent", i));) {
        const struct agent *a = estate_get(s, i, agent);
        if (a->state == AGENT_CONNECTED) {
            lease_send(p, i);
            if (agent_known(p, i)->is_unsure)
                list_send(p, i);
        } else if (a->state == AGENT_AWAY &&
                   loop_mono_us(p->host->loop) > agent_known(p, i)->lease_until_mono_us + p->config->lease_margin_us) {
            lapse(p, i);
        }
    }
    /* A start whose answer was lost is sent again: same attempt, so it cannot run twice. */
    for (oid i = 0; (i = estate_next(s, "task", i));) {
        const struct task *t = estate_get(s, i, task);
        if ((t->state == TASK_PLACED || t->state == TASK_RUNNING) && node_is_down(s, t)) {
            reconcile_stop(p, i, t->agent, t->attempt); /* its report of that places it again */
            continue;
        }
        if (t->state == TASK_PLACED && now - t->placed_us > START_AGAIN_US && estate_alive(s, t->agent) &&
            estate_get(s, t->agent, agent)->state == AGENT_CONNECTED)
            reconcile_start(p, i);
    }
    jobs_prune(p);
    /* At least every 2 s, so that a shorter lease reaches the agents soon after it was configured. */
    int64_t quarter = p->config->lease_us / 4;
    timer_in(p->host->loop, &p->lease_timer, quarter < TICK_MAX_US ? quarter : TICK_MAX_US, reconcile_tick, p);
}
