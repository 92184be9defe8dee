/* Backend specs: "modbus:host=127.0.0.1,port=502". */
#include "device/device.h"
#include "fuzz.h"

int fuzz_spec(const uint8_t *p, size_t n);

int fuzz_spec(const uint8_t *p, size_t n) {
    char *s = fuzz_text(p, n), name[32];
    struct arena a = ARENA_INIT;
    struct doc *options = NULL;
    struct err e = {0};
    int rc = backend_spec_parse(&a, s, name, &options, &e);
    FUZZ_CHECK(rc ? *e.message != '\0' : *name && strlen(name) < sizeof name);
    if (!rc && options)
        doc_each(o, options)
            FUZZ_CHECK(o->key && *o->key);
    arena_free(&a);
    free(s);
    return 0;
}
