/* Times: what is read prints to a text that reads back the same; numbers print and come back. */
#include "base/civil.h"
#include "fuzz.h"

int fuzz_civil(const uint8_t *p, size_t n);

int fuzz_civil(const uint8_t *p, size_t n) {
    char *s = fuzz_text(p, n), out[CIVIL_TEXT];
    int64_t us = 0, back = 0;
    if (civil_parse(s, &us)) {
        civil_print(out, us);
        /* An offset may carry the first or last day out of the four-digit years. */
        if (out[4] == '-' && out[0] != '-') {
            FUZZ_CHECK(civil_parse(out, &back));
            FUZZ_CHECK(back == us);
        }
    }
    if (n >= sizeof us) {
        memcpy(&us, p, sizeof us);
        struct civil c = civil_from_us(us);
        FUZZ_CHECK(c.month >= 1 && c.month <= 12 && c.day >= 1 && c.day <= 31 && c.hour >= 0 && c.hour < 24);
        FUZZ_CHECK(c.weekday >= 0 && c.weekday < 7 && c.microsecond >= 0 && c.microsecond < 1000000);
        FUZZ_CHECK(civil_to_us(&c) == us);
        civil_print(out, us);
        span_print(out, us);
    }
    free(s);
    return 0;
}
