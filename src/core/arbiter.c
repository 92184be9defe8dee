#include "core/arbiter.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"

const char *const claim_words[] = {"safety", "manual", "contract", "performance", "efficiency", NULL};

enum { CLAIMANTS = 8, RETRY_US = 5000000, RETRY_MAX_US = 60000000, SLEW_STEP_US = 1000000 };

struct target { /* one commandable property of one object with its claims */
    oid object;
    const struct property *property;
    struct claim claims[CLAIMANTS];
    uint32_t n;
    double sent;
    bool is_sent, dirty, is_slewing, is_refused;
    int64_t sent_us, retry_us;
    uint32_t failures; /* of sending, in a row */
    int64_t slewed_us; /* of the last step, while it is slewing */
    uint64_t told;     /* hash of who lost to whom at what, as the condition says it */
    char key[96];
};

struct arbiter {
    VEC(const struct property *) properties;
    VEC(struct target *) targets; /* in order of (object, property) */
    struct map by_key;
};

struct arbiter *arbiter_new(void) { return calloc(1, sizeof(struct arbiter)); }

void arbiter_free(struct arbiter *a) {
    if (!a)
        return;
    for (size_t i = 0; i < a->targets.n; i++)
        free(a->targets.p[i]);
    vec_free(&a->targets);
    vec_free(&a->properties);
    map_free(&a->by_key);
    free(a);
}

void arbiter_add_properties(struct arbiter *a, const struct property *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        vec_push(&a->properties, &rows[i]);
}

static void key_of(char out[96], oid object, const char *field) {
    snprintf(out, 96, "%llu %.60s", (unsigned long long)object, field);
}

const struct property *arbiter_property(const struct arbiter *a, const char *kind, const char *field) {
    for (size_t i = 0; i < a->properties.n; i++)
        if (!strcmp(a->properties.p[i]->field, field) && !strcmp(a->properties.p[i]->kind, kind))
            return a->properties.p[i];
    return NULL;
}

/* Order of the list: object, then property. */
static bool stands_after(const struct target *x, const struct target *y) {
    return x->object != y->object ? x->object > y->object : strcmp(x->property->field, y->property->field) > 0;
}

/* `kind` NULL = only if it is there. */
static struct target *target(struct arbiter *a, oid object, const char *kind, const char *field) {
    char key[96];
    bool is_new;
    key_of(key, object, field);
    struct target *t = map_ptr(&a->by_key, key);
    if (t || !kind)
        return t;
    const struct property *p = arbiter_property(a, kind, field);
    if (!p)
        return NULL;
    t = calloc(1, sizeof *t);
    t->object = object;
    t->property = p;
    memcpy(t->key, key, sizeof key);
    vec_push(&a->targets, t);
    size_t lo = 0, hi = a->targets.n - 1;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (stands_after(a->targets.p[mid], t))
            hi = mid;
        else
            lo = mid + 1;
    }
    memmove(&a->targets.p[lo + 1], &a->targets.p[lo], (a->targets.n - 1 - lo) * sizeof *a->targets.p);
    a->targets.p[lo] = t;
    map_put(&a->by_key, t->key, &is_new)->value.ptr = t;
    return t;
}

int arbiter_claim(struct arbiter *a, const struct claim *c, struct err *e) {
    struct target *t = target(a, c->object, c->kind, c->field);
    if (!t)
        return err_set(e, E_NOTFOUND, "a %s has no property '%s' that can be commanded", c->kind ? c->kind : "?", c->field);
    if (!isfinite(c->value))
        return err_set(e, E_INVAL, "%s: the value is not a number", c->field);
    uint32_t i = 0;
    while (i < t->n && strcmp(t->claims[i].by, c->by))
        i++;
    if (i == CLAIMANTS)
        return err_set(e, E_LIMIT, "%s has %d claims, which is the limit", c->field, CLAIMANTS);
    if (i == t->n)
        t->n++;
    t->claims[i] = *c;
    t->claims[i].field = t->property->field;
    t->dirty = true;
    return 0;
}

static void drop(struct target *t, uint32_t i) {
    memmove(&t->claims[i], &t->claims[i + 1], (t->n - i - 1) * sizeof *t->claims);
    t->n--;
    t->dirty = true;
}

void arbiter_release(struct arbiter *a, oid object, const char *field, const char *by) {
    struct target *t = target(a, object, NULL, field);
    for (uint32_t i = 0; t && i < t->n; i++)
        if (!strcmp(t->claims[i].by, by))
            drop(t, i--);
}

static const struct claim *winner(const struct target *t) {
    const struct claim *w = NULL;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct claim *c = &t->claims[i];
        if (!w || c->cls < w->cls || (c->cls == w->cls && c->order < w->order))
            w = c;
    }
    return w;
}

/* Who lost to whom, and until when, for one property. Only a change of the parties or their values makes a new text: a
 * lease that is renewed each second must not be news each second. Returns whether anybody lost. */
static bool losers(struct target *t, char text[192], bool *is_news) {
    const struct claim *w = winner(t), *loser = NULL;
    struct hash h;
    char until[CIVIL_TEXT];
    hash_begin(&h, 0);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct claim *c = &t->claims[i];
        if (c == w || fabs(c->value - w->value) < 1e-9)
            continue;
        loser = c;
        hash_bytes(&h, c->by, strlen(c->by));
        hash_real(&h, c->value);
    }
    if (loser) {
        hash_bytes(&h, w->by, strlen(w->by));
        hash_real(&h, w->value);
        civil_print(until, w->until_us / 1000000 * 1000000);
        snprintf(text, 192, "%s wants %s %.6g, but %s (%s) holds it at %.6g until %s or longer", loser->by, t->property->field,
                 loser->value, w->by, claim_words[w->cls], w->value, until);
    }
    uint64_t now = loser ? hash_end(&h) | 1 : 0;
    *is_news |= now != t->told;
    t->told = now;
    return loser != NULL;
}

/* The condition belongs to the object, which may have several properties: `n` targets of one object. */
static void tell_losers(struct target *const *t, size_t n, struct estate *s, int64_t now_us) {
    char text[192] = "";
    bool any = false, is_news = false;
    for (size_t i = 0; i < n; i++)
        any |= losers(t[i], text, &is_news);
    if (is_news)
        estate_condition(s, t[0]->object, "overridden", SEV_NOTICE, "arbiter", now_us, any ? text : NULL);
}

/* One step of the way from what was sent to `value`. */
static double slewed(struct target *t, double value, int64_t now_us) {
    double d = value - t->sent, most = t->property->slew_per_s * (double)(now_us - t->slewed_us) * 1e-6;
    if ((!t->is_sent && !t->failures) || t->property->slew_per_s <= 0)
        return value;
    if (!t->is_slewing && d != 0) { /* it begins to move: the first step is a second's */
        t->is_slewing = true;
        most = t->property->slew_per_s;
        t->slewed_us = now_us;
    } else if (t->is_slewing && now_us - t->slewed_us < SLEW_STEP_US) {
        return t->sent;
    } else {
        t->slewed_us = now_us;
    }
    if (fabs(d) <= most) {
        t->is_slewing = false;
        return value;
    }
    return d > 0 ? t->sent + most : t->sent - most;
}

/* The interlock sees every value last. Returns whether it is to be sent. */
static bool settle_one(struct target *t, struct estate *s, int64_t now_us, struct command *out) {
    const struct claim *w = winner(t);
    double value = slewed(t, w ? w->value : t->property->safe, now_us);
    char word[160] = "";
    int rc = t->property->interlock ? t->property->interlock(s, t->object, &value, word) : 0;
    if (rc || t->is_refused)
        estate_condition(s, t->object, "interlocked", SEV_WARNING, "arbiter", now_us, rc ? word : NULL);
    t->is_refused = rc != 0;
    if (rc)
        return false;
    double step = t->property->min_step > 0 ? t->property->min_step : 1e-9;
    if (t->is_sent ? fabs(value - t->sent) < step : (!w && !t->failures) || now_us < t->retry_us)
        return false;
    if (t->is_sent) /* the last one came through */
        t->failures = 0;
    t->sent = value;
    t->is_sent = true;
    t->sent_us = now_us;
    *out = (struct command){.object = t->object, .property = t->property, .value = value};
    str_copy(out->by, sizeof out->by, w ? w->by : "default");
    snprintf(out->why, sizeof out->why, "%s%s%s", w ? w->why : "no claim is left: back to the safe value",
             *word ? "; " : "", word);
    return true;
}

size_t arbiter_settle(struct arbiter *a, struct estate *s, int64_t now_us, struct command *out, size_t max) {
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < a->targets.n; i++) {
        struct target *t = a->targets.p[i];
        for (uint32_t k = 0; k < t->n; k++)
            if (t->claims[k].until_us <= now_us)
                drop(t, k--);
        bool is_at_rest = t->is_sent ? !t->is_slewing && fabs(t->sent - t->property->safe) < 1e-9 : !t->failures;
        if (!estate_alive(s, t->object) || (!t->n && !t->dirty && is_at_rest)) {
            if (t->told && estate_alive(s, t->object))
                estate_condition(s, t->object, "overridden", SEV_NOTICE, "arbiter", now_us, NULL);
            map_del(&a->by_key, t->key);
            free(t);
            continue;
        }
        if (n < max) {
            n += settle_one(t, s, now_us, &out[n]);
            t->dirty = false;
        }
        a->targets.p[kept++] = t;
    }
    a->targets.n = kept;
    for (size_t i = 0, to; i < kept; i = to) {
        for (to = i + 1; to < kept && a->targets.p[to]->object == a->targets.p[i]->object; to++)
            ;
        tell_losers(&a->targets.p[i], to - i, s, now_us);
    }
    return n;
}

void arbiter_failed(struct arbiter *a, oid object, const char *field) {
    struct target *t = target(a, object, NULL, field);
    if (!t)
        return;
    t->is_sent = false;
    t->dirty = true;
    int64_t wait = RETRY_US;
    for (uint32_t i = 0; i < t->failures && wait < RETRY_MAX_US; i++)
        wait *= 2;
    t->failures++;
    t->retry_us = t->sent_us + (wait < RETRY_MAX_US ? wait : RETRY_MAX_US);
}

int64_t arbiter_next_us(const struct arbiter *a) {
    int64_t next = 0;
    for (size_t i = 0; i < a->targets.n; i++) {
        const struct target *t = a->targets.p[i];
        if (t->failures && !t->is_sent && (!next || t->retry_us < next))
            next = t->retry_us;
        for (uint32_t k = 0; k < t->n; k++)
            if (!next || t->claims[k].until_us < next)
                next = t->claims[k].until_us;
        if (t->is_slewing && (!next || t->slewed_us + SLEW_STEP_US < next))
            next = t->slewed_us + SLEW_STEP_US;
    }
    return next;
}

struct doc *arbiter_doc(const struct arbiter *a, const struct estate *s, oid object, struct arena *ar) {
    struct doc *list = doc_seq(ar);
    for (size_t i = 0; i < a->targets.n; i++) {
        const struct target *t = a->targets.p[i];
        if (object && t->object != object)
            continue;
        const struct claim *w = winner(t);
        for (uint32_t k = 0; k < t->n; k++) {
            const struct claim *c = &t->claims[k];
            struct doc *d = doc_map(ar);
            char path[ESTATE_PATH], until[CIVIL_TEXT];
            estate_path(s, t->object, path);
            civil_print(until, c->until_us);
            doc_put_str(ar, d, "object", path);
            doc_put_str(ar, d, "field", t->property->field);
            doc_put_real(ar, d, "value", c->value);
            doc_put_str(ar, d, "class", claim_words[c->cls]);
            doc_put_str(ar, d, "by", c->by);
            doc_put_str(ar, d, "until", until);
            doc_put_str(ar, d, "why", c->why);
            doc_put_bool(ar, d, "wins", c == w);
            doc_push(list, d);
        }
    }
    return list;
}
