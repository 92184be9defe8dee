/* Distribution: counts of a temperature in bins of 0.01 K. Integers only, so merging parts in any order or grouping
 * gives the same bytes as one pass over all hours, and every quantile is that of the rounded values, exactly. */
#ifndef SUAN_JOBS_DISTRIBUTION_H
#define SUAN_JOBS_DISTRIBUTION_H

#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

enum { BIN_LOW = -6000, BIN_HIGH = 6000, BINS = BIN_HIGH - BIN_LOW + 1, CITY_NAME = 32 };

struct distribution {
    char city[CITY_NAME];
    uint64_t hours, missing; /* hours = sum of the bins */
    uint32_t bins[BINS];
};

void distribution_add(struct distribution *d, double t_c); /* clamped to -60 .. 60 degC */
int distribution_merge(struct distribution *to, const struct distribution *from, struct err *e);
/* Nearest rank: the smallest value with at least q x hours at or below it. */
double distribution_quantile_c(const struct distribution *d, double q);
double distribution_mean_c(const struct distribution *d);
uint64_t distribution_hours_to(const struct distribution *d, double t_c); /* hours at or below */
void distribution_print(const struct distribution *d, struct text *out);
/* Refuses what distribution_print did not write: other heads, bins out of order, a wrong checksum. */
int distribution_read(struct distribution *d, const char *name, const char *p, size_t n, struct err *e);

#endif
