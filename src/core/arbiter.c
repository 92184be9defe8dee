#include "core/arbiter.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/map.h"
#include "base/vec.h"

const char *const claim_words[] = {"safety", "manual", "contract", "performance", "efficiency", NULL};

enum { CLAIMANTS = 8, RETRY_US = 5000000, RETRY_MAX_US = 60000000 };

struct target { /* one commandable property of one object with its claims */
    oid object;
    const struct property *property;
    struct claim claims[CLAIMANTS];
    uint32_t n;
    double sent;
    bool is_sent, dirty;
    int64_t sent_us, retry_us;
    uint32_t failures; /* of sending, in a row */
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

static const struct property *property(const struct arbiter *a, const char *kind, const char *field) {
    for (size_t i = 0; i < a->properties.n; i++)
        if (!strcmp(a->properties.p[i]->field, field) && (!kind || !strcmp(a->properties.p[i]->kind, kind)))
            return a->properties.p[i];
    return NULL;
}

static struct target *target(struct arbiter *a, oid object, const char *field, bool make) {
    char key[96];
    bool is_new;
    key_of(key, object, field);
    struct target *t = map_ptr(&a->by_key, key);
    if (t || !make)
        return t;
    const struct property *p = property(a, NULL, field);
    if (!p)
        return NULL;
    t = calloc(1, sizeof *t);
    t->object = object;
    t->property = p;
    memcpy(t->key, key, sizeof key);
    vec_push(&a->targets, t);
    for (size_t i = a->targets.n - 1; i > 0 && a->targets.p[i - 1]->object > object; i--) {
        struct target *swap = a->targets.p[i - 1];
        a->targets.p[i - 1] = a->targets.p[i];
        a->targets.p[i] = swap;
    }
    map_put(&a->by_key, t->key, &is_new)->value.ptr = t;
    return t;
}

int arbiter_claim(struct arbiter *a, const struct claim *c, struct err *e) {
    struct target *t = target(a, c->object, c->field, true);
    if (!t)
        return err_set(e, E_NOTFOUND, "nothing commands a property called '%s'", c->field);
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
    struct target *t = target(a, object, field, false);
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

static void tell_losers(struct target *t, struct estate *s, const struct claim *w, int64_t now_us) {
    char text[192], until[CIVIL_TEXT];
    bool lost = false;
    for (uint32_t i = 0; w && i < t->n; i++) {
        const struct claim *c = &t->claims[i];
        if (c == w || fabs(c->value - w->value) < 1e-9)
            continue;
        civil_print(until, w->until_us);
        snprintf(text, sizeof text, "%s wants %s %.6g, but %s (%s) holds it at %.6g until %s", c->by,
                 t->property->field, c->value, w->by, claim_words[w->cls], w->value, until);
        lost = true;
    }
    estate_condition(s, t->object, "overridden", SEV_NOTICE, "arbiter", now_us, lost ? text : NULL);
}

/* Interlock and slew see every value last. Returns whether it is to be sent. */
static bool settle_one(struct target *t, struct estate *s, int64_t now_us, struct command *out) {
    const struct claim *w = winner(t);
    double value = w ? w->value : t->property->safe;
    char word[160] = "";
    if (t->property->interlock && t->property->interlock(s, t->object, &value, word))
        return false;
    if (t->is_sent && t->property->slew_per_s > 0) {
        double most = t->property->slew_per_s * (double)(now_us - t->sent_us) * 1e-6, d = value - t->sent;
        value = d > most ? t->sent + most : d < -most ? t->sent - most : value;
    }
    tell_losers(t, s, w, now_us);
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
        if (!estate_alive(s, t->object) || (!t->n && !t->dirty && (t->is_sent ? t->sent == t->property->safe : !t->failures))) {
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
    return n;
}

void arbiter_failed(struct arbiter *a, oid object, const char *field) {
    struct target *t = target(a, object, field, false);
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
