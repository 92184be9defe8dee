/* Messages between our own processes: any JSON is one of the three shapes or refused, with a reason. */
#include "core/link.h"
#include "fuzz.h"

int fuzz_link(const uint8_t *p, size_t n);

int fuzz_link(const uint8_t *p, size_t n) {
    static const struct doc_limits limits = {.bytes_max = LINK_FRAME_MAX, .depth_max = 32};
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    struct err e = {0};
    struct link_message m;
    if (!json_parse(&a, "link", (const char *)p, n, &limits, &d, &e)) {
        int rc = link_message_read(d, &m, &e);
        FUZZ_CHECK(rc ? e.code == rc && *e.message : m.kind == LINK_EVENT || m.number > 0);
        FUZZ_CHECK(rc || m.kind == LINK_REPLY || (m.name && *m.name));
        FUZZ_CHECK(rc || m.kind != LINK_REPLY || m.err.code <= 0);
    }
    arena_free(&a);
    return 0;
}
