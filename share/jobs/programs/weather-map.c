/* weather-map CITY YEAR-MONTH…: wet bulb of each hour of those months -> out/part.
 *
 * Vapour pressure from the dew point, or from the relative humidity where only that is there. The pressure of an airport
 * report is reduced to sea level; the station's is computed back with the standard atmosphere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "distribution.h"
#include "folder.h"
#include "psychro.h"

static const struct city {
    const char *name;
    double height_m; /* of the airport's thermometer */
} cities[] = {{"beijing", 35}, {"guangzhou", 15}, {"shanghai", 4}};
enum { N_CITIES = sizeof cities / sizeof cities[0], COLUMNS = 5, MONTHS_MAX = 64 };

static const struct city *city_find(const char *name, struct err *e) {
    const char *names[N_CITIES];
    for (size_t i = 0; i < N_CITIES; i++) {
        names[i] = cities[i].name;
        if (!strcmp(name, names[i]))
            return &cities[i];
    }
    const char *near = str_nearest(name, names, N_CITIES);
    err_set(e, E_NOTFOUND, "there is no weather of '%.40s'; cities: beijing, guangzhou, shanghai", name);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    return NULL;
}

/* A month that was asked for. */
struct month {
    const char *text; /* "2014-07" */
    bool seen;
};

static int months_read(char **argv, int n, struct month *months, struct err *e) {
    if (n > MONTHS_MAX)
        return err_set(e, E_LIMIT, "%d months; at most %d are read at once", n, MONTHS_MAX);
    for (int i = 0; i < n; i++) {
        int year, month, end = 0;
        if (sscanf(argv[i], "%4d-%2d%n", &year, &month, &end) != 2 || end != 7 || argv[i][7] || month < 1 || month > 12)
            return err_set(e, E_INVAL, "a month is written 2014-07, not '%.40s'", argv[i]);
        for (int k = 0; k < i; k++)
            if (!strcmp(argv[k], argv[i]))
                return err_set(e, E_INVAL, "the month %s stands twice", argv[i]);
        months[i] = (struct month){argv[i], false};
    }
    return 0;
}

static bool number(const char *s, double low, double high, double *out) {
    char *end;
    *out = strtod(s, &end);
    return end != s && !*end && *out >= low && *out <= high;
}

/* Splits at commas, in place. */
static int columns(char *line, char *at[COLUMNS]) {
    int n = 0;
    for (char *p = line; p && n < COLUMNS; n++) {
        at[n] = p;
        if ((p = strchr(p, ',')))
            *p++ = '\0';
        else
            return n + 1;
    }
    return COLUMNS + 1; /* more than there should be */
}

static void hour_add(struct distribution *d, const struct city *c, char *at[COLUMNS]) {
    double t, dew, humidity, pressure, vapour;
    if (!number(at[1], -60, 60, &t) || !number(at[4], 500, 1100, &pressure)) {
        d->missing++;
        return;
    }
    if (number(at[2], -80, 60, &dew)) {
        vapour = psychro_saturation_water_pa(dew);
    } else if (number(at[3], 0, 100, &humidity)) {
        vapour = psychro_saturation_water_pa(t) * humidity / 100;
    } else {
        d->missing++;
        return;
    }
    distribution_add(d, psychro_wet_bulb_c(t, vapour, psychro_station_pa(pressure * 100, c->height_m)));
}

static int map(const struct city *c, struct month *months, int n, struct text *data, struct distribution *d, struct err *e) {
    size_t line_no = 1;
    char *save, *line = strtok_r(data->p, "\n", &save);
    if (!line || strcmp(line, "time_local,dry_bulb_c,dew_point_c,humidity_pct,pressure_hpa"))
        return err_set(e, E_PARSE, "the weather of %s has another head line than expected", c->name);
    str_copy(d->city, sizeof d->city, c->name);
    while ((line = strtok_r(NULL, "\n", &save))) {
        char *at[COLUMNS];
        line_no++;
        for (int i = 0; i < n; i++) {
            if (strncmp(line, months[i].text, 7))
                continue;
            if (columns(line, at) != COLUMNS)
                return err_set(e, E_PARSE, "line %zu of the weather of %s has not 5 columns", line_no, c->name);
            months[i].seen = true;
            hour_add(d, c, at);
            break;
        }
    }
    for (int i = 0; i < n; i++)
        if (!months[i].seen)
            return err_set(e, E_NOTFOUND, "the weather of %s has no month %s", c->name, months[i].text);
    return 0;
}

int main(int argc, char **argv) {
    static struct distribution d;
    struct err e = {0};
    struct month months[MONTHS_MAX];
    char file[64];
    struct text data = TEXT_INIT, out = TEXT_INIT;
    int rc = argc >= 3 ? 0 : err_set(&e, E_INVAL, "usage: weather-map CITY YEAR-MONTH…");
    const struct city *c = rc ? NULL : city_find(argv[1], &e);
    rc = c ? months_read(argv + 2, argc - 2, months, &e) : e.code;
    if (!rc) {
        snprintf(file, sizeof file, "weather/%s.csv.zst", c->name);
        rc = folder_read_data(file, &data, &e);
    }
    if (!rc)
        rc = map(c, months, argc - 2, &data, &d, &e);
    if (!rc) {
        distribution_print(&d, &out);
        rc = folder_write("out/part", out.p, out.n, &e);
    }
    if (!rc)
        printf("result {\"city\":\"%s\",\"hours\":%llu,\"missing\":%llu}\n", d.city, (unsigned long long)d.hours,
               (unsigned long long)d.missing);
    text_free(&data);
    text_free(&out);
    return rc ? folder_fail("weather-map", &e) : 0;
}
