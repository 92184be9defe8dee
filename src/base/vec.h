/* Vector: a typed growable array in three macros. Memory is malloc's; vec_free gives it back.
 *   struct { int *p; size_t n, cap; } v = {0};   vec_push(&v, 7);   vec_free(&v);        */
#ifndef SUAN_BASE_VEC_H
#define SUAN_BASE_VEC_H

#include <stddef.h>

#define VEC(type)        \
    struct {             \
        type *p;         \
        size_t n, cap;   \
    }

void *vec_grow_bytes(void *p, size_t *cap, size_t need, size_t item_size); /* ends the process without memory */

#define vec_reserve(v, need) \
    ((v)->cap < (need) ? (void)((v)->p = vec_grow_bytes((v)->p, &(v)->cap, (need), sizeof *(v)->p)) : (void)0)
#define vec_push(v, ...) (vec_reserve((v), (v)->n + 1), (v)->p[(v)->n++] = (__VA_ARGS__))
#define vec_free(v) (free((v)->p), (v)->p = NULL, (v)->n = (v)->cap = 0)

#endif
