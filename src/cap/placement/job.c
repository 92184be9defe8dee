/* Jobs and tasks: how they move, and the verbs on them. */
#include "cap/placement/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_MAX = 100 };

/* -- how a task moves -- */

static bool by_priority(const struct estate *s, oid x, oid y) {
    int64_t a = estate_get(s, estate_parent(s, x), job)->priority, b = estate_get(s, estate_parent(s, y), job)->priority;
    return a != b ? a > b : x < y;
}

static void ready_insert(struct placement *p, oid task) {
    const struct estate *s = p->host->estate;
    vec_push(&p->ready, task);
    for (size_t i = p->ready.n - 1; i > 0; i--) {
        oid *q = p->ready.p;
        if (!estate_alive(s, q[i - 1]) || !by_priority(s, q[i], q[i - 1]))
            break;
        oid swap = q[i];
        q[i] = q[i - 1];
        q[i - 1] = swap;
    }
}

/* Where the inputs now are: the producers are done. */
static void inputs_resolve(struct estate *s, struct task *t) {
    for (uint32_t i = 0; i < t->n_inputs; i++) {
        struct artifact_ref *in = &t->inputs[i];
        const struct task *from = estate_alive(s, in->task) ? estate_get(s, in->task, task) : NULL;
        const char *dot = from ? in->name + strlen(in->name) : NULL;
        for (uint32_t k = 0; from && k < from->n_outputs; k++) {
            const struct artifact_ref *o = &from->outputs[k];
            size_t n = strlen(o->name);
            if ((size_t)(dot - in->name) <= n || strcmp(dot - n, o->name))
                continue;
            str_copy(in->digest, sizeof in->digest, o->digest);
            in->size_bytes = o->size_bytes;
            in->centre = from->centre;
        }
    }
}

void task_ready(struct placement *p, oid id) {
    struct estate *s = p->host->estate;
    if (estate_get(s, id, task)->state != TASK_READY && estate_move(s, id, TASK_READY, NULL))
        return;
    inputs_resolve(s, estate_observe(s, id, task));
    ready_insert(p, id);
    host_kick(p->host);
}

void task_release(struct placement *p, oid id) {
    struct estate *s = p->host->estate;
    const struct task *t = estate_get(s, id, task);
    if (t->state != TASK_PLACED && t->state != TASK_RUNNING)
        return;
    if (estate_alive(s, t->agent))
        estate_observe(s, t->agent, agent)->running--;
    if (!estate_alive(s, t->node))
        return;
    struct node *n = estate_observe(s, t->node, node);
    n->cores_used = n->cores_used > t->cores ? n->cores_used - t->cores : 0;
    n->memory_used_bytes = n->memory_used_bytes > t->memory_bytes ? n->memory_used_bytes - t->memory_bytes : 0;
    oid tenant = estate_get(s, estate_parent(s, id), job)->tenant;
    if (estate_alive(s, tenant))
        estate_observe(s, tenant, tenant)->used_cores -= t->cores;
}

void task_reserve(struct estate *s, oid id) {
    const struct task *t = estate_get(s, id, task);
    if (estate_alive(s, t->agent))
        estate_observe(s, t->agent, agent)->running++;
    struct node *n = estate_observe(s, t->node, node);
    n->cores_used += t->cores;
    n->memory_used_bytes += t->memory_bytes;
    oid tenant = estate_get(s, estate_parent(s, id), job)->tenant;
    if (estate_alive(s, tenant))
        estate_observe(s, tenant, tenant)->used_cores += t->cores;
}

void task_retry(struct placement *p, oid id, const char *why) {
    struct host *h = p->host;
    struct task *t = estate_observe(h->estate, id, task);
    const struct job *j = estate_get(h->estate, estate_parent(h->estate, id), job);
    if (t->failures > j->retries_max || t->attempt >= ATTEMPTS_MAX) {
        task_finish(p, id, TASK_FAILED, why);
        return;
    }
    char path[ESTATE_PATH];
    estate_path(h->estate, id, path);
    task_release(p, id);
    str_copy(t->reason, sizeof t->reason, why);
    host_journal(h, "decision", "placement", path, NULL, "try %s again after attempt %lld: %s",
                 estate_name(h->estate, id), (long long)t->attempt, why);
    task_ready(p, id);
}

static void followers_ready(struct placement *p, oid job) {
    struct estate *s = p->host->estate;
    for (oid i = 0; (i = estate_child(s, job, "task", i));) {
        const struct task *t = estate_get(s, i, task);
        if (t->state != TASK_WAITING)
            continue;
        bool all = true;
        for (uint32_t k = 0; k < t->n_after && all; k++)
            all = estate_alive(s, t->after[k]) && estate_get(s, t->after[k], task)->state == TASK_DONE;
        if (all)
            task_ready(p, i);
    }
}

void task_finish(struct placement *p, oid id, int to, const char *why) {
    struct host *h = p->host;
    struct estate *s = h->estate;
    oid job = estate_parent(s, id);
    task_release(p, id);
    struct task *t = estate_observe(s, id, task);
    if (estate_move(s, id, to, NULL))
        return;
    t->ended_us = t->ended_us ? t->ended_us : loop_now_us(h->loop);
    if (why)
        str_copy(t->reason, sizeof t->reason, why);
    struct job *j = estate_observe(s, job, job);
    if (to == TASK_DONE) {
        j->tasks_done++;
        account_add(&j->account, &t->account);
        if (*t->result)
            str_copy(j->result, sizeof j->result, t->result);
        p->finished++;
        followers_ready(p, job);
    } else if (to == TASK_FAILED) {
        j->tasks_failed++;
        str_copy(j->reason, sizeof j->reason, why ? why : "a task failed");
    }
    job_follow(p, job);
    host_kick(h);
}

/* -- how a job follows its tasks -- */

static void job_end(struct placement *p, oid id, int to, const char *why) {
    struct host *h = p->host;
    if (estate_move(h->estate, id, to, NULL))
        return;
    struct job *j = estate_observe(h->estate, id, job);
    j->ended_us = loop_now_us(h->loop);
    j->account.wall_s = (double)(j->ended_us - j->submitted_us) * 1e-6;
    if (why && !*j->reason)
        str_copy(j->reason, sizeof j->reason, why);
    char path[ESTATE_PATH];
    estate_path(h->estate, id, path);
    host_event(h, "job-ended", to == JOB_DONE ? SEV_INFO : SEV_WARNING, path, NULL,
               to == JOB_DONE ? "done" : *j->reason ? j->reason : "ended");
}

static void task_cancel(struct placement *p, oid id, const char *why) {
    struct estate *s = p->host->estate;
    const struct task *t = estate_get(s, id, task);
    if (t->state == TASK_PLACED || t->state == TASK_RUNNING)
        reconcile_stop(p, id, t->agent, t->attempt);
    task_finish(p, id, TASK_CANCELLED, why);
}

static bool task_is_open(int state) {
    return state == TASK_WAITING || state == TASK_READY || state == TASK_PLACED || state == TASK_RUNNING;
}

/* After the job has moved: a job that has ended follows its tasks no more, so none of these ends calls us again. */
static void tasks_cancel(struct placement *p, oid job, const char *why) {
    struct estate *s = p->host->estate;
    for (oid i = 0; (i = estate_child(s, job, "task", i));)
        if (task_is_open(estate_get(s, i, task)->state))
            task_cancel(p, i, why);
}

void job_follow(struct placement *p, oid id) {
    struct estate *s = p->host->estate;
    const struct job *j = estate_get(s, id, job);
    if (j->state == JOB_QUEUED && !estate_move(s, id, JOB_RUNNING, NULL))
        estate_observe(s, id, job)->started_us = loop_now_us(p->host->loop);
    if (j->state != JOB_RUNNING)
        return;
    if (j->tasks_failed) {
        job_end(p, id, JOB_FAILED, NULL);
        tasks_cancel(p, id, "another task of the job failed");
    } else if (j->tasks && j->tasks_done == j->tasks) {
        job_end(p, id, JOB_DONE, NULL);
    }
}

void placement_resume(struct placement *p) {
    struct estate *s = p->host->estate;
    for (oid i = 0; (i = estate_next(s, "node", i));) {
        struct node *n = estate_observe(s, i, node);
        n->cores_used = n->memory_used_bytes = 0;
    }
    for (oid i = 0; (i = estate_next(s, "tenant", i));)
        estate_observe(s, i, tenant)->used_cores = 0;
    for (oid i = 0; (i = estate_next(s, "agent", i));)
        estate_observe(s, i, agent)->running = 0;
    for (oid i = 0; (i = estate_next(s, "task", i));) {
        const struct task *t = estate_get(s, i, task);
        if (t->state == TASK_READY)
            ready_insert(p, i);
        if ((t->state == TASK_PLACED || t->state == TASK_RUNNING) && estate_alive(s, t->node))
            task_reserve(s, i);
    }
    /* The last incarnation may have renewed a lease just before it died: the agent may count on it until then. */
    int64_t until = loop_now_us(p->host->loop) + p->config->lease_us;
    for (oid i = 0; (i = estate_next(s, "agent", i));) {
        struct agent *a = estate_observe(s, i, agent);
        a->lease_until_us = until;
        *agent_known(p, i) = (struct known_agent){
            .agent = i, .epoch = -1, .granted_us = p->config->lease_us, .is_away = true,
            .lease_until_mono_us = loop_mono_us(p->host->loop) + p->config->lease_us,
        };
        if (a->state == AGENT_CONNECTED)
            estate_move(s, i, AGENT_AWAY, NULL);
    }
}

/* -- verbs -- */

struct submit_in {
    struct doc *job;
    char source[160];
};
struct submit_out {
    char name[ESTATE_NAME];
    int64_t tasks;
};
static const struct field submit_in_fields[] = {
    FIELD_DOC(struct submit_in, job, .flags = F_REQUIRED, .doc = "The job: a map, or its YAML text."),
    FIELD_TEXT(struct submit_in, source, .dflt = "job", .doc = "Name of the file, for error places."),
};
static const struct table table_submit_in = TABLE(submit_in, submit_in_fields, "A job to submit.");
static const struct field submit_out_fields[] = {
    FIELD_TEXT(struct submit_out, name, .doc = "Name the job got."),
    FIELD_INT(struct submit_out, tasks, .doc = "Tasks in it."),
};
static const struct table table_submit_out = TABLE(submit_out, submit_out_fields, "A submitted job.");

static void open_count(const struct estate *s, int64_t *jobs, int64_t *tasks) {
    *jobs = *tasks = 0;
    for (oid i = 0; (i = estate_next(s, "job", i));) {
        const struct job *j = estate_get(s, i, job);
        if (j->state != JOB_QUEUED && j->state != JOB_RUNNING)
            continue;
        ++*jobs;
        *tasks += j->tasks - j->tasks_done - j->tasks_failed;
    }
}

/* With the new job in it. */
static int room_check(const struct placement *p, struct err *e) {
    int64_t jobs, tasks;
    open_count(p->host->estate, &jobs, &tasks);
    bool is_jobs = jobs > p->config->jobs_max;
    if (!is_jobs && tasks <= p->config->tasks_max)
        return 0;
    err_set(e, E_LIMIT, "with it %lld %s were unfinished, and the limit is %lld", (long long)(is_jobs ? jobs : tasks),
            is_jobs ? "jobs" : "tasks", (long long)(is_jobs ? p->config->jobs_max : p->config->tasks_max));
    err_hint(e, "wait, cancel some, or raise it: suan cap config cap=placement %s=…", is_jobs ? "jobs_max" : "tasks_max");
    return E_LIMIT;
}

static int verb_submit(struct call *c) {
    struct placement *p = host_cap_state(c->host, "placement");
    const struct submit_in *in = c->in;
    struct submit_out *out = c->out;
    struct doc *d = in->job;
    static const struct doc_limits limits = {.bytes_max = 1 << 20, .depth_max = 16, .nodes_max = 100000};
    int rc = 0;
    if (d->type == DOC_STR)
        rc = yaml_parse(&c->arena, in->source, d->str.p, d->str.n, &limits, &d, &c->err);
    if (rc)
        return rc;
    /* An owner who names no tenant means the own one. */
    if (c->who.role == ROLE_OWNER && d->type == DOC_MAP && !doc_get(d, "tenant"))
        doc_put_str(&c->arena, d, "tenant", c->who.tenant);
    if ((rc = auth_permit(&c->who, ROLE_OWNER, doc_get_str(d, "tenant", ""), &c->err)))
        return rc;
    struct txn *t = estate_begin(c->host->estate);
    oid job = 0;
    rc = job_build(p, t, d, in->source, c->who.name, &job, &c->err);
    if (!rc)
        rc = room_check(p, &c->err);
    if (!rc)
        rc = txn_check(t, &c->err);
    if (rc || c->dry_run) {
        txn_abort(t);
        return rc;
    }
    uint64_t revision;
    if ((rc = txn_commit(t, c->who.name, "submit a job", &revision, &c->err)))
        return rc;
    str_copy(out->name, sizeof out->name, estate_name(c->host->estate, job));
    out->tasks = estate_get(c->host->estate, job, job)->tasks;
    followers_ready(p, job);
    return 0;
}

static int verb_cancel(struct call *c) {
    struct placement *p = host_cap_state(c->host, "placement");
    struct estate *s = c->host->estate;
    if (c->dry_run)
        return 0;
    if (!estate_move(s, c->object, JOB_CANCELLED, &c->err)) {
        struct job *j = estate_observe(s, c->object, job);
        j->ended_us = loop_now_us(c->host->loop);
        snprintf(j->reason, sizeof j->reason, "cancelled by %s", c->who.name);
        tasks_cancel(p, c->object, "the job was cancelled");
        function_end(p, estate_name(s, c->object));
        return 0;
    }
    return c->err.code;
}

static const struct field logs_in_fields[] = {
    FIELD_INT(struct exec_logs, offset_bytes, .min = 0, .max = 1e12, .unit = "B", .doc = "Where to begin."),
    FIELD_INT(struct exec_logs, limit_bytes, .min = 1, .max = 1 << 20, .unit = "B", .dflt = "65536", .doc = "At most this much."),
};
static const struct table table_logs_in = TABLE(exec_logs, logs_in_fields, "A part of a task's log.");

struct log_wait {
    struct device_request r;
    struct exec_logs in;
    struct exec_log_chunk out;
    struct call *call;
};

static void logs_done(struct device_request *r, int rc) {
    struct log_wait *w = r->ctx;
    struct call *c = w->call;
    if (c) {
        c->raw_type = "text/plain; charset=utf-8";
        if (rc)
            c->err = r->err;
        else if (w->out.text && w->out.text->type == DOC_STR)
            text_add_n(&c->raw, w->out.text->str.p, w->out.text->str.n);
        call_done(c, rc);
    }
    free(w);
}

/* The call ended at its deadline; the device's own, in plant time, may come much later. */
static void logs_gave_up(struct call *c) {
    struct log_wait *w = c->verb_ctx;
    w->call = NULL;
}

static int verb_logs(struct call *c) {
    const struct exec_logs *in = c->in;
    const struct task *t = estate_get(c->host->estate, c->object, task);
    if (!t->agent)
        return err_set(&c->err, E_STATE, "%s has not been placed yet, so it has no log", estate_name(c->host->estate, c->object));
    struct log_wait *w = calloc(1, sizeof *w);
    w->call = c;
    w->in = *in;
    str_copy(w->in.task, sizeof w->in.task, estate_name(c->host->estate, c->object));
    w->r = (struct device_request){.in = &w->in, .out = &w->out, .done = logs_done, .ctx = w};
    c->verb_ctx = w;
    c->cancel = logs_gave_up;
    device_submit(c->host->devices, t->agent, "logs", &w->r);
    return CALL_LATER;
}

static int node_move(struct call *c, int to, const char *condition) {
    struct estate *s = c->host->estate;
    if (c->dry_run)
        return 0;
    if (estate_get(s, c->object, node)->state != to && estate_move(s, c->object, to, &c->err))
        return c->err.code;
    estate_condition(s, c->object, "drained", SEV_NOTICE, "placement", loop_now_us(c->host->loop), condition);
    host_kick(c->host);
    return 0;
}

static int verb_drain(struct call *c) {
    char text[160];
    snprintf(text, sizeof text, "%s drained it: it takes no new work", c->who.name);
    return node_move(c, NODE_DRAINED, text);
}

static int verb_return(struct call *c) { return node_move(c, NODE_UP, NULL); }

static int verb_policies(struct call *c) {
    const char *const *names = sched_policies();
    for (size_t i = 0; names[i]; i++)
        text_addf(&c->raw, "%s\n", names[i]);
    c->raw_type = "text/plain; charset=utf-8";
    return 0;
}

const struct verb placement_verbs[PLACEMENT_VERBS] = {
    {"submit", "job", false, &table_submit_in, &table_submit_out, ROLE_OWNER, 0, 0, NULL,
     "Submit a job; answers when it is safely recorded.", "job submit share/jobs/hello.yaml", verb_submit},
    {"cancel", "job", true, NULL, NULL, ROLE_OWNER, VERB_DANGEROUS | VERB_IDEMPOTENT, 0, "queued running",
     "Stop a job and all its tasks.", "job cancel wetbulb", verb_cancel},
    {"delete", "job", true, NULL, NULL, ROLE_OWNER, VERB_DANGEROUS, 0, "done failed cancelled",
     "Drop an ended job with its tasks and its function.", "job delete wetbulb", verb_job_delete},
    {"logs", "task", true, &table_logs_in, NULL, ROLE_VIEWER, VERB_READ | VERB_RAW | VERB_SLOW, 0, NULL,
     "What a task has printed.", "task logs hello-greet", verb_logs},
    {"drain", "node", true, NULL, NULL, ROLE_OPERATOR, VERB_IDEMPOTENT, 0, "up drained",
     "Place no more work on a node; what runs there goes on.", "node drain zhangjiakou-a-r01-n15", verb_drain},
    {"return", "node", true, NULL, NULL, ROLE_OPERATOR, VERB_IDEMPOTENT, 0, "up drained",
     "Let a drained node take work again.", "node return zhangjiakou-a-r01-n15", verb_return},
    {"policies", "placement", false, NULL, NULL, ROLE_VIEWER, VERB_READ | VERB_RAW, 0, NULL,
     "Names of the scheduling policies.", "placement policies", verb_policies},
    {"invoke", "function", true, &table_invoke_in, &table_invoke_out, ROLE_OWNER, VERB_QUIET | VERB_SLOW, 60000000,
     NULL, "Call a function; an instance is started when none is free.", "function invoke wetbulb input={}",
     verb_function_invoke},
};
