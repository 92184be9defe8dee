/* The change feed: a ring that every follower reads at its own pace. */
#include <string.h>

#include "estate/graph.h"

void feed_add(struct estate *s, enum change_op op, struct object *o, const struct kind *kind, uint64_t revision) {
    struct change *c = &s->ring[++s->sequence % RING];
    *c = (struct change){.sequence = s->sequence, .op = op, .id = o->id, .revision = revision, .kind = kind};
    memcpy(c->name, o->name, sizeof c->name);
    o->sequence = s->sequence;
}

uint64_t estate_sequence(const struct estate *s) { return s->sequence; }

int estate_changes(const struct estate *s, uint64_t *cursor, struct change *out) {
    if (*cursor >= s->sequence)
        return 0;
    if (s->sequence - *cursor > RING - 1) {
        *cursor = s->sequence;
        return -1;
    }
    *out = s->ring[++*cursor % RING];
    return 1;
}
