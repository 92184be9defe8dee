/* Prints one state hash a seed: `world_hashes SEEDS HOURS`. compare_hashes.sh runs it from two compilers. */
#include "estate_text.h"
#include "world/world.h"

static void count(void *ctx, int64_t handle, bool finished) {
    (void)handle;
    *(int *)ctx += finished;
}

int main(int argc, char **argv) {
    int seeds = argc > 1 ? atoi(argv[1]) : 100, hours = argc > 2 ? atoi(argv[2]) : 24;
    struct estate *s = estate_of_racks(4);
    struct world_model *m;
    struct err e = {0};
    if (!s || world_compile(s, &m, &e))
        return fprintf(stderr, "world: %s\n", e.message), 1;
    for (int seed = 1; seed <= seeds; seed++) {
        int64_t start = 1767225600000000;
        int ended = 0;
        struct world *w = world_new(m, (uint64_t)seed, start);
        for (int h = 0; h < hours; h++) {
            /* Move everything a controller or a scenario can move, so that the hash covers it. */
            oid n = estate_find(s, "node", h % 2 ? "c-h-r001-n03" : "c-h-r002-n07");
            world_set_cap(w, n, h % 3 ? 150 + 7.3 * h : 0, NULL);
            world_work(w, n, 3 + h % 5, 1000.5 * (h + seed), count, &ended);
            if (h == 7)
                world_poke(w, "supply rack/c-h-r003 41.7", NULL);
            if (h == 9)
                world_poke(w, "fail node/c-h-r001-n05", NULL);
            world_advance(w, start + (h + 1) * INT64_C(3600000000) - 1234567);
        }
        printf("%d %016llx %d\n", seed, (unsigned long long)world_hash(w), ended);
        world_free(w);
    }
    world_model_free(m);
    estate_free(s);
    return 0;
}
