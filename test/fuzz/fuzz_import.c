/* Estate documents: a good one exports to a document that imports to the same estate; a bad one changes nothing. */
#include "estate/kinds.h"
#include "fuzz.h"

int fuzz_import(const uint8_t *p, size_t n);

static size_t kinds(void) {
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    return n;
}

static int import(struct estate *s, const struct doc *d, struct err *e) {
    struct txn *t = estate_begin(s);
    int rc = txn_import(t, d, "input", e);
    if (rc) {
        FUZZ_CHECK(*e->message);
        txn_abort(t);
        return rc;
    }
    return txn_commit(t, "fuzz", "fuzz", NULL, e);
}

int fuzz_import(const uint8_t *p, size_t n) {
    static const struct doc_limits limits = {.bytes_max = 65536, .depth_max = 24, .nodes_max = 20000};
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    struct err e = {0};
    if (!yaml_parse(&a, "input", (const char *)p, n, &limits, &d, &e)) {
        struct estate *s = estate_new(kinds_foundation, kinds());
        uint64_t before = estate_hash(s);
        if (import(s, d, &e)) {
            FUZZ_CHECK(estate_hash(s) == before && !estate_count(s, NULL) && !estate_sequence(s));
        } else if (estate_count(s, NULL) < 2000) { /* a range of 100,000 names is legal, but slow to walk thrice */
            struct doc *out = estate_export(s, &a, false);
            struct estate *again = estate_new(kinds_foundation, kinds());
            struct text x = TEXT_INIT, y = TEXT_INIT;
            FUZZ_CHECK(!import(again, out, &e));
            json_print(&x, out, 0);
            json_print(&y, estate_export(again, &a, false), 0);
            FUZZ_CHECK(x.n == y.n && !strcmp(text_str(&x), text_str(&y)));
            text_free(&x);
            text_free(&y);
            estate_free(again);
        }
        estate_free(s);
    }
    arena_free(&a);
    return 0;
}
