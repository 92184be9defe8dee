/* Devices: everything that is commanded or read, behind one narrow door.
 *
 * A class (device/class/<name>.h) is a table of verbs with typed inputs and outputs, limits and a conformance suite.
 * A backend offers the verbs of one class over one transport: `twin` (the built-in world), `modbus`, `agent`, ….
 * The estate object's `backend` field ("modbus:host=127.0.0.1,port=1502,unit=1") names it. Nothing above here can tell
 * which one answers. Filters (device/filter/) stack on any backend of any class because there is one generic entry:
 * submit(). Typed wrappers in the class headers are three lines each.
 *
 * A request is owned by the caller until done() is called, exactly once, from the loop, never inside submit().
 * cancel() makes done() come soon with E_CANCELLED. Deadlines are enforced here, in plant time. After cancel() a
 * backend must not touch the request, its `in` or its `out` again: whoever asked may have given them back. */
#ifndef SUAN_DEVICE_DEVICE_H
#define SUAN_DEVICE_DEVICE_H

#include "core/host.h"

struct device_request;

struct device_class {
    const char *name;                /* "pdu" */
    const char *kind;                /* estate kind it drives; NULL = same as name */
    const struct verb *verbs;        /* rows; fn is NULL: the backend is the function */
    size_t nverbs;
    int64_t period_us;               /* how often poll verbs are read; 0 = never */
    const char *poll_verb;           /* "read": its output goes into the object's state by `observe` */
    void (*observe)(struct estate *s, oid id, const void *out, int64_t now_us);
    const char *doc;
};

struct backend;
struct backend_ops {
    const char *name;                /* "twin", "modbus", "delay" … */
    const char *cls;                 /* class it serves; "*" for filters */
    /* Parse "key=value,…" (already split from the name) and make an instance for this object. `under` is the backend
     * below for filters, NULL else. */
    int (*open)(struct host *h, oid id, const struct doc *options, struct backend *under, struct backend **out,
                struct err *e);
    void (*close)(struct backend *b);
    void (*submit)(struct backend *b, struct device_request *r);
    void (*cancel)(struct backend *b, struct device_request *r); /* may be NULL */
    const char *options_doc;
};
struct backend {
    const struct backend_ops *ops;
    struct host *host;
    oid id;
    /* the implementation's fields follow in its own struct */
};

enum { DEVICE_NO_DEADLINE = -1 };
struct device_request {
    const struct device_class *cls;
    const struct verb *verb;
    const void *in;      /* struct of verb->in; must live until done */
    void *out;           /* struct of verb->out */
    struct err err;
    int64_t deadline_us; /* plant time; 0 = verb's timeout; DEVICE_NO_DEADLINE = the asker cancels by itself */
    void (*done)(struct device_request *r, int rc);
    void *ctx;
    struct arena arena;  /* documents of `out` are made in it; the door frees it after done(), see device_documents */
    /* the door's own */
    oid id;
    int rc;
    struct timer timer;
    struct backend *backend;
    void *backend_ctx;
    bool is_done;
    struct arena *documents; /* while done() runs */
};

struct devices;
/* `backends`: explicit NULL-terminated list, made in app. */
int devices_open(struct host *h, const struct device_class *const *classes, const struct backend_ops *const *backends,
                 struct devices **out, struct err *e);
void devices_close(struct devices *d);
/* Open (or find) the device of an object and submit. Errors too come through done(). */
void device_submit(struct devices *d, oid id, const char *verb, struct device_request *r);
void device_finish(struct device_request *r, int rc); /* for backends: defers done() to the loop */
/* In done() only: take over the documents of `out`, which else are gone when done() has returned. */
struct arena device_documents(struct device_request *r);
/* Stack a filter in front of an object's backend now (scenario, operator): "fault:rate=0.1". */
int device_filter(struct devices *d, oid id, const char *spec, struct err *e);
int device_unfilter(struct devices *d, oid id, const char *name, struct err *e);
/* Start polling every device whose class has a period. */
void devices_poll(struct devices *d);
/* host->act for commandable properties: finds the class verb that sets `field` ("set <field>"). */
void devices_act(struct host *h, const struct command *c);
/* Ask one backend, without an object's stack in front: for filters (their backend below) and wire (the twin). Set cls,
 * verb, in, out, done, ctx, id. */
void backend_submit(struct backend *b, struct device_request *r);
/* E_CANCELLED through done(); nothing when it has ended already. */
void device_cancel(struct device_request *r);
const struct verb *device_verb(const struct device_class *cls, const char *name); /* NULL = none */
/* Whether people may call it: set points go through the arbiter, never past it; executors are placement's alone. */
bool device_verb_is_public(const struct device_class *cls, const struct verb *v);
/* Rows for the dispatcher (CLI, HTTP): the class's verbs that are not arbitrated set points; `fn` asks the device. */
void devices_add_verbs(struct devices *d, struct verbs *v);
/* Split "name:key=value,…" into name and a doc of options (unknown keys are refused by open). */
int backend_spec_parse(struct arena *a, const char *spec, char name[32], struct doc **options, struct err *e);

#endif
