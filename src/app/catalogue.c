#include <stdlib.h>
#include <string.h>

#include "app/cli.h"
#include "app/list.h"
#include "core/host.h"

void catalogue_open(struct catalogue *c) {
    const struct kind *kinds[ESTATE_KINDS_MAX];
    size_t n = app_kinds(kinds), rows = 0;
    c->estate = estate_new(kinds, n);
    c->verbs = verbs_new();
    verbs_add(c->verbs, house_verbs, house_nverbs);
    for (size_t i = 0; app_caps[i]; i++)
        verbs_add(c->verbs, app_caps[i]->verbs, app_caps[i]->nverbs);
    for (size_t i = 0; app_classes[i]; i++)
        rows += app_classes[i]->nverbs;
    c->device_verbs = calloc(rows + 1, sizeof *c->device_verbs);
    rows = 0;
    for (size_t i = 0; app_classes[i]; i++)
        for (size_t k = 0; k < app_classes[i]->nverbs; k++)
            if (device_verb_is_public(app_classes[i], &app_classes[i]->verbs[k]))
                c->device_verbs[rows++] = app_classes[i]->verbs[k];
    verbs_add(c->verbs, c->device_verbs, rows);
}

void catalogue_close(struct catalogue *c) {
    verbs_free(c->verbs);
    estate_free(c->estate);
    free(c->device_verbs);
}

int catalogue_find(const struct catalogue *c, const char *on, const char *verb, const struct verb **out, struct err *e) {
    *out = verbs_find(c->verbs, on, verb);
    if (!*out && estate_kind(c->estate, on))
        *out = verbs_find(c->verbs, "*", verb);
    return *out ? 0 : verbs_lookup(c->verbs, on, verb, out, e);
}
