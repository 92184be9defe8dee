/* A capability: one row, at most three organs. See HACKING.md, "add a capability in 30 minutes"; cap/example is the
 * smallest one, compiled and tested.
 *
 *  decide  pure: reads a frozen view, writes a plan. No clock, no random but view->rng, no I/O, no estate writes.
 *  serve   a long-lived service, mostly supervising a plane process: start/stop.
 *  job     bounded batch on the worker pool, through host->pool.
 *
 * Modes: off, advise (decides and journals, claims nothing), act. */
#ifndef SUAN_CORE_CAP_H
#define SUAN_CORE_CAP_H

#include "base/field.h"
#include "base/rng.h"
#include "core/arbiter.h"
#include "core/metric.h"
#include "core/verb.h"
#include "estate/estate.h"

struct host;
enum maturity { EXPERIMENTAL, BETA, PRODUCTION };
enum cap_mode { MODE_OFF, MODE_ADVISE, MODE_ACT };
extern const char *const maturity_words[];
extern const char *const cap_mode_words[];

struct view { /* frozen: nothing in it changes during decide */
    const struct estate *estate;
    int64_t now_us;
    const void *config;      /* struct of cap->config */
    const void *state;       /* what the capability keeps; decide only reads it */
    struct rng *rng;         /* forked by name and cycle number: the same in a replay */
};

struct plan_claim {
    oid object;
    const char *field;
    double value;
    enum claim_class cls;
    int64_t lease_us;
    const char *why; /* in plan->arena */
};
struct plan { /* written by decide, applied by the cycle */
    struct arena *arena;
    struct plan_claim *claims;
    uint32_t n_claims, cap_claims;
    struct plan_note {
        const char *object; /* "rack/r01" */
        const char *text;
        struct doc *reasons;
        int64_t sequence;   /* of its journal row: set by the cycle before apply() */
    } *notes;               /* decisions to journal (a claim is journaled by itself) */
    uint32_t n_notes, cap_notes;
    struct plan_condition {
        oid object;
        const char *name, *text; /* text NULL = clear */
        enum severity severity;
    } *conditions;
    uint32_t n_conditions, cap_conditions;
    int64_t next_us;        /* when to decide again at the latest; 0 = config's period */
    uint32_t dropped;       /* over a limit: counted, made visible */
    void *own;              /* the capability's typed part of the plan, in the arena: apply() and act() read it */
};

struct goal {
    const char *name;       /* "powercap-overshoot" */
    double target, stretch;
    const char *unit;
    const char *better;     /* "lower" or "higher" */
    const char *measured_by;/* "bench/run powercap" or "share/scenarios/x.scn" */
    const char *doc;
};

struct cap {
    const char *name, *title, *title_zh, *family; /* family: compute, storage, network, applications, green, operations */
    enum maturity maturity;
    const struct table *config;        /* may be NULL */
    const struct kind *const *kinds;   /* NULL-terminated, may be NULL */
    const struct verb *verbs;
    size_t nverbs;
    const struct metric *metrics;
    size_t nmetrics;
    const struct property *properties; /* what it makes commandable */
    size_t nproperties;
    const struct goal *goals;
    size_t ngoals;
    enum cap_mode mode;                /* at first start */
    int64_t period_us;                 /* of decide; 0 = on change only */
    const char *const *watches;        /* kinds whose change makes decide due; NULL-terminated */
    int (*decide)(const struct view *v, struct plan *p, struct err *e);
    /* After journaling, before the commit: the plan's effect on the estate (task ready -> placed). May be NULL. */
    void (*apply)(struct host *h, void *state, const struct plan *p);
    /* After the commit is durable: the capability's own acts (device calls). May be NULL. */
    void (*act)(struct host *h, void *state, const struct plan *p);
    int (*start)(struct host *h, const void *config, void **state, struct err *e);
    void (*stop)(struct host *h, void *state);
};

void plan_claim(struct plan *p, oid object, const char *field, double value, enum claim_class cls, int64_t lease_us,
                const char *why, ...) __attribute__((format(printf, 7, 8)));
void plan_note(struct plan *p, const char *object, struct doc *reasons, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void plan_condition(struct plan *p, oid object, const char *name, enum severity sev, const char *format, ...)
    __attribute__((format(printf, 5, 6))); /* format NULL clears */

#endif
