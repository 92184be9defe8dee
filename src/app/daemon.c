/* The controller: one house with its doors open: HTTP for people, a gate for agents. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/app.h"
#include "app/console.h"
#include "app/house.h"
#include "core/confine.h"
#include "core/http.h"
#include "core/log.h"
#include "core/pki.h"
#include "device/live/agent/agent.h"
#include "estate/kinds.h"

struct daemon {
    struct house house;
    struct loop *loop;
    struct http *http;
    struct agent_gate *gate;
    struct link_identity *id, *id_before; /* the one before is still in use by handshakes */
    struct timer renew;
    char state[APP_PATH], pki[APP_PATH + 8];
    const char *address;
    struct arena measured; /* what the benches last measured, for the capabilities' goals */
};

static void on_stop(void *ctx, int signo) {
    struct daemon *d = ctx;
    log_info("daemon", "stopping on %s", strsignal(signo));
    loop_stop(d->loop);
}

static void on_step(void *ctx, int64_t by_us) {
    struct daemon *d = ctx;
    char text[128];
    snprintf(text, sizeof text, "the machine's clock stepped by %.1f s; plant time goes on steadily", (double)by_us * 1e-6);
    log_warn("clock", "%s", text);
    host_event(&d->house.host, "clock-step", SEV_WARNING, "", NULL, text);
}

static int number(const char *text, const char *what, int64_t fallback, int64_t max, int64_t *out, struct err *e) {
    char *end;
    *out = text ? strtoll(text, &end, 10) : fallback;
    if (!text || (*text && !*end && *out >= 0 && *out <= max))
        return 0;
    return err_set(e, E_INVAL, "%s: '%.32s' is not a whole number from 0 to %lld", what, text, (long long)max);
}

/* With --twin all work runs in the twin too. */
static int agents_to_twin(struct house *s, struct err *e) {
    struct estate *es = s->host.estate;
    struct arena a = ARENA_INIT;
    struct txn *t = estate_begin(es);
    uint64_t revision;
    struct doc *d = doc_map(&a);
    int rc = 0;
    doc_put_str(&a, d, "backend", "twin");
    for (oid i = 0; !rc && (i = estate_next(es, "agent", i));)
        rc = txn_set(t, i, d, "--twin", e);
    if (rc)
        txn_abort(t);
    else
        rc = txn_commit(t, "daemon", "--twin", &revision, e);
    arena_free(&a);
    return rc;
}

/* Every agent of the estate gets its identity here; what it may show is pinned in its object. */
static int identities(struct daemon *d, struct link_identity **out, struct err *e) {
    struct estate *s = d->house.host.estate;
    char file[ESTATE_NAME + 8], cn[ESTATE_NAME + 8], crt[APP_PATH * 2], key[APP_PATH * 2], ca[APP_PATH + 32];
    const char *pki = d->pki;
    snprintf(d->pki, sizeof d->pki, "%s/pki", d->state);
    int rc = pki_open(pki, e);
    if (!rc)
        rc = pki_issue(pki, "controller", "controller", e);
    for (oid i = 0; !rc && (i = estate_next(s, "agent", i));) {
        const char *name = estate_name(s, i);
        snprintf(file, sizeof file, "agent-%s", name);
        snprintf(cn, sizeof cn, "agent/%s", name);
        snprintf(crt, sizeof crt, "%s/%s.crt", pki, file);
        char print[65];
        if (!(rc = pki_issue(pki, file, cn, e)) && !(rc = pki_fingerprint(crt, print, e)) &&
            strcmp(print, estate_get(s, i, agent)->fingerprint))
            str_copy(estate_observe(s, i, agent)->fingerprint, sizeof print, print);
    }
    snprintf(crt, sizeof crt, "%s/controller.crt", pki);
    snprintf(key, sizeof key, "%s/controller.key", pki);
    snprintf(ca, sizeof ca, "%s/ca.crt", pki);
    return rc ? rc : link_identity_load(crt, key, ca, out, e);
}

enum { RENEW_S = 3600 };

/* Certificates end after 90 days, and agents may have come since: what is missing or old is issued again. */
static void renew(void *ctx) {
    struct daemon *d = ctx;
    struct link_identity *fresh;
    struct err e = {0};
    timer_mono_in(d->loop, &d->renew, RENEW_S * INT64_C(1000000), renew, d);
    if (identities(d, &fresh, &e)) {
        log_err("daemon", &e);
        return;
    }
    link_identity_free(d->id_before);
    d->id_before = d->id;
    d->id = fresh;
    agent_gate_identity(d->gate, fresh);
}

static void on_hangup(void *ctx, int signo) {
    (void)signo;
    renew(ctx);
}

/* Ports of the last run are kept, so that agents and people find a restarted controller where it was. */
static int64_t last_port(const struct doc *before, const char *key) {
    const char *text = doc_get_str(before, key, ""), *colon = strrchr(text, ':');
    return colon ? strtoll(colon + 1, NULL, 10) : 0;
}

static int doors_open(struct daemon *d, const struct options *o, struct link_identity *id, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *before = NULL;
    int64_t port = 0, link_port = 0;
    controller_read(d->state, &a, &before, NULL);
    int64_t old = last_port(before, "url"), old_link = last_port(before, "link");
    arena_free(&a);
    int rc = number(o->port, "--port", 7780, 65535, &port, e);
    if (!rc)
        rc = number(o->link_port, "--link-port", 7781, 65535, &link_port, e);
    if (rc)
        return rc;
    struct http_config hc = {.address = d->address, .port = (int)(port ? port : old)};
    hc.assets = console_assets;
    hc.nassets = console_nassets;
    rc = http_open(&d->house.host, &hc, &d->http, e);
    if (rc && !port && old) {
        hc.port = 0;
        rc = http_open(&d->house.host, &hc, &d->http, e);
    }
    struct agent_gate_config gc = {.address = d->address, .port = (int)(link_port ? link_port : old_link), .identity = id,
                                   .pki_folder = d->pki};
    if (!rc)
        rc = agent_gate_open(&d->house.host, &gc, &d->gate, e);
    if (rc && d->http && !link_port && old_link) {
        gc.port = 0;
        rc = agent_gate_open(&d->house.host, &gc, &d->gate, e);
    }
    return rc;
}

/* The file tells people where we are, agents whom to dial, and the supervisor whom to start. */
static int announce(struct daemon *d, struct err *e) {
    const struct estate *s = d->house.host.estate;
    struct arena a = ARENA_INIT;
    struct doc *doc = doc_map(&a), *agents = doc_seq(&a);
    struct text t = TEXT_INIT;
    char path[APP_PATH + 32];
    doc_put_str(&a, doc, "url", arena_printf(&a, "http://%s:%d", d->address, http_port(d->http)));
    doc_put_str(&a, doc, "link", arena_printf(&a, "%s:%d", d->address, agent_gate_port(d->gate)));
    doc_put_int(&a, doc, "pid", getpid());
    for (oid i = 0; (i = estate_next(s, "agent", i));) {
        const char *spec = estate_get(s, i, agent)->backend, *bar = strrchr(spec, '|');
        if (!strncmp(bar ? bar + 1 : spec, "agent", 5))
            doc_push(agents, doc_str(&a, estate_name(s, i)));
    }
    doc_put(doc, "agents", agents);
    json_print(&t, doc, 2);
    text_add_char(&t, '\n');
    snprintf(path, sizeof path, "%s/controller.json", d->state);
    int rc = file_write(path, 0644, t.p, t.n, e);
    text_free(&t);
    arena_free(&a);
    return rc;
}

static int open_all(struct daemon *d, const struct options *o, struct err *e) {
    int64_t seed = 1;
    int rc = number(o->seed, "--seed", 1, INT64_MAX, &seed, e);
    if (!rc)
        rc = house_open(&d->house, d->loop, d->state, (uint64_t)seed, e);
    if (!rc && o->n_words > 1)
        rc = host_import(&d->house.host, o->words[1], e);
    if (!rc && !estate_count(d->house.host.estate, NULL)) {
        err_set(e, E_INVAL, "the state folder %s holds no estate yet, and none was named", d->state);
        err_hint(e, "suan up share/estates/national-hubs.yaml");
        rc = E_INVAL;
    }
    struct doc *measured = NULL;
    struct err unread;
    if (rc)
        return rc;
    if (!goals_measured(&d->measured, &measured, &unread))
        d->house.host.measured = measured;
    else
        log_err("goals", &unread);
    if (!rc && o->twin)
        rc = agents_to_twin(&d->house, e);
    if (!rc)
        rc = identities(d, &d->id, e);
    if (!rc)
        rc = doors_open(d, o, d->id, e);
    if (!rc)
        rc = house_start(&d->house, (uint64_t)seed, e);
    return rc ? rc : announce(d, e);
}

int command_daemon(const struct options *o, struct err *e) {
    struct daemon d = {.address = o->address ? o->address : "127.0.0.1"};
    /* Keys and tokens are in this memory: it leaves no core file, and no other process of the user reads it. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0);
    umask(077); /* nor do others read what it writes */
    int rc = place_state(o, d.state, e);
    if (rc)
        return rc;
    d.loop = loop_new(LOOP_REAL, 0);
    loop_signal(d.loop, SIGTERM, on_stop, &d);
    loop_signal(d.loop, SIGINT, on_stop, &d);
    loop_on_step(d.loop, on_step, &d);
    rc = open_all(&d, o, e);
    if (!rc) {
        struct err why = {0};
        timer_mono_in(d.loop, &d.renew, RENEW_S * INT64_C(1000000), renew, &d);
        loop_signal(d.loop, SIGHUP, on_hangup, &d);
        if (confine_to(d.state, &why)) /* the doors work all the same */
            log_err("daemon", &why);
        log_info("daemon", "ready at http://%s:%d, %zu objects", d.address, http_port(d.http),
                 estate_count(d.house.host.estate, NULL));
        loop_run(d.loop);
        host_cycle(&d.house.host);
    }
    timer_cancel(d.loop, &d.renew);
    if (d.http)
        http_close(d.http);
    if (d.gate)
        agent_gate_close(d.gate);
    house_close(&d.house);
    arena_free(&d.measured);
    link_identity_free(d.id);
    link_identity_free(d.id_before);
    loop_free(d.loop);
    return rc;
}
