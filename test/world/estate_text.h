/* A small estate for tests and benchmarks of the world: racks of 16 nodes of a real server's curve.
 * Curve: SPECpower_ssj2008 form, 11 points; the figures are a plain two-socket server's, not of any named product. */
#ifndef SUAN_TEST_WORLD_ESTATE_TEXT_H
#define SUAN_TEST_WORLD_ESTATE_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "estate/kinds.h"

static inline size_t foundation_count(void) {
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    return n;
}

/* NULL and a message on stderr when the text is not an estate. */
static inline struct estate *estate_from_text(const char *text) {
    struct arena a = ARENA_INIT;
    struct doc *d;
    struct err e = {0};
    uint64_t revision;
    struct estate *s = estate_new(kinds_foundation, foundation_count());
    int rc = yaml_parse(&a, "test", text, strlen(text), NULL, &d, &e);
    if (!rc) {
        struct txn *t = estate_begin(s);
        rc = txn_import(t, d, "test", &e);
        if (rc)
            txn_abort(t);
        else
            rc = txn_commit(t, "test", "test", &revision, &e);
    }
    arena_free(&a);
    if (!rc)
        return s;
    fprintf(stderr, "%s: %s\n", e.place, e.message);
    estate_free(s);
    return NULL;
}

#define ESTATE_HEAD                                                                                                    \
    "estate: test\n"                                                                                                   \
    "grid:\n"                                                                                                          \
    "  - name: north\n"                                                                                                \
    "    factor_kg_per_kwh: 0.6\n"                                                                                     \
    "model:\n"                                                                                                         \
    "  - name: srv\n"                                                                                                  \
    "    cores: 64\n"                                                                                                  \
    "    cap_min_w: 150\n"                                                                                             \
    "    power_curve_w: [100, 140, 170, 195, 220, 245, 275, 310, 350, 390, 430]\n"                                     \
    "centre:\n"                                                                                                        \
    "  - name: c\n"                                                                                                    \
    "    grid: north\n"                                                                                                \
    "    pue_ratio: 1.25\n"                                                                                            \
    "    hall:\n"                                                                                                      \
    "      - name: h\n"                                                                                                \
    "        rack:\n"

/* `racks` racks of 16 nodes, each with one PDU. */
static inline struct estate *estate_of_racks(int racks) {
    char text[2048];
    snprintf(text, sizeof text,
             ESTATE_HEAD "          - name: r[001-%03d]\n"
                         "            budget_w: 5000\n"
                         "            pdu:\n"
                         "              - name: p\n"
                         "            node:\n"
                         "              - name: n[01-16]\n"
                         "                model: srv\n",
             racks);
    return estate_from_text(text);
}

#endif
