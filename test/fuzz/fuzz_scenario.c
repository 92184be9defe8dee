/* Scenario files, run whole: a mistake is said with its place, everything else ends within its plant time. */
#include "app/scenario.h"
#include "fuzz.h"

int fuzz_scenario(const uint8_t *p, size_t n);

int fuzz_scenario(const uint8_t *p, size_t n) {
    char *s = fuzz_text(p, n);
    struct text report = TEXT_INIT;
    struct scenario_result r;
    struct scenario_options o = {.span_max_us = 20000000, .seed = "1"};
    struct err e = {0};
    int rc = scenario_run_text("share/scenarios/fuzz.scn", s, &o, &r, &report, &e);
    FUZZ_CHECK(rc <= 0);
    FUZZ_CHECK(!rc || (*e.message && strstr(e.place, ":")));
    FUZZ_CHECK(rc || r.passed + r.failed >= 2);
    text_free(&report);
    free(s);
    return 0;
}
