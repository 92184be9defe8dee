/* Values as people write them: the first line is a unit, the rest the value; and the same text into every kind of field. */
#include <math.h>

#include "base/field.h"
#include "fuzz.h"

int fuzz_unit(const uint8_t *p, size_t n);

static const char *const words[] = {"idle", "busy", "gone", NULL};
struct inner {
    double power_w;
    int64_t count;
};
static const struct field inner_fields[] = {
    FIELD_REAL(struct inner, power_w, .unit = "W", .min = 0, .max = 1e6),
    FIELD_INT(struct inner, count),
};
static const struct table inner_table = TABLE(inner, inner_fields, "Inner.");
struct all {
    bool flag;
    int64_t bytes, at_us, for_us;
    double ratio, temperature_c, list[4];
    uint32_t n_list;
    char name[24];
    int state;
    struct inner inner;
};
static const struct field all_fields[] = {
    FIELD_BOOL(struct all, flag), FIELD_INT(struct all, bytes, .unit = "B", .dflt = "4 KiB"), FIELD_TIME(struct all, at_us),
    FIELD_SPAN(struct all, for_us), FIELD_REAL(struct all, ratio, .unit = "1", .min = 0, .max = 1),
    FIELD_REAL(struct all, temperature_c, .unit = "degC"), FIELD_ARRAY(struct all, list, FIELD_REAL, double, .unit = "h"),
    FIELD_TEXT(struct all, name, .flags = F_REQUIRED), FIELD_ENUM(struct all, state, .words = words),
    FIELD_GROUP(struct all, inner, struct inner, .group = &inner_table),
};
static const struct table all_table = TABLE(all, all_fields, "One of each.");

/* What one field takes from a text, it prints so that it takes it again, equal. */
static void one(const struct field *f, const char *s) {
    struct all x = {0}, y = {0};
    struct err e = {0};
    struct arena a = ARENA_INIT;
    if (!field_read_text(f, &x, s, NULL, &e)) {
        struct doc *map = doc_map(&a);
        struct text t = TEXT_INIT;
        doc_put(map, f->name, field_write(f, &x, &a, NULL));
        if (f->type == FIELD_REAL && !f->count_max) {
            double v;
            memcpy(&v, (char *)&x + f->offset, sizeof v);
            FUZZ_CHECK(isfinite(v));
        }
        int rc = table_read(&all_table, &y, map, "again", NULL, TABLE_SET, &e);
        FUZZ_CHECK(!rc || strstr(e.message, "range"));
        FUZZ_CHECK(rc || field_equal(f, &x, &y));
        field_print(f, &x, NULL, &t);
        text_free(&t);
    } else {
        FUZZ_CHECK(*e.message);
    }
    arena_free(&a);
}

int fuzz_unit(const uint8_t *p, size_t n) {
    char *s = fuzz_text(p, n), *value = strchr(s, '\n');
    double v;
    struct err e = {0};
    if (value) {
        *value++ = '\0';
        int rc = unit_parse(value, *s ? s : NULL, &v, &e);
        FUZZ_CHECK(rc || isfinite(v));
        for (uint32_t i = 0; i < all_table.nfields; i++)
            if (all_fields[i].type != FIELD_GROUP)
                one(&all_fields[i], value);
        /* The same bytes as a document. */
        struct arena a = ARENA_INIT;
        struct doc *d = NULL;
        if (!yaml_parse(&a, "input", value, strlen(value), NULL, &d, NULL)) {
            struct all x = {0}, before = x;
            table_defaults(&all_table, &x);
            before = x;
            if (table_read(&all_table, &x, d, "input", NULL, TABLE_CREATE, &e)) {
                FUZZ_CHECK(*e.message && *e.place);
                FUZZ_CHECK(!memcmp(&x, &before, sizeof x));
            } else {
                FUZZ_CHECK(*x.name && x.state >= 0 && x.state < 3 && x.n_list <= 4);
            }
        }
        arena_free(&a);
    }
    free(s);
    return 0;
}
