/* The same seed is the same universe: a rack over its budget, capped, while jobs are placed on it and an executor falls
 * silent, in virtual time, twice for each of twenty seeds. Decisions and state must be the same to the bit, another seed
 * must be another universe, and a stream of random numbers must not hear of its neighbours.
 *   test_determinism FOLDER [FIRST [COUNT]]      one seed: test_determinism . 17 1 */
#include "app/scenario.h"
#include "base/rng.h"
#include "tap.h"

static const char story[] =
    "title Twice the same\n"
    "estate share/estates/rack.yaml\n"
    "backend agent twin\n"
    "filter pdu fault:rate_ratio=0.05\n"
    "verb cap mode powercap mode=act\n"
    "set rack/c1-h1-r1 budget_w=1.9 kW\n"
    "warp 1m\n"
    "verb tenant create name=grid-lab title=Lab\n"
    "verb job submit share/jobs/forecast.yaml\n"
    "verb job submit share/jobs/hello.yaml\n"
    "load rack/c1-h1-r1 0.7\n"
    "at +6m: cut agent/c1-agent\n"
    "at +12m: join agent/c1-agent\n"
    "at +20m: fail node/c1-h1-r1-n1\n"
    "at +25m: repair node/c1-h1-r1-n1\n"
    "warp 40m\n"
    "expect journal \"set cap_w\"\n"
    "expect journal \"place\"\n";

static bool run(const char *folder, uint64_t seed, struct scenario_result *out) {
    char path[600], number[24], text[sizeof story];
    struct text report = TEXT_INIT;
    struct err e = {0};
    snprintf(path, sizeof path, "%s/test/scn/determinism.scn", folder);
    snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    memcpy(text, story, sizeof story);
    struct scenario_options o = {.seed = number};
    int rc = scenario_run_text(path, text, &o, out, &report, &e);
    if (rc || out->failed)
        printf("# %s %s\n# %s\n", e.message, e.place, text_str(&report));
    text_free(&report);
    return !rc && !out->failed;
}

static void seeds(const char *folder, uint64_t first, uint64_t count) {
    uint64_t before = 0;
    int alike = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct scenario_result a = {0}, b = {0};
        char name[120];
        bool good = run(folder, seed, &a) && run(folder, seed, &b);
        snprintf(name, sizeof name, "seed %llu: %lld rows, twice the same decisions and the same state", (unsigned long long)seed,
                 (long long)a.rows);
        if (!ok(good && a.rows > 20 && a.rows == b.rows && a.decision_hash == b.decision_hash && a.state_hash == b.state_hash, name))
            printf("#   %016llx %016llx, %016llx %016llx; repeat: test_determinism %s %llu 1\n", (unsigned long long)a.decision_hash,
                   (unsigned long long)b.decision_hash, (unsigned long long)a.state_hash, (unsigned long long)b.state_hash, folder,
                   (unsigned long long)seed);
        alike += a.state_hash == before;
        before = a.state_hash;
    }
    is_int(alike, 0, "no two seeds in a row are the same universe");
}

/* Draws of one stream, after `others` more were made and drawn from. */
static uint64_t draws(uint64_t seed, int others, bool draw_parent) {
    struct rng root = rng_new(seed);
    uint64_t all = 0;
    for (int i = 0; i < others; i++) {
        char name[32];
        snprintf(name, sizeof name, "other/%d", i);
        struct rng r = rng_fork(&root, name);
        for (int k = 0; k < 10; k++)
            rng_u64(&r);
    }
    for (int k = 0; draw_parent && k < 7; k++)
        rng_u64(&root);
    struct rng mine = rng_fork(&root, "disk/17/fail");
    struct rng child = rng_fork(&mine, "again");
    for (int k = 0; k < 100; k++)
        all = all * 31 + rng_u64(&mine) + rng_u64(&child);
    return all;
}

static void streams(void) {
    bool same = true, differ = true;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t alone = draws(seed, 0, false);
        same &= draws(seed, 1, false) == alone && draws(seed, 50, true) == alone;
        differ &= draws(seed + 1, 0, false) != alone;
    }
    ok(same, "a new consumer, and draws of the parent, shift nobody's stream");
    ok(differ, "another seed is another stream");
    /* Streams of near names agree in no more places than chance has it. */
    struct rng root = rng_new(1);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        char x[32], y[32];
        snprintf(x, sizeof x, "disk/%d", i);
        snprintf(y, sizeof y, "disk/%d", i + 1);
        struct rng a = rng_fork(&root, x), b = rng_fork(&root, y);
        for (int k = 0; k < 64; k++)
            equal += (rng_u64(&a) & 1) == (rng_u64(&b) & 1);
    }
    ok(equal > 32000 - 640 && equal < 32000 + 640, "streams of near names know nothing of each other");
    printf("#   %d of 64,000 bits agree\n", equal);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        printf("Bail out! test_determinism FOLDER [FIRST [COUNT]]\n");
        return 1;
    }
    seeds(argv[1], argc > 2 ? strtoull(argv[2], NULL, 10) : 1, argc > 3 ? strtoull(argv[3], NULL, 10) : 20);
    streams();
    return tap_done();
}
