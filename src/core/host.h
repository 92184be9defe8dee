/* Host: the shared organs of one running controller, handed to every capability, verb and device.
 *
 * The cycle (core/cycle.c), on one thread:
 *   ingest → freeze → decide (all due, fixed order, const view) → arbitrate → journal → commit → act → verify
 * A cycle runs when something is due or has changed, at most every 5 ms; nothing runs while nothing happens.
 * host_journal() rows and estate changes of a cycle are committed together; calls answered in it wait for that. */
#ifndef SUAN_CORE_HOST_H
#define SUAN_CORE_HOST_H

#include "base/rng.h"
#include "core/arbiter.h"
#include "core/auth.h"
#include "core/cap.h"
#include "core/loop.h"
#include "core/metric.h"
#include "core/store.h"
#include "core/verb.h"
#include "estate/estate.h"

struct devices; /* device/device.h */
struct drafts;  /* core/draft.h */
struct telemetry; /* core/telemetry.h */
struct twin;    /* device/twin/twin.h */

struct host {
    struct loop *loop;
    struct estate *estate;
    struct store *store;
    struct auth *auth;
    struct arbiter *arbiter;
    struct metrics *metrics;
    struct verbs *verbs;
    struct telemetry *telemetry; /* the last hour, for charts */
    struct drafts *drafts;   /* NULL until the first */
    struct devices *devices; /* opaque to core: set by app; capabilities use the device/class wrappers */
    struct twin *twin;       /* opaque to core: the built-in world, set by twin_open; NULL = none */
    struct rng rng;          /* root of this run's universe */
    const struct cap *const *caps; /* NULL-terminated, in order */
    void **cap_state;        /* one per capability */
    struct cycle *cycle;
    /* Sends an arbitrated set point to its device; done by app through device/. rc comes back by host_acted. */
    void (*act)(struct host *h, const struct command *c);
    const struct doc *measured; /* goal -> its newest row of bench/results.jsonl; app's, NULL = not known */
    char state_folder[256];  /* "" = in memory */
    int64_t journal_keep;    /* rows; `suan journal keep` sets it */
    bool is_twin;            /* no live device: time control is allowed */
};

/* Import an estate file: what is missing is created, what differs is set; one revision, journaled. */
int host_import(struct host *h, const char *path, struct err *e);

/* Set up the organs (not: devices, act). `state_folder` NULL = in memory. Loads stored objects and capability state. */
int host_open(struct host *h, struct loop *loop, const struct kind *const *kinds, size_t nkinds,
              const struct cap *const *caps, const char *state_folder, uint64_t seed, struct err *e);
int host_start(struct host *h, struct err *e);  /* capabilities' start organs, cycle timer */
void host_close(struct host *h);

/* Something changed: run a cycle soon. Cheap, idempotent. */
void host_kick(struct host *h);
/* Journal a decision; returns its sequence. `reasons` may be NULL. Durable with the cycle's commit. While the store cannot
 * be written 10,000 rows wait; those over the limit are counted (suan_journal_dropped) and get 0. */
int64_t host_journal(struct host *h, const char *kind, const char *by, const char *object, struct doc *reasons,
                     const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Run `fn` after the present cycle's commit is durable: for everything that leaves the house. */
void host_after_commit(struct host *h, void (*fn)(void *ctx), void *ctx);
/* Answer a finished changing call then; when the commit fails, at once and with the store's error: it is not recorded. */
void host_answer_after_commit(struct host *h, struct call *c);
/* The result of an `act`. */
void host_acted(struct host *h, const struct command *c, int rc, const struct err *e);
void *host_cap_state(const struct host *h, const char *cap);

/* Events: {name, severity, object, text, fields}; fan out to SSE clients and to the journal of kind "event". */
struct event_row {
    const char *name;
    enum severity severity;
    const struct table *fields;
    const char *text, *hint, *doc;
};
void host_event(struct host *h, const char *name, enum severity sev, const char *object, struct doc *fields,
                const char *text);
typedef void event_fn(void *ctx, const char *event, const struct doc *data); /* event: "change", "event", "journal" */
uint64_t host_subscribe(struct host *h, event_fn *fn, void *ctx);
void host_unsubscribe(struct host *h, uint64_t id);
/* The changes after feed sequence `after` that listeners have been told; false when there are more than `most`, or the
 * feed does not reach back that far. */
bool host_replay(struct host *h, uint64_t after, size_t most, event_fn *fn, void *ctx);

/* Run one cycle now, outside the usual pacing (tests, scenario runner, clean shutdown). */
void host_cycle(struct host *h);
enum cap_mode host_cap_mode(const struct host *h, size_t cap);
int host_cap_set_mode(struct host *h, const char *cap, enum cap_mode mode, struct err *e);
/* How many rows of the journal are kept from now on, over restarts too. */
int host_journal_keep(struct host *h, int64_t rows, struct err *e);
/* Its configuration as a document; and changing fields of it: checked as a whole, kept over restarts, read by the
 * capability from its next decide on. */
struct doc *host_cap_config(const struct host *h, size_t cap, struct arena *a);
int host_cap_configure(struct host *h, const char *cap, const struct doc *fields, const char *source, bool dry_run,
                       struct err *e);
extern const struct verb house_verbs[];
extern const size_t house_nverbs;
extern const struct metric house_metrics[];

/* Verbs of the house itself: list/show/create/set/delete of every kind, estate begin/commit/…, journal, explain,
 * time, token, goals, caps. Registered by host_open. */

#endif
