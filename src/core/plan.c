/* Writing a plan: bounded lists in the plan's arena. What is over a limit is counted, never silently gone. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/cap.h"

const char *const maturity_words[] = {"experimental", "beta", "production", NULL};
const char *const cap_mode_words[] = {"off", "advise", "act", NULL};

enum { CLAIMS_MAX = 65536, NOTES_MAX = 4096, CONDITIONS_MAX = 16384 };

static void *grow(struct arena *a, void *p, uint32_t n, uint32_t *cap, uint32_t max, size_t size) {
    if (n < *cap)
        return p;
    uint32_t to = *cap ? *cap * 2 : 16;
    to = to > max ? max : to;
    void *fresh = arena_alloc(a, to * size);
    if (n)
        memcpy(fresh, p, n * size);
    *cap = to;
    return fresh;
}

static char *printed(struct arena *a, const char *format, va_list args) {
    char s[512];
    vsnprintf(s, sizeof s, format, args);
    return arena_strdup(a, s);
}

void plan_claim(struct plan *p, oid object, const char *field, double value, enum claim_class cls, int64_t lease_us,
                const char *why, ...) {
    if (p->n_claims == CLAIMS_MAX) {
        p->dropped++;
        return;
    }
    va_list args;
    va_start(args, why);
    p->claims = grow(p->arena, p->claims, p->n_claims, &p->cap_claims, CLAIMS_MAX, sizeof *p->claims);
    p->claims[p->n_claims++] = (struct plan_claim){object, field, value, cls, lease_us, printed(p->arena, why, args)};
    va_end(args);
}

void plan_note(struct plan *p, const char *object, struct doc *reasons, const char *format, ...) {
    if (p->n_notes == NOTES_MAX) {
        p->dropped++;
        return;
    }
    va_list args;
    va_start(args, format);
    p->notes = grow(p->arena, p->notes, p->n_notes, &p->cap_notes, NOTES_MAX, sizeof *p->notes);
    p->notes[p->n_notes++] =
        (struct plan_note){.object = object, .text = printed(p->arena, format, args), .reasons = reasons};
    va_end(args);
}

void plan_condition(struct plan *p, oid object, const char *name, enum severity sev, const char *format, ...) {
    if (p->n_conditions == CONDITIONS_MAX) {
        p->dropped++;
        return;
    }
    p->conditions = grow(p->arena, p->conditions, p->n_conditions, &p->cap_conditions, CONDITIONS_MAX,
                         sizeof *p->conditions);
    struct plan_condition *c = &p->conditions[p->n_conditions++];
    *c = (struct plan_condition){.object = object, .name = name, .severity = sev};
    if (format) {
        va_list args;
        va_start(args, format);
        c->text = printed(p->arena, format, args);
        va_end(args);
    }
}
