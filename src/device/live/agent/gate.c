/* The gate: who dials in, whether they are let in, and what the estate says of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pki.h"
#include "device/live/agent/gate.h"

enum { HELLO_US = 10000000, SEEN_EVERY_US = 1000000, REFUSED_EVERY_US = 1000000, GATES_MAX = 16 };

struct agent_conn { /* one open link */
    struct agent_owner owner; /* first */
    uint64_t serial;          /* later = newer */
    struct wire_link *link;
    struct agent_peer *peer;
    char fingerprint[65];
    bool has_greeted;
    struct timer hello; /* it must greet in time */
    struct agent_conn *next, **at;
};

static const char *const by_agent[] = {"agent", NULL};
const struct metric agent_metrics[] = {
    [METRIC_CALLS] = {"suan_agent_calls", METRIC_COUNTER, NULL, by_agent, NULL, 0, "Calls sent to an agent."},
    [METRIC_REPORTS] = {"suan_agent_reports", METRIC_COUNTER, NULL, by_agent, NULL, 0, "Reports of tasks an agent sent."},
    [METRIC_CONNECTIONS] = {"suan_agent_connections", METRIC_COUNTER, NULL, by_agent, NULL, 0,
                            "Connections of an agent that were taken in."},
    [METRIC_REFUSED] = {"suan_agent_refused", METRIC_COUNTER, NULL, NULL, NULL, 0, "Connections that were refused."},
    [METRIC_REFUSED_FULL] = {"suan_agent_calls_refused", METRIC_COUNTER, NULL, by_agent, NULL, 0,
                             "Calls not sent because too many wait already."},
};
const size_t agent_nmetrics = sizeof agent_metrics / sizeof agent_metrics[0];

/* A few, because tests open several hosts in one process. */
static struct agent_gate *gates[GATES_MAX];

static struct agent_gate *gate_of(const struct host *h) {
    for (size_t i = 0; i < GATES_MAX; i++)
        if (gates[i] && gates[i]->host == h)
            return gates[i];
    return NULL;
}

struct agent_peer *gate_peer(struct host *h, oid id) {
    struct agent_gate *g = gate_of(h);
    struct map_entry *x = g ? map_get_n(&g->peers, (const char *)&id, sizeof id) : NULL;
    return x ? x->value.ptr : NULL;
}

static struct agent_peer *peer_make(struct agent_gate *g, oid id) {
    struct agent_peer *p = gate_peer(g->host, id);
    bool is_new;
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    p->gate = g;
    p->id = id;
    str_copy(p->name, sizeof p->name, estate_name(g->host->estate, id));
    p->calls = metric_series(g->host->metrics, &agent_metrics[METRIC_CALLS], p->name, NULL);
    p->reports = metric_series(g->host->metrics, &agent_metrics[METRIC_REPORTS], p->name, NULL);
    map_put_n(&g->peers, (const char *)&p->id, sizeof p->id, &is_new)->value.ptr = p;
    return p;
}

/* -- refusals -- */

/* One event a second: a stranger who knocks all day must not fill the journal. */
static void refusal_tell(struct agent_gate *g, const char *peer, const char *why) {
    int64_t now = loop_mono_us(g->host->loop);
    char text[300];
    metric_series(g->host->metrics, &agent_metrics[METRIC_REFUSED], NULL)->value++;
    if (g->refused_us && now - g->refused_us < REFUSED_EVERY_US)
        return;
    g->refused_us = now ? now : 1;
    snprintf(text, sizeof text, "refused '%.90s': %.180s", *peer ? peer : "a stranger", why);
    host_event(g->host, "agent-refused", SEV_WARNING, "", NULL, text);
}

/* The peer learns why before the link ends. */
static void refuse(struct agent_gate *g, struct wire_link *l, const char *why) {
    struct arena a = ARENA_INIT;
    struct doc *d = doc_map(&a);
    char peer[96];
    str_copy(peer, sizeof peer, link_peer(l));
    doc_put_str(&a, d, "message", why);
    link_event(l, "refused", d, NULL);
    arena_free(&a);
    refusal_tell(g, peer, why);
    link_close(l);
}

/* -- coming and going -- */

static void estate_went(struct agent_peer *p, const char *why) {
    struct host *h = p->gate->host;
    char path[ESTATE_PATH];
    if (!estate_alive(h->estate, p->id) || estate_get(h->estate, p->id, agent)->state != AGENT_CONNECTED)
        return;
    estate_move(h->estate, p->id, AGENT_AWAY, NULL);
    /* Until now it may have got our words, and counts its lease from the last one. */
    estate_observe(h->estate, p->id, agent)->seen_us = loop_now_us(h->loop);
    estate_path(h->estate, p->id, path);
    host_event(h, "agent-away", SEV_WARNING, path, NULL, why);
    host_kick(h);
}

static void let_go(struct agent_peer *p, const char *why) {
    p->link = NULL;
    p->conn = NULL;
    pending_fail(p, why);
}

static void estate_came(struct agent_peer *p, const struct agent_conn *c, const struct doc *hello) {
    struct host *h = p->gate->host;
    struct estate *s = h->estate;
    int64_t now = loop_now_us(h->loop);
    struct agent *a = estate_observe(s, p->id, agent);
    oid centre = a->centre ? a->centre : estate_ancestor(s, p->id, "centre");
    struct text lacks = TEXT_INIT;
    char path[ESTATE_PATH], text[400];
    str_copy(a->fingerprint, sizeof a->fingerprint, c->fingerprint);
    str_copy(a->address, sizeof a->address, doc_get_str(hello, "address", ""));
    a->pid = doc_get_int(hello, "pid", 0);
    a->seen_us = p->seen_us = now;
    a->epoch++;
    if (a->state != AGENT_CONNECTED)
        estate_move(s, p->id, AGENT_CONNECTED, NULL);
    estate_condition(s, p->id, "lapsed", SEV_ERROR, "placement", now, NULL);
    doc_each(d, doc_get(hello, "lacks")) text_addf(&lacks, "%s%s", lacks.n ? ", " : "", d->type == DOC_STR ? d->str.p : "?");
    estate_condition(s, p->id, "limited", SEV_WARNING, "agent", now, lacks.n ? text_str(&lacks) : NULL);
    text_free(&lacks);
    if (centre && estate_alive(s, centre)) {
        estate_observe(s, centre, centre)->agent_seen_us = now;
        if (estate_get(s, centre, centre)->state != CENTRE_UP)
            estate_move(s, centre, CENTRE_UP, NULL);
        estate_condition(s, centre, "cut-off", SEV_CRITICAL, "placement", now, NULL);
    }
    estate_path(s, p->id, path);
    snprintf(text, sizeof text, "process %lld at %.60s, epoch %lld; tasks are confined by: %.200s", (long long)a->pid,
             a->address, (long long)a->epoch, doc_get_str(hello, "confined", "nothing it tells of"));
    host_event(h, "agent-connected", SEV_INFO, path, NULL, text);
    metric_series(h->metrics, &agent_metrics[METRIC_CONNECTIONS], p->name, NULL)->value++;
    host_kick(h);
}

static bool hello_is_sound(const struct doc *d, const struct agent_peer *p) {
    const struct doc *lacks = doc_get(d, "lacks");
    return d && d->type == DOC_MAP && !strcmp(doc_get_str(d, "agent", ""), p->name) && doc_get_int(d, "pid", 0) > 0 &&
           (!lacks || (lacks->type == DOC_SEQ && lacks->list.n <= 16));
}

static void greeted(struct agent_conn *c, const struct doc *hello) {
    struct agent_peer *p = c->peer;
    struct agent_conn *before = p->conn;
    timer_cancel(p->gate->host->loop, &c->hello);
    if (!hello_is_sound(hello, p)) {
        refuse(p->gate, c->link, "its hello is not one");
        return;
    }
    if (before && before->serial > c->serial) {
        refuse(p->gate, c->link, "a newer connection of the same agent is there");
        return;
    }
    if (before && before != c) {
        let_go(p, "it connected again");
        before->peer = NULL; /* its end is no news */
        refuse(p->gate, before->link, "the same agent connected again");
    }
    c->has_greeted = true;
    p->link = c->link;
    p->conn = c;
    estate_came(p, c, hello);
}

static void not_greeted(void *ctx) {
    struct agent_conn *c = ctx;
    refuse(c->owner.gate, c->link, "it did not say hello in time");
}

/* -- the link's handlers -- */

/* A pin follows what our own authority issued last for this name. */
static bool is_issued(const struct agent_gate *g, const char *name, const char *fingerprint) {
    char path[512], print[65];
    if (!g->pki_folder)
        return false;
    snprintf(path, sizeof path, "%s/agent-%s.crt", g->pki_folder, name);
    return !pki_fingerprint(path, print, NULL) && !strcmp(print, fingerprint);
}

static oid agent_known(const struct agent_gate *g, const char *peer, const char *fingerprint, const char **why) {
    const struct estate *s = g->host->estate;
    oid id = str_starts(peer, "agent/") ? estate_find(s, "agent", peer + 6) : 0;
    *why = "no agent of the estate has this name";
    if (!id)
        return 0;
    const char *pin = estate_get(s, id, agent)->fingerprint;
    *why = "its certificate is not the one pinned for this agent";
    return !*pin || !strcmp(pin, fingerprint) || is_issued(g, peer + 6, fingerprint) ? id : 0;
}

static void on_opened(void *ctx, struct wire_link *l, const char *peer, const char *fingerprint) {
    struct agent_gate *g = ctx;
    const char *why;
    oid id = agent_known(g, peer, fingerprint, &why);
    if (!id) {
        refuse(g, l, why);
        return;
    }
    struct agent_conn *c = calloc(1, sizeof *c);
    c->owner.gate = g;
    c->serial = ++g->last_conn;
    c->link = l;
    c->peer = peer_make(g, id);
    str_copy(c->fingerprint, sizeof c->fingerprint, fingerprint);
    c->next = g->conns;
    c->at = &g->conns;
    if (c->next)
        c->next->at = &c->next;
    g->conns = c;
    link_set_ctx(l, c);
    timer_mono_in(g->host->loop, &c->hello, HELLO_US, not_greeted, c);
}

static void conn_free(struct agent_conn *c) {
    timer_cancel(c->owner.gate->host->loop, &c->hello);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    free(c);
}

static void on_closed(void *ctx, struct wire_link *l, const struct err *why) {
    struct agent_owner *o = ctx;
    if (o == &o->gate->owner) { /* it never got so far as to be somebody */
        if (why->code == E_AUTH || why->code == E_LIMIT)
            refusal_tell(o->gate, link_peer(l), why->message);
        return;
    }
    struct agent_conn *c = ctx;
    struct agent_peer *p = c->peer;
    bool was_it = p && p->conn == c;
    conn_free(c);
    if (was_it) {
        let_go(p, why->message);
        estate_went(p, why->message);
    }
}

static void seen(struct agent_peer *p) {
    struct host *h = p->gate->host;
    int64_t now = loop_now_us(h->loop);
    if (now - p->seen_us < SEEN_EVERY_US)
        return;
    p->seen_us = now;
    estate_observe(h->estate, p->id, agent)->seen_us = now;
}

static void on_event(struct agent_conn *c, const struct link_message *m) {
    struct agent_peer *p = c->peer;
    if (!strcmp(m->name, "hello")) {
        greeted(c, m->body);
    } else if (!strcmp(m->name, "task") && c->has_greeted) {
        struct exec_report r = {0};
        struct err e = {0};
        if (!m->body)
            err_set(&e, E_INVAL, "a report has no body");
        if (!m->body || table_read(&table_exec_report, &r, m->body, "report", NULL, TABLE_RESTORE, &e)) {
            refuse(p->gate, c->link, e.message);
            return;
        }
        p->reports->value++;
        executor_report(p->gate->host, p->id, &r);
    } else if (!strcmp(m->name, "function") && c->has_greeted) {
        struct exec_instances x = {0};
        struct err e = {0};
        if (!m->body || table_read(&table_exec_instances, &x, m->body, "function", NULL, TABLE_RESTORE, &e))
            refuse(p->gate, c->link, m->body ? e.message : "an event has no body");
        else
            executor_instances(p->gate->host, p->id, &x);
    } else if (!c->has_greeted) {
        refuse(p->gate, c->link, "it spoke before its hello");
    } /* a newer agent's event: not for us */
}

static void on_message(void *ctx, struct wire_link *l, struct doc *d, struct arena *a) {
    struct agent_conn *c = ctx;
    struct agent_peer *p = c->peer;
    struct link_message m;
    struct err e = {0};
    (void)a;
    if (!p || !estate_alive(p->gate->host->estate, p->id)) {
        refuse(c->owner.gate, l, "no agent of the estate has this name");
        return;
    }
    if (link_message_read(d, &m, &e)) {
        refuse(p->gate, l, e.message);
        return;
    }
    seen(p);
    if (m.kind == LINK_EVENT)
        on_event(c, &m);
    else if (m.kind == LINK_REPLY && c->has_greeted)
        pending_answer(p, &m);
    else if (m.kind == LINK_CALL)
        link_reply(l, m.number, E_UNSUPPORTED, NULL, err_set(&e, E_UNSUPPORTED, "the controller serves no calls") ? &e : NULL, NULL);
}

static void on_bytes(void *ctx, struct wire_link *l, uint64_t stream, const void *p, size_t n) {
    struct agent_owner *o = ctx;
    (void)stream, (void)p, (void)n;
    refuse(o->gate, l, "it sent bytes nobody asked for");
}

static const struct link_handler handler = {
    .opened = on_opened, .message = on_message, .bytes = on_bytes, .closed = on_closed};

/* -- open and close -- */

int agent_gate_open(struct host *h, const struct agent_gate_config *config, struct agent_gate **out, struct err *e) {
    size_t slot = 0;
    while (slot < GATES_MAX && gates[slot])
        slot++;
    if (slot == GATES_MAX || gate_of(h))
        return err_set(e, E_LIMIT, "a process has at most %d gates, a host one", GATES_MAX);
    struct agent_gate *g = calloc(1, sizeof *g);
    g->owner.gate = g;
    g->host = h;
    g->pki_folder = config->pki_folder;
    int rc = link_listen(h->loop, config->address, config->port, config->identity, &handler, g, &g->listener, e);
    if (rc) {
        free(g);
        return rc;
    }
    metrics_add_table(h->metrics, agent_metrics, agent_nmetrics);
    gates[slot] = g;
    *out = g;
    return 0;
}

int agent_gate_port(const struct agent_gate *g) { return link_listener_port(g->listener); }

void agent_gate_identity(struct agent_gate *g, struct link_identity *identity) {
    link_listener_identity(g->listener, identity);
}

void agent_gate_close(struct agent_gate *g) {
    if (!g)
        return;
    link_listener_free(g->listener);
    while (g->conns)
        link_close(g->conns->link);
    for (size_t i = 0; i < g->peers.n; i++) {
        struct agent_peer *p = g->peers.entries[i].value.ptr;
        map_free(&p->pending);
        free(p);
    }
    map_free(&g->peers);
    for (size_t i = 0; i < GATES_MAX; i++)
        if (gates[i] == g)
            gates[i] = NULL;
    free(g);
}
