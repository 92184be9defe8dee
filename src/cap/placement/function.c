/* Functions: a centre is chosen once, instances come and go there, every call goes through one verb. */
#include "cap/placement/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct deploy {
    struct device_request r;
    struct exec_function in;
};

static void deploy_done(struct device_request *r, int rc) {
    (void)rc; /* an invocation of a function that is not there is answered E_NOTFOUND, and deploys again */
    free(r->ctx);
}

static void deploy(struct placement *p, oid id, oid agent, const char *verb) {
    const struct function *f = estate_get(p->host->estate, id, function);
    struct deploy *x = calloc(1, sizeof *x);
    str_copy(x->in.function, sizeof x->in.function, estate_name(p->host->estate, id));
    memcpy(x->in.argv, f->argv, sizeof x->in.argv);
    x->in.n_argv = f->n_argv;
    x->in.cores = f->cores;
    x->in.memory_bytes = f->memory_bytes;
    x->in.instances_max = f->instances_max;
    x->in.idle_us = f->idle_us;
    x->in.timeout_us = f->timeout_us;
    x->r = (struct device_request){.in = &x->in, .done = deploy_done, .ctx = x};
    device_submit(p->host->devices, agent, verb, &x->r);
}

/* A function lives as long as its job, which has its name, is not cancelled. */
static bool is_over(const struct estate *s, oid function) {
    oid job = estate_find(s, "job", estate_name(s, function));
    return job && estate_get(s, job, job)->state == JOB_CANCELLED;
}

static void instances_seen(struct estate *s, oid id, int64_t instances) {
    struct function *f = estate_observe(s, id, function);
    f->instances = instances;
    if (instances ? f->state == FUNCTION_IDLE : f->state == FUNCTION_WARM)
        estate_move(s, id, instances ? FUNCTION_WARM : FUNCTION_IDLE, NULL);
}

void function_instances(void *ctx, oid agent, const struct exec_instances *x) {
    struct placement *p = ctx;
    struct estate *s = p->host->estate;
    oid id = estate_find(s, "function", x->function);
    if (id && estate_get(s, id, function)->centre == estate_get(s, agent, agent)->centre)
        instances_seen(s, id, x->instances);
}

void functions_gone(struct placement *p, oid agent) {
    struct estate *s = p->host->estate;
    for (oid i = 0; (i = estate_next(s, "function", i));)
        if (estate_get(s, i, function)->centre == estate_get(s, agent, agent)->centre)
            instances_seen(s, i, 0);
}

void function_redeploy(struct placement *p, oid agent) {
    const struct estate *s = p->host->estate;
    for (oid i = 0; (i = estate_next(s, "function", i));)
        if (estate_get(s, i, function)->centre == estate_get(s, agent, agent)->centre)
            deploy(p, i, agent, is_over(s, i) ? "retire" : "deploy");
}

void function_end(struct placement *p, const char *name) {
    const struct estate *s = p->host->estate;
    oid id = estate_find(s, "function", name);
    oid centre = id ? estate_get(s, id, function)->centre : 0;
    oid agent = estate_alive(s, centre) ? centre_agent(s, centre) : 0;
    if (agent)
        deploy(p, id, agent, "retire");
}

/* Choose where it lives: at its first call, and again when that centre is cut off. */
static int place(struct placement *p, oid id, oid *agent, struct err *e) {
    struct host *h = p->host;
    const struct function *f = estate_get(h->estate, id, function);
    *agent = estate_alive(h->estate, f->centre) ? centre_agent(h->estate, f->centre) : 0;
    if (*agent && estate_get(h->estate, *agent, agent)->state == AGENT_CONNECTED)
        return 0;
    struct sched_request q = {.cores = f->cores, .memory_bytes = f->memory_bytes, .tenant = f->tenant};
    struct sched_config sc = {p->config->carbon_cny_per_kg, p->config->time_cny_per_h, p->config->default_core_s};
    struct decision *d = &p->decision;
    int rc = sched_decide(p->sched, p->config->policy, &sc, &q, loop_now_us(h->loop), d, e);
    if (rc)
        return err_context(e, "function %s", estate_name(h->estate, id));
    struct arena a = ARENA_INIT;
    char path[ESTATE_PATH];
    estate_path(h->estate, id, path);
    struct function *w = estate_observe(h->estate, id, function);
    w->centre = d->centre;
    str_copy(w->why, sizeof w->why, d->why);
    w->decision = host_journal(h, "decision", "placement", path, decision_doc(d, h->estate, &a), "place function %s in %s: %s",
                               estate_name(h->estate, id), estate_name(h->estate, d->centre), d->why);
    arena_free(&a);
    *agent = d->agent;
    deploy(p, id, *agent, "deploy");
    return 0;
}

struct invoke_in {
    struct doc *input;
};
static const struct field invoke_in_fields[] = {
    FIELD_DOC(struct invoke_in, input, .doc = "What the function gets: any JSON."),
};
const struct table table_invoke_in = TABLE(invoke_in, invoke_in_fields, "A call of a function.");
struct invoke_out {
    struct doc *output;
    bool cold;
    double wall_s;
};
static const struct field invoke_out_fields[] = {
    FIELD_DOC(struct invoke_out, output, .doc = "What the function answered."),
    FIELD_BOOL(struct invoke_out, cold, .doc = "An instance had to be started for it."),
    FIELD_REAL(struct invoke_out, wall_s, .unit = "s", .doc = "Time in the agent."),
};
const struct table table_invoke_out = TABLE(invoke_out, invoke_out_fields, "A function's answer.");

struct invocation {
    struct device_request r;
    struct exec_invoke in;
    struct exec_invoked out;
    struct placement *p;
    struct call *call;
    oid function, agent;
};

static void job_reached(struct placement *p, oid function) {
    struct estate *s = p->host->estate;
    oid job = estate_find(s, "job", estate_name(s, function));
    const struct function *f = estate_get(s, function, function);
    if (!job)
        return;
    if (estate_get(s, job, job)->state == JOB_QUEUED)
        job_follow(p, job);
    struct job *j = estate_observe(s, job, job);
    j->account = f->account;
    snprintf(j->result, sizeof j->result, "{\"invocations\":%lld,\"failures\":%lld,\"cold_starts\":%lld}",
             (long long)f->invocations, (long long)f->failures, (long long)f->cold_starts);
    if (j->invocations_target && f->invocations >= j->invocations_target && j->state == JOB_RUNNING &&
        !estate_move(s, job, JOB_DONE, NULL)) {
        j->ended_us = loop_now_us(p->host->loop);
        j->account.wall_s = (double)(j->ended_us - j->submitted_us) * 1e-6;
    }
}

static void invoked(struct device_request *r, int rc) {
    struct invocation *x = r->ctx;
    struct placement *p = x->p;
    struct call *c = x->call;
    struct estate *s = p->host->estate;
    if (estate_alive(s, x->function)) {
        struct function *f = estate_observe(s, x->function, function);
        f->invocations++;
        f->failures += rc != 0;
        f->cold_starts += x->out.cold;
        if (!rc) {
            instances_seen(s, x->function, x->out.instances);
            struct task like = {.cores = f->cores};
            struct account one;
            oid node = estate_next(s, "node", 0);
            while (node && estate_ancestor(s, node, "centre") != f->centre)
                node = estate_next(s, "node", node);
            account_task(s, &like, node, x->out.wall_s, x->out.cpu_s, true, 0, loop_now_us(p->host->loop), &one);
            account_add(&f->account, &one);
        }
        job_reached(p, x->function);
    }
    if (c) {
        struct invoke_out *out = c->out;
        if (rc)
            c->err = r->err;
        out->output = !rc && x->out.output ? doc_copy(&c->arena, x->out.output) : NULL;
        out->cold = x->out.cold;
        out->wall_s = x->out.wall_s;
        call_done(c, rc);
    }
    free(x);
}

static void gave_up(struct call *c) {
    struct invocation *x = c->verb_ctx;
    x->call = NULL;
}

int verb_function_invoke(struct call *c) {
    struct placement *p = host_cap_state(c->host, "placement");
    const struct invoke_in *in = c->in;
    oid agent;
    if (is_over(c->host->estate, c->object))
        return err_set(&c->err, E_STATE, "the job of function %s was cancelled", estate_name(c->host->estate, c->object));
    int rc = place(p, c->object, &agent, &c->err);
    if (rc)
        return rc;
    struct invocation *x = calloc(1, sizeof *x);
    x->p = p;
    x->call = c;
    x->function = c->object;
    str_copy(x->in.function, sizeof x->in.function, estate_name(c->host->estate, c->object));
    x->in.input = in->input ? in->input : doc_null(&c->arena);
    x->r = (struct device_request){.in = &x->in, .out = &x->out, .done = invoked, .ctx = x};
    c->verb_ctx = x;
    c->cancel = gave_up;
    device_submit(c->host->devices, agent, "invoke", &x->r);
    return CALL_LATER;
}
