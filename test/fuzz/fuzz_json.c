/* JSON: what is read prints, compact and pretty, to a text that reads back equal; an error has a place. */
#include "base/doc.h"
#include "fuzz.h"

int fuzz_json(const uint8_t *p, size_t n);

static void again(const struct doc *d, int indent) {
    struct arena a = ARENA_INIT;
    struct text t = TEXT_INIT;
    struct doc *back = NULL;
    struct err e = {0};
    json_print(&t, d, indent);
    FUZZ_CHECK(!json_parse(&a, "again", text_str(&t), t.n, NULL, &back, &e));
    FUZZ_CHECK(doc_equal(d, back));
    text_free(&t);
    arena_free(&a);
}

int fuzz_json(const uint8_t *p, size_t n) {
    static const struct doc_limits limits = {.bytes_max = 65536, .depth_max = 32, .nodes_max = 20000};
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    struct err e = {0};
    int rc = json_parse(&a, "input", (const char *)p, n, &limits, &d, &e);
    FUZZ_CHECK(rc ? e.code == rc && *e.message && *e.place : d != NULL);
    if (!rc) {
        again(d, 0);
        again(d, 2);
    }
    arena_free(&a);
    return 0;
}
