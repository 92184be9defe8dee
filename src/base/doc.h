/* Doc: one document tree for YAML and JSON, every node with the place it came from.
 *
 * All configuration, API bodies, link messages and stored rows are docs; tables (base/field.h) read and write
 * them. Nodes live in the caller's arena and are never freed alone. Maps keep their order; a key that stands
 * twice is an error at the second one. Building a tree is O(n); doc_get is linear for small maps and hashed
 * (built once, at parse) above 16 keys.
 *
 * Limits (struct doc_limits) are checked while reading, before memory is spent: bytes, depth, nodes, string size.
 * JSON: RFC 8259, strict (no NaN, no trailing commas, no lone surrogates), UTF-8 checked.
 * YAML: libyaml's events, core schema of YAML 1.2 for scalars (so `no` and `on` are text), anchors and aliases
 * allowed with a budget against "billion laughs", merge keys (<<) supported, one document a file. */
#ifndef SUAN_BASE_DOC_H
#define SUAN_BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

enum doc_type { DOC_NULL, DOC_BOOL, DOC_INT, DOC_REAL, DOC_STR, DOC_SEQ, DOC_MAP };

struct doc {
    enum doc_type type;
    uint32_t line, column; /* from 1; 0 = not from text */
    const char *key;       /* name in the parent map, else NULL */
    struct doc *next;      /* next sibling */
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct {
            const char *p; /* NUL-terminated; may hold NULs inside, so mind n */
            size_t n;
        } str;
        struct {
            struct doc *first, *last;
            size_t n;
            struct map *index; /* maps above 16 keys, else NULL */
        } list;
    };
};

struct doc_limits {
    size_t bytes_max, depth_max, nodes_max, string_max; /* 0 = the default */
};
/* Defaults: 64 MiB, 64 levels, 4 million nodes, 1 MiB a string. An API body uses smaller ones. */

/* `name` is what errors show as the file ("estate.yaml:12:7"); for API bodies "body". */
int json_parse(struct arena *a, const char *name, const char *p, size_t n, const struct doc_limits *limits,
               struct doc **out, struct err *e);
int yaml_parse(struct arena *a, const char *name, const char *p, size_t n, const struct doc_limits *limits,
               struct doc **out, struct err *e);

struct doc *doc_null(struct arena *a);
struct doc *doc_bool(struct arena *a, bool v);
struct doc *doc_int(struct arena *a, int64_t v);
struct doc *doc_real(struct arena *a, double v);
struct doc *doc_str(struct arena *a, const char *s);   /* copies */
struct doc *doc_strn(struct arena *a, const char *s, size_t n);
struct doc *doc_seq(struct arena *a);
struct doc *doc_map(struct arena *a);
void doc_push(struct doc *seq, struct doc *item);
/* Appends without looking for the key (the builder knows its keys); `key` must outlive the arena or be in it. */
void doc_put(struct doc *map, const char *key, struct doc *value);
void doc_put_str(struct arena *a, struct doc *map, const char *key, const char *s);
void doc_put_int(struct arena *a, struct doc *map, const char *key, int64_t v);
void doc_put_real(struct arena *a, struct doc *map, const char *key, double v);
void doc_put_bool(struct arena *a, struct doc *map, const char *key, bool v);

struct doc *doc_get(const struct doc *map, const char *key); /* NULL when absent or not a map */
/* Convenience for trusted documents: the value or the fallback when absent or of another type. */
const char *doc_get_str(const struct doc *map, const char *key, const char *fallback);
int64_t doc_get_int(const struct doc *map, const char *key, int64_t fallback);
double doc_get_real(const struct doc *map, const char *key, double fallback); /* accepts an int */
bool doc_get_bool(const struct doc *map, const char *key, bool fallback);
/* By path "a.b[3].c". */
struct doc *doc_at(const struct doc *root, const char *path);
struct doc *doc_copy(struct arena *a, const struct doc *d);
bool doc_equal(const struct doc *x, const struct doc *y); /* 1 and 1.0 are equal; map order is ignored */
const char *doc_type_name(enum doc_type t);

#define doc_each(item, list_doc) \
    for (struct doc *item = (list_doc) ? (list_doc)->list.first : NULL; item; item = item->next)

/* One line (indent 0) or pretty (indent 2). Output of the printer reads back to an equal tree. */
void json_print(struct text *out, const struct doc *d, int indent);
void yaml_print(struct text *out, const struct doc *d);

#endif
