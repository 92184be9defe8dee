/* Scenarios: a small file that a person can read, which builds a house on a virtual loop, moves the world, calls verbs
 * and says what must come of it. The same file and seed give the same state hash, every time and everywhere.
 *
 *   # comment                           one statement a line
 *   title One rack over its budget
 *   estate share/estates/rack.yaml      looked for in the scenario's folder and those above it
 *   seed 7    start 2026-01-01T00:00:00Z
 *   backend pdu twin|modbus [OPTIONS]   how every object of a class is reached; modbus: the twin's world served on
 *   backend pdu/c1-p1 twin:loss_ratio=0.1     loopback and read by the live driver
 *   set rack/r1 budget_w=2 kW           configuration, at any time
 *   filter pdu/p1 fault:rate_ratio=0.1    stack a filter; "pdu" alone means all of them. unfilter pdu/p1 fault
 *   verb cap mode powercap mode=act     a verb as on the command line; refuse verb …: it must fail
 *   load node/n1 0.9                    the world's door: load unload fail repair trip reset supply
 *   cut agent/a1    join agent/a1       an executor of the twin falls silent, and is back
 *   warp 15m                            time passes
 *   at +5m: load node/n1 0.2            any of the above, that long after the start, while time passes
 *   expect rack/r1 power_w < 40 kW      < <= > >= == !=; also words: expect job/x state == done
 *   expect [no] condition rack/r1 over-budget [SEVERITY]
 *   expect [no] journal "text"          in a row of the journal so far
 *   always rack/r1 power_w < 41 kW      looked at each second from here on; reported at the end
 *
 * Each expect and always is one line of TAP in the report; at the end it is also checked that the journal's chain
 * holds and that the world's energy balance closes. */
#ifndef SUAN_APP_SCENARIO_H
#define SUAN_APP_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "core/store.h"

struct scenario_options {
    const char *seed;    /* instead of the file's; NULL = the file's */
    const char *extra;   /* more statements, a line each, run as soon as the estate stands (house lives); NULL = none */
    journal_fn *row;     /* gets every row of the journal at the end; NULL = none */
    void *row_ctx;
    int64_t span_max_us; /* plant time that it may take; 0 = ten years */
    int checks_before;   /* TAP numbers go on from here */
    bool journal;        /* the decision journal goes into the report, as comments */
};

struct scenario_result {
    int passed, failed;
    uint64_t state_hash;    /* estate, world and decisions */
    uint64_t decision_hash; /* decisions alone: the same through every backend */
    int64_t rows;
};

/* 0 when it ran to its end (see result->failed); else what is wrong with the file, with file:line. */
int scenario_run(const char *path, const struct scenario_options *o, struct scenario_result *result,
                 struct text *report, struct err *e);
/* The same from memory: `path` names it in messages and says where its files are looked for. `text` is changed. */
int scenario_run_text(const char *path, char *text, const struct scenario_options *o, struct scenario_result *result,
                      struct text *report, struct err *e);

#endif
