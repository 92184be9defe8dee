/* base, estate and world stand alone: this program links those three libraries and nothing else of the house. */
#include "tap.h"

#include "world/estate_text.h"
#include "world/world.h"

int main(void) {
    struct estate *s = estate_of_racks(1);
    struct world_model *m = NULL;
    struct err e = {0};
    ok(s && !world_compile(s, &m, &e), "an estate compiles into a world");
    struct world *w = world_new(m, 7, 1767225600000000);
    uint64_t before = world_hash(w);
    world_advance(w, world_now_us(w) + 3600000000);
    ok(world_hash(w) != before, "an hour changes it");
    world_free(w);
    world_model_free(m);
    estate_free(s);
    return tap_done();
}
