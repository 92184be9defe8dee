/* Decisions in words: one line, and a document with every candidate and every term. */
#include "sched/sched_private.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    size_t offset;
} terms[] = {
    {"carbon", offsetof(struct candidate, carbon_cny)},   {"energy price", offsetof(struct candidate, energy_cny)},
    {"compute price", offsetof(struct candidate, compute_cny)}, {"data movement", offsetof(struct candidate, data_cny)},
    {"waiting", offsetof(struct candidate, time_cny)},
};

static double term(const struct candidate *c, size_t i) {
    return *(const double *)((const char *)c + terms[i].offset);
}

/* What `spread` puts before the money is a count: the money alone is worth showing. */
static double shown(const struct decision *d, const struct candidate *c) {
    return strcmp(d->policy, "spread") ? c->score_cny : c->score_cny - c->same_job * SPREAD_CNY;
}

void sched_explain(struct decision *d, uint32_t best, const struct estate *s) {
    const struct candidate *b = &d->candidates[best], *second = NULL;
    uint32_t possible = 0;
    for (uint32_t i = 0; i < d->n_candidates; i++) {
        const struct candidate *c = &d->candidates[i];
        if (*c->refused)
            continue;
        possible++;
        if (i != best && (!second || c->score_cny < second->score_cny))
            second = c;
    }
    if (!second) {
        snprintf(d->why, sizeof d->why, "only %s of %u centres could take it", estate_name(s, b->centre), d->n_candidates);
        return;
    }
    size_t most = 0;
    for (size_t i = 1; i < sizeof terms / sizeof terms[0]; i++)
        if (term(second, i) - term(b, i) > term(second, most) - term(b, most))
            most = i;
    if (second->same_job > b->same_job && !strcmp(d->policy, "spread"))
        snprintf(d->why, sizeof d->why, "%s is best of %u under %s: it runs %.0f tasks of the job, %s runs %.0f",
                 estate_name(s, b->centre), possible, d->policy, b->same_job, estate_name(s, second->centre),
                 second->same_job);
    else if (second->score_cny <= b->score_cny)
        snprintf(d->why, sizeof d->why, "%s and %s tie under %s; the lower name wins", estate_name(s, b->centre),
                 estate_name(s, second->centre), d->policy);
    else
        snprintf(d->why, sizeof d->why, "%s is best of %u under %s: %.3g against %.3g at %s, mostly %s",
                 estate_name(s, b->centre), possible, d->policy, shown(d, b), shown(d, second),
                 estate_name(s, second->centre), terms[most].word);
}

void sched_explain_nowhere(struct decision *d, const struct estate *s) {
    int n = snprintf(d->why, sizeof d->why, "no centre can take it now:");
    for (uint32_t i = 0; i < d->n_candidates && n > 0 && (size_t)n < sizeof d->why; i++)
        n += snprintf(d->why + n, sizeof d->why - (size_t)n, "%s %s (%s)", i ? "," : "",
                      estate_name(s, d->candidates[i].centre), d->candidates[i].refused);
    if (!d->n_candidates)
        snprintf(d->why, sizeof d->why, "the estate has no centre");
}

struct doc *decision_doc(const struct decision *d, const struct estate *s, struct arena *a) {
    struct doc *out = doc_map(a), *list = doc_seq(a);
    doc_put_str(a, out, "policy", d->policy);
    doc_put_str(a, out, "centre", d->centre ? estate_name(s, d->centre) : "");
    doc_put_str(a, out, "node", d->node ? estate_name(s, d->node) : "");
    doc_put_str(a, out, "why", d->why);
    for (uint32_t i = 0; i < d->n_candidates; i++) {
        const struct candidate *c = &d->candidates[i];
        struct doc *m = doc_map(a);
        doc_put_str(a, m, "centre", estate_name(s, c->centre));
        if (*c->refused) {
            doc_put_str(a, m, "refused", c->refused);
        } else {
            doc_put_real(a, m, "score", c->score_cny);
            doc_put_real(a, m, "energy_cny", c->energy_cny);
            doc_put_real(a, m, "carbon_cny", c->carbon_cny);
            doc_put_real(a, m, "compute_cny", c->compute_cny);
            doc_put_real(a, m, "data_cny", c->data_cny);
            doc_put_real(a, m, "time_cny", c->time_cny);
            doc_put_real(a, m, "moved_bytes", c->moved_bytes);
            doc_put_real(a, m, "transfer_s", c->transfer_s);
            doc_put_real(a, m, "energy_kwh", c->energy_kwh);
            doc_put_real(a, m, "carbon_kg", c->carbon_kg);
        }
        doc_push(list, m);
    }
    doc_put(out, "candidates", list);
    return out;
}
