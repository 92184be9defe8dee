/* Random numbers by name. One seed makes one universe: every consumer forks its own stream by a path
 * ("disk/17/fail"), so a new consumer never shifts another's draws.
 * xoshiro256** (Blackman & Vigna 2018) seeded through SplitMix64 of (parent seed, hash of the name). */
#ifndef SUAN_BASE_RNG_H
#define SUAN_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
    uint64_t seed; /* what children are forked from; draws do not change it */
};

struct rng rng_new(uint64_t seed);
struct rng rng_fork(const struct rng *parent, const char *name);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 .. n-1, unbiased (Lemire 2019); n > 0 */
double rng_unit(struct rng *r);                /* [0, 1), 53 bits */
double rng_normal(struct rng *r);              /* polar method on fx_log: the same on every machine */
double rng_exponential(struct rng *r, double mean);

#endif
