/* Civil time: pure conversions between microseconds since 1970 (UTC) and RFC 3339 text. No clock in here. */
#ifndef SUAN_BASE_CIVIL_H
#define SUAN_BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

enum { CIVIL_TEXT = 40 };

struct civil {
    int year, month, day; /* month 1..12, day 1..31 */
    int hour, minute, second, microsecond;
    int weekday; /* 0 = Monday */
};

struct civil civil_from_us(int64_t us);
int64_t civil_to_us(const struct civil *c);
/* "2026-11-24T16:17:31Z", with .ffffff only when not zero. */
void civil_print(char out[CIVIL_TEXT], int64_t us);
/* RFC 3339 with offset, or a date alone; false when it is not one. */
bool civil_parse(const char *s, int64_t *us);
/* "3d4h", "90s", "250ms": largest two units. */
void span_print(char out[CIVIL_TEXT], int64_t us);

#endif
