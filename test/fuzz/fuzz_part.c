/* Parts of the weather job: what is read prints the same bytes again, and merging it to nothing changes nothing. The
 * checksum is repaired first, so that the lines behind it are reached. */
#include "base/hash.h"
#include "distribution.h"
#include "fuzz.h"

int fuzz_part(const uint8_t *p, size_t n);

static void check(const char *p, size_t n) {
    static struct distribution d, again, sum;
    struct err e = {0};
    struct text t = TEXT_INIT;
    if (distribution_read(&d, "input", p, n, &e)) {
        FUZZ_CHECK(*e.message);
        return;
    }
    distribution_print(&d, &t);
    FUZZ_CHECK(!distribution_read(&again, "again", text_str(&t), t.n, &e));
    memset(&sum, 0, sizeof sum);
    FUZZ_CHECK(!distribution_merge(&sum, &d, &e));
    FUZZ_CHECK(!memcmp(&again, &sum, sizeof sum));
    FUZZ_CHECK(!d.hours || (distribution_quantile_c(&d, 0) <= distribution_quantile_c(&d, 1) &&
                            distribution_hours_to(&d, 60) == d.hours));
    text_free(&t);
}

int fuzz_part(const uint8_t *p, size_t n) {
    struct text t = TEXT_INIT;
    char *s = fuzz_text(p, n);
    check(s, strlen(s));
    char *crc = strstr(s, "\ncrc ");
    text_add_n(&t, s, crc ? (size_t)(crc + 1 - s) : strlen(s));
    text_addf(&t, "crc %08x\n", crc32c(0, text_str(&t), t.n));
    check(text_str(&t), t.n);
    text_free(&t);
    free(s);
    return 0;
}
