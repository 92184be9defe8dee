#include "distribution.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

void distribution_add(struct distribution *d, double t_c) {
    double centi = floor(t_c * 100 + 0.5);
    int at = centi < BIN_LOW ? BIN_LOW : centi > BIN_HIGH ? BIN_HIGH : (int)centi;
    d->bins[at - BIN_LOW]++;
    d->hours++;
}

int distribution_merge(struct distribution *to, const struct distribution *from, struct err *e) {
    if (!*to->city)
        str_copy(to->city, sizeof to->city, from->city);
    if (strcmp(to->city, from->city))
        return err_set(e, E_CONFLICT, "parts of two cities cannot be merged: %s and %s", to->city, from->city);
    for (int i = 0; i < BINS; i++)
        if (to->bins[i] > UINT32_MAX - from->bins[i])
            return err_set(e, E_LIMIT, "more than %u hours in one bin", UINT32_MAX);
    for (int i = 0; i < BINS; i++)
        to->bins[i] += from->bins[i];
    to->hours += from->hours;
    to->missing += from->missing;
    return 0;
}

double distribution_quantile_c(const struct distribution *d, double q) {
    double rank = ceil(q * (double)d->hours);
    uint64_t want = rank < 1 ? 1 : (uint64_t)rank, seen = 0;
    for (int i = 0; i < BINS; i++)
        if ((seen += d->bins[i]) >= want)
            return (i + BIN_LOW) / 100.0;
    return NAN;
}

double distribution_mean_c(const struct distribution *d) {
    int64_t sum = 0;
    for (int i = 0; i < BINS; i++)
        sum += (int64_t)d->bins[i] * (i + BIN_LOW);
    return d->hours ? (double)sum / (double)d->hours / 100 : NAN;
}

uint64_t distribution_hours_to(const struct distribution *d, double t_c) {
    int last = (int)floor(t_c * 100 + 0.5) - BIN_LOW;
    uint64_t sum = 0;
    for (int i = 0; i < BINS && i <= last; i++)
        sum += d->bins[i];
    return sum;
}

void distribution_print(const struct distribution *d, struct text *out) {
    size_t from = out->n;
    text_addf(out, "wet-bulb-distribution 1\ncity %s\nmissing %" PRIu64 "\n", d->city, d->missing);
    for (int i = 0; i < BINS; i++)
        if (d->bins[i])
            text_addf(out, "%d %u\n", i + BIN_LOW, d->bins[i]);
    text_addf(out, "crc %08x\n", crc32c(0, out->p + from, out->n - from));
}

static int wrong(const char *name, size_t line, const char *what, struct err *e) {
    err_set(e, E_PARSE, "%.100s:%zu: %s", name, line, what);
    err_place(e, "%.100s:%zu:1", name, line);
    return E_PARSE;
}

/* The lines between head and crc. */
static int bins_read(struct distribution *d, const char *name, const char *p, const char *end, struct err *e) {
    int before = BIN_LOW - 1;
    for (size_t line = 4; p < end; line++) {
        char *rest;
        long bin = strtol(p, &rest, 10);
        if (rest == p || *rest != ' ' || bin <= before || bin > BIN_HIGH)
            return wrong(name, line, "bins must rise from -6000 to 6000", e);
        p = rest + 1;
        unsigned long count = strtoul(p, &rest, 10);
        if (rest == p || *p == '-' || *rest != '\n' || !count || count > UINT32_MAX)
            return wrong(name, line, "a count of 1 .. 4294967295 is wanted", e);
        p = rest + 1;
        before = (int)bin;
        d->bins[bin - BIN_LOW] = (uint32_t)count;
        d->hours += count;
    }
    return 0;
}

int distribution_read(struct distribution *d, const char *name, const char *p, size_t n, struct err *e) {
    static const char head[] = "wet-bulb-distribution 1\n";
    char city[CITY_NAME];
    int at = 0;
    unsigned crc;
    memset(d, 0, sizeof *d);
    if (strlen(p) != n || !str_starts(p, head))
        return wrong(name, 1, "this is no wet-bulb distribution", e);
    const char *last = n > 14 ? p + n - 14 : p; /* "\ncrc 01234567\n" */
    if (strncmp(last, "\ncrc ", 5) || last[13] != '\n' || sscanf(last + 5, "%8x", &crc) != 1)
        return wrong(name, 1, "the checksum line is missing: the file is cut off", e);
    if (crc32c(0, p, (size_t)(last + 1 - p)) != crc)
        return wrong(name, 1, "the checksum does not fit: the file is damaged", e);
    if (sscanf(p + strlen(head), "city %31[a-z]\nmissing %" SCNu64 "\n%n", city, &d->missing, &at) != 2 || !at)
        return wrong(name, 2, "lines `city NAME` and `missing COUNT` are wanted", e);
    str_copy(d->city, sizeof d->city, city);
    return bins_read(d, name, p + strlen(head) + at, last + 1, e);
}
