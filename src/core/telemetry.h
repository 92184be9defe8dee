/* Telemetry: the last hour of the estate's flowing numbers (fields marked F_VOLATILE), for the console's charts and
 * `suan telemetry show`. Long-term storage is the telemetry engine's, not this.
 *
 * Every 5 s of real time the present value goes into a ring of 720 points; times are plant times, so a fast twin gives a
 * wide chart and a stopped one gives no points. Kinds of at most 64 objects are recorded always; an object of a larger
 * kind from the first time somebody asks, the 256 last asked for. So memory is bounded (3 kB a number, below 15 MB in
 * all) and a controller without readers on a large estate does almost nothing.
 * Runs from telemetry_start (the HTTP front calls it): virtual runs do not pay for charts nobody sees. */
#ifndef SUAN_CORE_TELEMETRY_H
#define SUAN_CORE_TELEMETRY_H

#include "core/verb.h"

struct host;
struct telemetry;
struct telemetry *telemetry_new(struct host *h);
void telemetry_free(struct telemetry *t);
void telemetry_start(struct telemetry *t);
void telemetry_stop(struct telemetry *t);
void telemetry_sample(struct telemetry *t); /* one point now; the timer calls it */

/* telemetry show object=kind/name [field=…] | kind=… field=… */
int verb_telemetry(struct call *c);
extern const struct table table_telemetry;

#endif
