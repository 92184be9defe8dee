/* Verbs: everything callable, once. CLI, HTTP, agent link and device operations go through call_start().
 *
 * A row names its input and output tables, who may call it, how long it may take, an example that a test runs.
 * The dispatcher finds the row, checks role and tenant, reads the input by its table, applies dry-run, rate limits,
 * audit, deadline, and writes the output or the problem. A verb function sees typed structs only.
 *
 * Synchronous verbs return 0 or a negative code. Those that wait return CALL_LATER and end with call_done() once;
 * the dispatcher ends them with E_TIMEOUT at their deadline (call->cancel, if set, is told).
 * Answers to changing verbs leave after the store has committed (core/host.h), never before. */
#ifndef SUAN_CORE_VERB_H
#define SUAN_CORE_VERB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/field.h"
#include "core/auth.h"
#include "core/loop.h"
#include "estate/estate.h"

struct host;
struct kind;
struct call;

enum { CALL_LATER = 1 };
enum verb_flags {
    VERB_READ = 1 << 0,       /* changes nothing: GET allowed, not audited */
    VERB_IDEMPOTENT = 1 << 1,
    VERB_DANGEROUS = 1 << 2,  /* the CLI asks, the console confirms, --yes skips */
    VERB_SLOW = 1 << 3,       /* may take longer than a second */
    VERB_QUIET = 1 << 4,      /* changes, but too often for the audit journal: counted only (function invoke) */
    VERB_RAW = 1 << 5,        /* output is call->raw with call->raw_type, not JSON (logs, metrics) */
    VERB_FREE_FORM = 1 << 6,  /* input is call->body as it came; the verb reads it against the kind's own table */
};

typedef int verb_fn(struct call *c);

struct verb {
    const char *name; /* "submit" */
    const char *on;   /* kind name, "*" = every kind, or capability/"system" name for verbs without an object */
    bool on_object;   /* true: POST /api/v1/<on>/<name>/<verb>; false: POST /api/v1/<on>/<verb> */
    const struct table *in, *out; /* NULL = empty */
    enum role role;
    uint32_t flags;
    int64_t timeout_us;           /* 0 = 10 s */
    const char *permitted_states; /* "queued running": the object's `state` must be one of them; NULL = any */
    const char *doc;
    const char *example;          /* a CLI line without "suan", run by a test: "job cancel demo" */
    verb_fn *fn;
};

struct call {
    const struct verb *verb;
    struct host *host;
    struct principal who;
    oid object;               /* on_object verbs */
    const void *in;           /* struct of verb->in, defaults applied; never NULL when verb->in is set */
    void *out;                /* zeroed struct of verb->out */
    struct doc *body;         /* the parsed body; VERB_FREE_FORM verbs read it themselves */
    const char *source;       /* names the body in error places */
    const struct kind *kind;  /* for the generic verbs of every kind (on = "*") */
    struct doc *reply;        /* output that has no table: objects, lists */
    struct arena arena;       /* of this call */
    bool dry_run;             /* check everything, change nothing, say what would happen */
    struct text raw;          /* VERB_RAW */
    const char *raw_type;
    struct err err;
    void (*cancel)(struct call *c); /* optional, set by the verb */
    void *verb_ctx;                 /* the verb's own */
    /* the transport's */
    void (*answer)(struct call *c, int rc);
    void *transport_ctx;
    /* the dispatcher's */
    char path[ESTATE_PATH];         /* of the object, also after it has gone */
    struct timer deadline;
    int64_t begun_us;
    int rc;
    bool is_finished;
};

/* Take a zeroed call with host, who, arena, answer, transport_ctx set; `on`, `object_name` (or NULL), `verb_name` say
 * what; `body` may be NULL. `answer` is called exactly once, possibly before this returns. */
void call_start(struct call *c, const char *on, const char *object_name, const char *verb_name, struct doc *body,
                const char *source);
void call_done(struct call *c, int rc); /* for CALL_LATER */
/* Output as a doc (verb->out by its table), after an answer with rc 0. */
struct doc *call_output(struct call *c);
/* RFC 9457 problem document of an error. */
struct doc *problem_doc(struct arena *a, const struct err *e);
int problem_status(int code); /* HTTP status of an error code */

/* The registry: explicit lists, added at start. */
struct verbs;
struct verbs *verbs_new(void);
void verbs_free(struct verbs *v);
void verbs_add(struct verbs *v, const struct verb *rows, size_t n);
const struct verb *verbs_find(const struct verbs *v, const char *on, const char *name);
int verbs_lookup(const struct verbs *v, const char *on, const char *name, const struct verb **out, struct err *e);
size_t verbs_count(const struct verbs *v);
const struct verb *verbs_at(const struct verbs *v, size_t i);

#endif
