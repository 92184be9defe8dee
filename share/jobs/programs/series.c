#include "series.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/fx.h"
#include "base/hash.h"
#include "folder.h"

static const double two_pi = 6.28318530717958647692;

static int64_t hour_of(int year, int month, int day, int hour) {
    struct civil c = {.year = year, .month = month, .day = day, .hour = hour};
    return civil_to_us(&c) / 3600000000;
}

static int row_read(struct series *s, const char *line, struct err *e) {
    int year, month, day, hour, minute, end = 0;
    double carbon, renewable;
    if (sscanf(line, "%4d-%2d-%2dT%2d:%2dZ,%lf,%lf,%*d%n", &year, &month, &day, &hour, &minute, &carbon, &renewable,
               &end) != 7 || line[end] || !end)
        return err_set(e, E_PARSE, "row %zu cannot be read: '%.60s'", s->n + 2, line);
    int64_t at = hour_of(year, month, day, hour);
    if (!s->n)
        s->start_h = at;
    if (minute || at != s->start_h + (int64_t)s->n)
        return err_set(e, E_PARSE, "row %zu does not follow the hour before it: '%.20s'", s->n + 2, line);
    if (!(carbon >= 0 && carbon <= 5000 && renewable >= 0 && renewable <= 100))
        return err_set(e, E_PARSE, "row %zu: %g g/kWh or %g %% is out of range", s->n + 2, carbon, renewable);
    if (s->n == HOURS_MAX)
        return err_set(e, E_LIMIT, "more than %d hours", HOURS_MAX);
    s->carbon[s->n] = carbon;
    s->renewable[s->n++] = renewable;
    return 0;
}

static void moments(const double *x, size_t n, double *mean, double *deviation) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    *deviation = sqrt(squares / (double)n);
}

/* The last quarter of a year is the test, the quarter before it the validation. */
static int split(struct series *s, struct err *e) {
    const size_t quarter = 92 * 24;
    if (s->n < 4 * quarter)
        return err_set(e, E_INVAL, "%zu hours are too few: a year is needed for train, validation and test", s->n);
    s->test_from = s->n - quarter;
    s->validation_from = s->test_from - quarter;
    moments(s->carbon, s->validation_from, &s->mean, &s->deviation);
    moments(s->renewable, s->validation_from, &s->renewable_mean, &s->renewable_deviation);
    if (!(s->deviation > 0 && s->renewable_deviation > 0))
        return err_set(e, E_INVAL, "the series does not vary: there is nothing to learn");
    return 0;
}

int series_read(struct series *s, const char *name, struct err *e) {
    char file[96];
    struct text t = TEXT_INIT;
    struct hash h;
    *s = (struct series){0};
    if (!str_is_name(name))
        return err_set(e, E_INVAL, "'%.40s' is no name of a series", name);
    snprintf(file, sizeof file, "grid/%s.csv.zst", name);
    int rc = folder_read_data(file, &t, e);
    char *save = NULL, *line = rc ? NULL : strtok_r(t.p, "\n", &save);
    if (!rc && (!line || strcmp(line, "time_utc,carbon_g_per_kwh,renewable_pct,estimated")))
        rc = err_set(e, E_PARSE, "the head line is another than expected");
    s->carbon = calloc(HOURS_MAX, sizeof(double));
    s->renewable = calloc(HOURS_MAX, sizeof(double));
    while (!rc && (line = strtok_r(NULL, "\n", &save)))
        rc = row_read(s, line, e);
    rc = rc ? rc : split(s, e);
    hash_begin(&h, 1);
    for (size_t i = 0; i < s->n; i++) {
        hash_real(&h, s->carbon[i]);
        hash_real(&h, s->renewable[i]);
    }
    s->hash = hash_end(&h);
    text_free(&t);
    if (rc)
        series_free(s);
    return rc ? err_context(e, "%s", file) : 0;
}

void series_free(struct series *s) {
    free(s->carbon);
    free(s->renewable);
    *s = (struct series){0};
}

static double z(const struct series *s, size_t i) { return (s->carbon[i] - s->mean) / s->deviation; }

void series_features(const struct series *s, size_t issue, double out[FEATURES]) {
    size_t k = 0;
    int64_t hour = s->start_h + (int64_t)issue;
    for (size_t i = issue - RECENT; i < issue; i++)
        out[k++] = z(s, i);
    for (size_t i = issue - WEEK; i < issue - WEEK + HORIZON; i++)
        out[k++] = z(s, i);
    for (size_t i = issue - HORIZON; i < issue; i++)
        out[k++] = (s->renewable[i] - s->renewable_mean) / s->renewable_deviation;
    double day = two_pi * (double)(hour % 24) / 24, year = two_pi * (double)(hour % 8766) / 8766;
    out[k++] = fx_sin(day);
    out[k++] = fx_cos(day);
    out[k++] = fx_sin(year);
    out[k++] = fx_cos(year);
    int64_t weekday = (hour / 24 + 3) % 7; /* 1970-01-01 was a Thursday; 0 = Monday */
    for (int64_t i = 0; i < 7; i++)
        out[k++] = i == weekday;
}

void series_target(const struct series *s, size_t issue, double out[HORIZON]) {
    for (size_t h = 0; h < HORIZON; h++)
        out[h] = z(s, issue + h) - z(s, issue + h - HORIZON);
}

double series_forecast(const struct series *s, size_t issue, int h, double out) {
    double value = s->carbon[issue + (size_t)h - HORIZON] + out * s->deviation;
    return value > 0 ? value : 0;
}
