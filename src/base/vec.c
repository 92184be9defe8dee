#include "base/vec.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void *vec_grow_bytes(void *p, size_t *cap, size_t need, size_t item_size) {
    size_t to = *cap ? *cap * 2 : 8;
    if (to < need)
        to = need;
    void *fresh = to > SIZE_MAX / item_size ? NULL : realloc(p, to * item_size);
    if (!fresh) {
        fprintf(stderr, "suan: out of memory: %zu items of %zu bytes refused\n", to, item_size);
        abort();
    }
    *cap = to;
    return fresh;
}
