/* Field tables: one row, one truth.
 *
 * A `struct field` says everything about one member of a C struct: its name, type, unit, range, default, words,
 * reference, documentation. Nouns, verb inputs and outputs, events and configuration are all tables of fields, and
 * everything is built from the rows at run time: parsing with file:line:column, defaults, units, ranges,
 * references, printing, diff, JSON Schema, OpenAPI, CLI help, reference pages, console forms, stored rows.
 * Code reads plain members: `rack->budget_w`.
 *
 * Names end in their unit: _w _kw _kwh _c _pa _us _s _bps _ratio _bytes _kg … and the row's `unit` says the same;
 * `tidy` compares them. Values are given as numbers in that unit, or as text with a unit of the same dimension
 * ("40 kW" for a `_w` field, "15m" for `_us`, "4 GiB" for `_bytes`, "35 %" for `_ratio`).
 *
 * Memory: objects are flat (inline char arrays, inline numeric arrays), so they can be copied by memcpy, hashed,
 * diffed and kept in pools. FIELD_DOC (a subtree in the request's arena) is for verb inputs and outputs only. */
#ifndef SUAN_BASE_FIELD_H
#define SUAN_BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/doc.h"
#include "base/err.h"
#include "base/text.h"

typedef uint64_t oid; /* stable id of an estate object (estate/estate.h); 0 = none */

enum field_type {
    FIELD_BOOL,  /* bool */
    FIELD_INT,   /* int64_t */
    FIELD_REAL,  /* double, finite */
    FIELD_TEXT,  /* char[size], UTF-8, NUL-terminated */
    FIELD_ENUM,  /* int, index into words */
    FIELD_REF,   /* oid of an object of kind `ref` ("*" = any kind) */
    FIELD_TIME,  /* int64_t, us since 1970 UTC; RFC 3339 outside */
    FIELD_SPAN,  /* int64_t, us; "15m" outside, a bare number is seconds */
    FIELD_GROUP, /* nested struct described by `group` */
    FIELD_DOC,   /* struct doc * of any shape; verb tables only */
};

enum field_flags {
    F_REQUIRED = 1 << 0, /* must be given */
    F_STATE = 1 << 1,    /* observed, not configured: written by controllers, refused in import and set */
    F_VOLATILE = 1 << 2, /* telemetry-like: changes are not journaled nor stored (implies F_STATE) */
    F_SECRET = 1 << 3,   /* printed as "***", never journaled */
    F_FINAL = 1 << 4,    /* may be set at creation only */
    F_LIVE_SAFE = 1 << 5 /* may be commanded without a maintenance window */
};

struct field;
typedef int field_check_fn(const void *object, const struct field *f, struct err *e);

struct field {
    const char *name;
    enum field_type type;
    uint32_t offset, size;         /* of one item */
    uint32_t count_max;            /* 0 = scalar, else an inline array of at most this many */
    uint32_t count_offset;         /* of the array's uint32_t count */
    double min, max;               /* both 0 = no range */
    const char *unit;              /* "W", "degC", "us", "bit/s", "1" … NULL = none */
    const char *dflt;              /* as a person would write it; NULL = zero/empty */
    const char *const *words;      /* FIELD_ENUM: NULL-terminated */
    const char *ref;               /* FIELD_REF: kind name */
    const struct table *group;     /* FIELD_GROUP */
    uint32_t flags;
    field_check_fn *check;         /* after all fields of the object are read */
    const char *doc;               /* one sentence, ends with a full stop */
};

struct table {
    const char *name;
    const struct field *fields;
    uint32_t nfields;
    size_t size; /* sizeof the struct */
    const char *doc;
};

/* Rows. The member's C type is checked at compile time: another type does not compile. */
#define FIELD_OF(S, M, T, C, ...)                                                                       \
    {                                                                                                   \
        .name = #M, .type = (T),                                                                        \
        .offset = (uint32_t)offsetof(S, M) +                                                            \
                  0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)0)->M), C) ? 1 : -1]),  \
        .size = (uint32_t)sizeof(((S *)0)->M), __VA_ARGS__                                              \
    }
#define FIELD_BOOL(S, M, ...) FIELD_OF(S, M, FIELD_BOOL, bool, __VA_ARGS__)
#define FIELD_INT(S, M, ...) FIELD_OF(S, M, FIELD_INT, int64_t, __VA_ARGS__)
#define FIELD_REAL(S, M, ...) FIELD_OF(S, M, FIELD_REAL, double, __VA_ARGS__)
#define FIELD_ENUM(S, M, ...) FIELD_OF(S, M, FIELD_ENUM, int, __VA_ARGS__)
#define FIELD_REF(S, M, ...) FIELD_OF(S, M, FIELD_REF, oid, __VA_ARGS__)
#define FIELD_TIME(S, M, ...) FIELD_OF(S, M, FIELD_TIME, int64_t, __VA_ARGS__)
#define FIELD_SPAN(S, M, ...) FIELD_OF(S, M, FIELD_SPAN, int64_t, __VA_ARGS__)
#define FIELD_DOC(S, M, ...) FIELD_OF(S, M, FIELD_DOC, struct doc *, __VA_ARGS__)
#define FIELD_TEXT(S, M, ...) FIELD_OF(S, M, FIELD_TEXT, char[sizeof(((S *)0)->M)], __VA_ARGS__)
#define FIELD_GROUP(S, M, G, ...) FIELD_OF(S, M, FIELD_GROUP, G, __VA_ARGS__)
/* Inline array: member M is `C M[max]` and `uint32_t n_M` stands beside it. */
#define FIELD_ARRAY(S, M, T, C, ...)                                                                         \
    {                                                                                                        \
        .name = #M, .type = (T),                                                                             \
        .offset = (uint32_t)offsetof(S, M) +                                                                 \
                  0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)0)->M[0]), C) ? 1 : -1]),    \
        .size = (uint32_t)sizeof(((S *)0)->M[0]),                                                            \
        .count_max = (uint32_t)(sizeof(((S *)0)->M) / sizeof(((S *)0)->M[0])),                               \
        .count_offset = (uint32_t)offsetof(S, n_##M) +                                                       \
                        0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)0)->n_##M), uint32_t)  \
                                            ? 1                                                              \
                                            : -1]),                                                          \
        __VA_ARGS__                                                                                          \
    }
#define TABLE(S, F, DOC)                                                                                     \
    { .name = #S, .fields = (F), .nfields = (uint32_t)(sizeof(F) / sizeof((F)[0])), .size = sizeof(struct S), \
      .doc = (DOC) }

/* How references are resolved: base does not know the estate. A NULL env refuses every reference. */
struct field_env {
    int (*resolve)(void *ctx, const char *kind, const char *name, oid *out, struct err *e);
    const char *(*name_of)(void *ctx, oid id); /* "kind/name" when the field's ref is "*", else "name" */
    void *ctx;
};

enum table_mode {
    TABLE_CREATE,  /* F_STATE refused, F_REQUIRED enforced, defaults for the rest (call table_defaults first) */
    TABLE_SET,     /* partial: F_STATE and F_FINAL refused */
    TABLE_RESTORE, /* everything allowed: stored rows, link messages */
};

/* Defaults into a zeroed struct. */
void table_defaults(const struct table *t, void *object);
/* Read a map into the struct. Unknown keys, wrong types, ranges: an error with the value's place
 * ("estate.yaml:12:7: rack/r01: budget_w"), the value, the limit and a hint. Nothing is half applied: on error
 * `object` is unchanged. */
int table_read(const struct table *t, void *object, const struct doc *map, const char *source,
               const struct field_env *env, enum table_mode mode, struct err *e);
/* One field from text, as on the command line: k=v. Arrays: comma-separated. */
int field_read_text(const struct field *f, void *object, const char *value, const struct field_env *env,
                    struct err *e);
/* Run every check() and range of the table. */
int table_check(const struct table *t, const void *object, struct err *e);
struct doc *table_write(const struct table *t, const void *object, struct arena *a, const struct field_env *env,
                        uint32_t flags_without); /* skips fields with any of these flags */
struct doc *field_write(const struct field *f, const void *object, struct arena *a, const struct field_env *env);
/* As a person reads it: "41.2 kW", "3d4h", "running". */
void field_print(const struct field *f, const void *object, const struct field_env *env, struct text *out);
bool field_equal(const struct field *f, const void *x, const void *y);
const struct field *table_find(const struct table *t, const char *name);
/* JSON Schema (2020-12) of the table; `x-unit`, `x-ref`, `x-flags` carry what JSON Schema has no word for. */
struct doc *table_schema(const struct table *t, struct arena *a);
struct doc *field_schema(const struct field *f, struct arena *a);
/* Hash of all non-volatile fields. */
uint64_t table_hash(const struct table *t, const void *object, uint64_t seed);

/* Units: value in `unit` from text that may carry another unit of the same dimension. */
int unit_parse(const char *text, const char *unit, double *out, struct err *e);
void unit_print(double value, const char *unit, struct text *out); /* with a scaled prefix: "41.2 kW" */
bool unit_known(const char *unit);

#endif
