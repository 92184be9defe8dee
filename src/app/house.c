#include "app/house.h"

#include <string.h>

#include "app/list.h"
#include "device/twin/executor.h"
#include "estate/kinds.h"

enum { LOOK_US = 2000000 };

int house_open(struct house *s, struct loop *loop, const char *state, uint64_t seed, struct err *e) {
    const struct kind *kinds[ESTATE_KINDS_MAX];
    memset(s, 0, sizeof *s);
    s->loop = loop;
    return host_open(&s->host, loop, kinds, app_kinds(kinds), app_caps, state, seed, e);
}

static bool all_twin(const struct estate *s, const char *kind) {
    const struct field *f = table_find(estate_kind(s, kind)->table, "backend");
    for (oid i = 0; f && (i = estate_next(s, kind, i));) {
        const char *spec = (const char *)estate_data(s, i) + f->offset, *bar = strrchr(spec, '|');
        const char *last = bar ? bar + 1 : spec;
        if (strcmp(last, "twin") && strncmp(last, "twin:", 5))
            return false;
    }
    return true;
}

bool house_is_twin(const struct house *s) {
    const struct estate *e = s->host.estate;
    for (size_t i = 0; i < estate_kind_count(e); i++)
        if ((estate_kind_at(e, i)->flags & KIND_DEVICE) && !all_twin(e, estate_kind_at(e, i)->name))
            return false;
    return true;
}

/* Devices that a commit brought are polled from now on. The world does not grow: a twin of one that it does not know is
 * "unreachable", and says why, until the controller starts again. */
static void look(void *ctx) {
    struct house *s = ctx;
    if (s->looked_at != estate_revision(s->host.estate))
        devices_poll(s->host.devices);
    s->looked_at = estate_revision(s->host.estate);
    timer_in(s->loop, &s->look, LOOK_US, look, s);
}

int house_start(struct house *s, uint64_t seed, struct err *e) {
    struct host *h = &s->host;
    int rc = s->twin ? 0 : twin_open(h, seed, &s->twin, e);
    if (!rc)
        rc = devices_open(h, app_classes, app_backends, &h->devices, e);
    if (rc)
        return rc;
    h->act = devices_act;
    h->is_twin = house_is_twin(s);
    devices_add_verbs(h->devices, h->verbs);
    if ((rc = host_start(h, e)))
        return rc;
    look(s);
    twin_executors_start(h);
    return 0;
}

void house_close(struct house *s) {
    struct host *h = &s->host;
    timer_cancel(s->loop, &s->look);
    if (h->devices)
        devices_close(h->devices);
    h->devices = NULL;
    twin_close(s->twin);
    host_close(h);
}
