/* Arbiter: who may set what. Per commandable property (object, field) a priority array of claims, as in BACnet
 * (ASHRAE 135 clause 19.2) but with names, leases and reasons.
 *
 * interlock > safety > manual > contract > performance > efficiency > default. The highest claim with a live lease
 * wins; equal classes: the lower capability order wins (list order in app), so the outcome does not depend on timing.
 * A loser's object gets the condition "overridden" naming winner and lease. A lapsed claim falls away; with none left
 * the property goes to its declared safe value. Interlocks are functions of the kind's row and see every value last,
 * also each step of a slew: they clamp or refuse, and nothing can by-pass them. */
#ifndef SUAN_CORE_ARBITER_H
#define SUAN_CORE_ARBITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/field.h"
#include "estate/estate.h"

enum claim_class { CLAIM_SAFETY, CLAIM_MANUAL, CLAIM_CONTRACT, CLAIM_PERFORMANCE, CLAIM_EFFICIENCY, CLAIM_CLASSES };
extern const char *const claim_words[];

/* A property that can be commanded. */
struct property {
    const char *kind, *field; /* "node", "cap_w" */
    double safe;              /* value without any claim */
    double min_step;          /* smaller changes are not sent */
    double slew_per_s;        /* 0 = free; else the most it moves a second, in steps of a second */
    /* Clamp or refuse; `*value` may be changed. NULL = none. `why` (160 bytes) says what was done. */
    int (*interlock)(const struct estate *s, oid id, double *value, char *why);
    const char *doc;
};

struct arbiter;
struct arbiter *arbiter_new(void);
void arbiter_free(struct arbiter *a);
void arbiter_add_properties(struct arbiter *a, const struct property *rows, size_t n);

struct claim {
    oid object;
    const char *kind; /* the object's: which property of that name is meant */
    const char *field;
    double value;
    enum claim_class cls;
    const char *by;   /* capability name: static */
    int order;        /* capability order */
    int64_t until_us; /* lease */
    char why[160];
};
/* Replaces the same capability's earlier claim on the property. E_NOTFOUND when the property is not commandable. */
int arbiter_claim(struct arbiter *a, const struct claim *c, struct err *e);
const struct property *arbiter_property(const struct arbiter *a, const char *kind, const char *field); /* or NULL */
void arbiter_release(struct arbiter *a, oid object, const char *field, const char *by);

struct command { /* what must be sent to a device now */
    oid object;
    const struct property *property;
    double value;
    char by[32];
    char why[320]; /* winner's reason, interlock's word */
};
/* Expire leases, decide winners, fill `out` with changed set points (at most max); returns how many.
 * Deterministic order: by object id, then property. Conditions on losers are set in `s`. */
size_t arbiter_settle(struct arbiter *a, struct estate *s, int64_t now_us, struct command *out, size_t max);
/* The command was refused or failed: it is tried again, the safe value too, 5 s after it was sent, then twice as long
 * each time, up to a minute. */
void arbiter_failed(struct arbiter *a, oid object, const char *field);
/* When the next lease ends, the next try or the next step of a slew is due; 0 = never. */
int64_t arbiter_next_us(const struct arbiter *a);
/* Seq of {object, field, value, class, by, until, why, wins}. */
struct doc *arbiter_doc(const struct arbiter *a, const struct estate *s, oid object, struct arena *ar);

#endif
