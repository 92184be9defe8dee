/* The hourly series of a grid and what a day-ahead forecast of it may look at.
 *
 * A forecast issued at hour i covers i .. i+23 and sees hours before i only: the last 48 hours of carbon intensity, the same
 * 24 hours a week ago, the last 24 hours of the renewable share, and the calendar of the issue hour. The target is the
 * difference to the same hour of the last day, so that a network that outputs zero is the naive forecast.
 * Split by time, never mixed: train, then validation (chooses the epoch), then test (looked at once, at the end). */
#ifndef SUAN_JOBS_SERIES_H
#define SUAN_JOBS_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { HORIZON = 24, RECENT = 48, WEEK = 168, CALENDAR = 11, FEATURES = RECENT + HORIZON + HORIZON + CALENDAR, HOURS_MAX = 100000 };

struct series {
    double *carbon, *renewable; /* g/kWh; per cent */
    size_t n, validation_from, test_from;
    int64_t start_h; /* hours since 1970 */
    double mean, deviation, renewable_mean, renewable_deviation; /* of the training part */
    uint64_t hash;   /* of the values */
};

/* $SUAN_SHARE/data/grid/<name>.csv.zst; hours must follow each other without a gap. */
int series_read(struct series *s, const char *name, struct err *e);
void series_free(struct series *s);
void series_features(const struct series *s, size_t issue, double out[FEATURES]);
void series_target(const struct series *s, size_t issue, double out[HORIZON]);
/* g/kWh of the hour `issue + h` from a network's output. */
double series_forecast(const struct series *s, size_t issue, int h, double out);

#endif
