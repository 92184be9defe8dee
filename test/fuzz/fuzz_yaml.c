/* YAML: what is read prints, as YAML and as JSON, to a text that reads back equal. */
#include "base/doc.h"
#include "fuzz.h"

int fuzz_yaml(const uint8_t *p, size_t n);

static size_t depth_of(const struct doc *d) {
    size_t most = 0;
    if (d->type == DOC_SEQ || d->type == DOC_MAP)
        doc_each(item, d) {
            size_t k = depth_of(item) + 1;
            most = k > most ? k : most;
        }
    return most;
}

int fuzz_yaml(const uint8_t *p, size_t n) {
    enum { DEPTH = 24 };
    static const struct doc_limits limits = {.bytes_max = 65536, .depth_max = DEPTH, .nodes_max = 20000};
    struct arena a = ARENA_INIT;
    struct text t = TEXT_INIT;
    struct doc *d = NULL, *back = NULL;
    struct err e = {0};
    int rc = yaml_parse(&a, "input", (const char *)p, n, &limits, &d, &e);
    FUZZ_CHECK(rc ? e.code == rc && *e.message && *e.place : d != NULL);
    if (!rc) {
        FUZZ_CHECK(depth_of(d) <= DEPTH); /* aliases too */
        yaml_print(&t, d);
        FUZZ_CHECK(!yaml_parse(&a, "again", text_str(&t), t.n, NULL, &back, &e));
        FUZZ_CHECK(doc_equal(d, back));
        text_reset(&t);
        json_print(&t, d, 0);
        FUZZ_CHECK(!json_parse(&a, "again", text_str(&t), t.n, NULL, &back, &e));
        FUZZ_CHECK(doc_equal(d, back));
    }
    text_free(&t);
    arena_free(&a);
    return 0;
}
