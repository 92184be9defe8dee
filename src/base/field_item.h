/* Access to one item of a field: what the readers and writers share. Private to base. */
#ifndef SUAN_BASE_FIELD_ITEM_H
#define SUAN_BASE_FIELD_ITEM_H

#include <string.h>

#include "base/field.h"

static inline uint32_t field_count(const struct field *f, const void *object) {
    if (!f->count_max)
        return 1;
    uint32_t n;
    memcpy(&n, (const char *)object + f->count_offset, sizeof n);
    return n < f->count_max ? n : f->count_max;
}
static inline const void *field_item(const struct field *f, const void *object, uint32_t i) {
    return (const char *)object + f->offset + (size_t)i * f->size;
}
static inline void *field_item_mut(const struct field *f, void *object, uint32_t i) {
    return (char *)object + f->offset + (size_t)i * f->size;
}
static inline void field_set_count(const struct field *f, void *object, uint32_t n) {
    if (f->count_max)
        memcpy((char *)object + f->count_offset, &n, sizeof n);
}
/* Read one item from text (CLI, or a text node of a document). */
int field_item_text(const struct field *f, void *item, const char *s, const struct field_env *env, struct err *e);

#endif
