/* What the two readers (json.c, yaml.c) share: limits and map building with duplicate keys refused. Private. */
#ifndef SUAN_BASE_DOC_BUILD_H
#define SUAN_BASE_DOC_BUILD_H

#include "base/doc.h"
#include "base/map.h"

struct doc_index {
    struct map map;
    struct doc_index *next;
};

struct doc_builder {
    struct arena *a;
    const char *name;
    struct doc_limits limits;
    size_t nodes;
    struct doc_index *indexes; /* of maps read so far */
    struct err *e;
};

void doc_builder_init(struct doc_builder *b, struct arena *a, const char *name, const struct doc_limits *limits,
                      struct err *e);
int doc_builder_fail(const struct doc_builder *b, int code, size_t line, size_t column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* NULL when the node budget is spent (the error is set). */
struct doc *doc_builder_node(struct doc_builder *b, enum doc_type type, size_t line, size_t column);
int doc_builder_put(struct doc_builder *b, struct doc *map, const char *key, struct doc *value, size_t line,
                    size_t column);
/* Call once at the end, also after an error: moves the key indexes into the arena. */
void doc_builder_settle(struct doc_builder *b);

#endif
