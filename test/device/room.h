/* One small machine room for the tests of devices: a host in memory on a virtual loop, an estate of racks of 16 nodes
 * with a PDU, the twin, the device table. */
#ifndef SUAN_TEST_DEVICE_ROOM_H
#define SUAN_TEST_DEVICE_ROOM_H

#include "../world/estate_text.h"
#include "device/class/node.h"
#include "device/class/pdu.h"
#include "device/twin/twin.h"
#include "device/wire/modbus.h"

static const int64_t ROOM_T0 = 1767225600000000; /* 2026-01-01 */

struct room {
    struct host host;
    struct loop *loop;
    struct twin *twin;
    struct devices *devices;
    struct wire_modbus *wire; /* when room_serve was called */
    struct err err;
};

/* `pdu` and `node`: backend texts of all units. The seed makes everything. */
static inline void room_import(struct room *m, const char *pdu, const char *node) {
    char text[4096];
    struct arena a = ARENA_INIT;
    struct doc *d;
    uint64_t revision;
    snprintf(text, sizeof text,
             ESTATE_HEAD "          - name: r[01-02]\n"
                         "            budget_w: 5000\n"
                         "            pdu:\n"
                         "              - name: p\n"
                         "                backend: \"%s\"\n"
                         "            node:\n"
                         "              - name: n[01-16]\n"
                         "                model: srv\n"
                         "                backend: \"%s\"\n",
             pdu, node);
    int rc = yaml_parse(&a, "room", text, strlen(text), NULL, &d, &m->err);
    struct txn *t = estate_begin(m->host.estate);
    if (!rc)
        rc = txn_import(t, d, "room", &m->err);
    if (rc)
        txn_abort(t);
    else
        rc = txn_commit(t, "test", "room", &revision, &m->err);
    arena_free(&a);
    if (rc) {
        fprintf(stderr, "%s: %s\n", m->err.place, m->err.message);
        abort();
    }
}

static inline void room_open(struct room *m, enum loop_kind kind, const struct device_class *const *classes,
                             const struct backend_ops *const *backends, const char *pdu, const char *node,
                             uint64_t seed) {
    memset(m, 0, sizeof *m);
    m->loop = loop_new(kind, kind == LOOP_VIRTUAL ? ROOM_T0 : 0);
    if (host_open(&m->host, m->loop, kinds_foundation, foundation_count(), NULL, NULL, seed, &m->err))
        abort();
    room_import(m, pdu, node);
    if (twin_open(&m->host, seed, &m->twin, &m->err) || devices_open(&m->host, classes, backends, &m->devices, &m->err))
        abort();
    m->host.devices = m->devices;
    m->host.act = devices_act;
}

/* Serve every pdu over Modbus on loopback and drive it through that, in the same process and loop. */
static inline void room_serve(struct room *m, const char *instrument, const struct wire_modbus_options *options) {
    if (wire_modbus_open(&m->host, &backend_twin_pdu, instrument, options, &m->wire, &m->err)) {
        fprintf(stderr, "%s\n", m->err.message);
        abort();
    }
    struct arena a = ARENA_INIT;
    struct txn *t = estate_begin(m->host.estate);
    uint64_t revision;
    for (oid id = 0; (id = estate_next(m->host.estate, "pdu", id));) {
        char spec[BACKEND_TEXT];
        struct doc *fields = doc_map(&a);
        if (wire_modbus_spec(m->wire, id, spec, &m->err))
            abort();
        doc_put_str(&a, fields, "backend", spec);
        if (txn_set(t, id, fields, "room", &m->err))
            abort();
    }
    if (txn_commit(t, "test", "wire", &revision, &m->err))
        abort();
    arena_free(&a);
}

static inline void room_close(struct room *m) {
    devices_close(m->devices);
    wire_modbus_close(m->wire);
    twin_close(m->twin);
    host_close(&m->host);
    loop_free(m->loop);
}

static inline oid room_find(struct room *m, const char *path) {
    oid id = 0;
    if (estate_lookup_path(m->host.estate, path, &id, &m->err))
        abort();
    return id;
}

/* A request and how often, when and how it ended. */
struct asked {
    struct device_request r;
    struct room *room;
    int done, rc;
    int64_t at_us;
    struct err err;
    union {
        struct pdu_reading pdu;
        struct node_reading node;
    } out;
};

static inline void asked_done(struct device_request *r, int rc) {
    struct asked *a = r->ctx;
    a->done++;
    a->rc = rc;
    a->err = r->err;
    a->at_us = loop_now_us(a->room->loop);
}

/* With a deadline of its own, from now; 0 = the verb's. */
static inline void ask_within(struct room *m, oid id, const char *verb, const void *in, int64_t within_us,
                              struct asked *a) {
    *a = (struct asked){.room = m};
    a->r = (struct device_request){.in = in, .out = &a->out, .done = asked_done, .ctx = a};
    a->r.deadline_us = within_us ? loop_now_us(m->loop) + within_us : 0;
    device_submit(m->devices, id, verb, &a->r);
}

static inline void ask(struct room *m, oid id, const char *verb, const void *in, struct asked *a) {
    ask_within(m, id, verb, in, 0, a);
}

/* Turn the loop until it has ended, at most a minute of plant time. */
static inline int await(struct room *m, struct asked *a) {
    int64_t until = loop_now_us(m->loop) + 60000000;
    while (!a->done && loop_now_us(m->loop) < until)
        loop_turn(m->loop, 1000000);
    return a->done ? a->rc : E_INTERNAL;
}

static inline int ask_now(struct room *m, oid id, const char *verb, const void *in, struct asked *a) {
    ask(m, id, verb, in, a);
    return await(m, a);
}

#endif
