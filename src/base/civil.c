#include "base/civil.h"

#include <stdio.h>
#include <string.h>

/* Days since 1970-01-01 and back: Howard Hinnant, "chrono-compatible low-level date algorithms". */
static int64_t days_from(int64_t y, int m, int d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

struct civil civil_from_us(int64_t us) {
    int64_t day = us / 86400000000, rest = us % 86400000000;
    if (rest < 0) {
        rest += 86400000000;
        day--;
    }
    int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    struct civil c;
    c.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    c.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    c.year = (int)(yoe + era * 400 + (c.month <= 2));
    c.hour = (int)(rest / 3600000000);
    c.minute = (int)(rest / 60000000 % 60);
    c.second = (int)(rest / 1000000 % 60);
    c.microsecond = (int)(rest % 1000000);
    c.weekday = (int)(((day + 3) % 7 + 7) % 7);
    return c;
}

/* Unsigned, because before the first representable second the product alone would not fit, though the sum does. */
int64_t civil_to_us(const struct civil *c) {
    int64_t seconds = days_from(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
    return (int64_t)((uint64_t)seconds * 1000000u + (uint64_t)(int64_t)c->microsecond);
}

void civil_print(char out[CIVIL_TEXT], int64_t us) {
    struct civil c = civil_from_us(us);
    int n = snprintf(out, CIVIL_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d", c.year, c.month, c.day, c.hour, c.minute, c.second);
    if (c.microsecond)
        n += snprintf(out + n, (size_t)(CIVIL_TEXT - n), ".%06d", c.microsecond);
    snprintf(out + n, (size_t)(CIVIL_TEXT - n), "Z");
}

static bool digits(const char **s, int n, int *out) {
    *out = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        *out = *out * 10 + (**s - '0');
    }
    return true;
}

static int month_days(int y, int m) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && y % 4 == 0 && (y % 100 || y % 400 == 0) ? 29 : days[m - 1];
}

static bool expect(const char **s, char c) { return *(*s)++ == c; }

bool civil_parse(const char *s, int64_t *us) {
    struct civil c = {0};
    if (!digits(&s, 4, &c.year) || !expect(&s, '-') || !digits(&s, 2, &c.month) || !expect(&s, '-') ||
        !digits(&s, 2, &c.day))
        return false;
    if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > month_days(c.year, c.month))
        return false;
    int64_t offset_s = 0;
    if (*s) {
        if ((*s != 'T' && *s != 't' && *s != ' ') || (s++, !digits(&s, 2, &c.hour)) || !expect(&s, ':') ||
            !digits(&s, 2, &c.minute) || !expect(&s, ':') || !digits(&s, 2, &c.second))
            return false;
        if (c.hour > 23 || c.minute > 59 || c.second > 60)
            return false;
        if (*s == '.') {
            int scale = 100000;
            if (s[1] < '0' || s[1] > '9')
                return false;
            for (s++; *s >= '0' && *s <= '9'; s++, scale /= 10)
                c.microsecond += (*s - '0') * scale;
        }
        int h, m;
        if (*s == 'Z' || *s == 'z')
            s++;
        else if (*s == '+' || *s == '-') {
            int sign = *s++ == '-' ? -1 : 1;
            if (!digits(&s, 2, &h) || !expect(&s, ':') || !digits(&s, 2, &m) || h > 23 || m > 59)
                return false;
            offset_s = sign * (h * 3600 + m * 60);
        } else {
            return false;
        }
    }
    if (*s)
        return false;
    *us = civil_to_us(&c) - offset_s * 1000000;
    return true;
}

void span_print(char out[CIVIL_TEXT], int64_t us) {
    static const struct {
        const char *word;
        int64_t us;
    } units[] = {{"d", 86400000000}, {"h", 3600000000}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1}};
    const char *sign = us < 0 ? "-" : "";
    uint64_t u = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t unit = (uint64_t)units[i].us;
        if (u < unit)
            continue;
        int n = snprintf(out, CIVIL_TEXT, "%s%llu%s", sign, (unsigned long long)(u / unit), units[i].word);
        if (i + 1 < sizeof units / sizeof units[0] && u % unit / (uint64_t)units[i + 1].us)
            snprintf(out + n, (size_t)(CIVIL_TEXT - n), "%llu%s", (unsigned long long)(u % unit / (uint64_t)units[i + 1].us),
                     units[i + 1].word);
        return;
    }
    snprintf(out, CIVIL_TEXT, "0s");
}
