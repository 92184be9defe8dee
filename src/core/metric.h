/* Metrics: the registry behind /metrics (OpenMetrics 1.0 text) and the console's small charts.
 * A metric is a table row; series are made on first use, at most `series_max` each (then counted in
 * suan_metric_series_dropped_total). An update is an addition on a plain double: about 1 ns once looked up.
 * History: each series may keep a ring of (time, value) sampled by metric_sample, for the console and `suan top`;
 * the long-term store is the telemetry engine's, not this. */
#ifndef SUAN_CORE_METRIC_H
#define SUAN_CORE_METRIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/text.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    const char *name; /* "suan_rack_power_watts": unit last, as OpenMetrics wants */
    enum metric_type type;
    const char *unit;
    const char *const *labels;  /* NULL-terminated names, at most 4 */
    const double *bounds;       /* histograms: ascending, NULL-terminated by INFINITY */
    size_t series_max;          /* 0 = 1,000 */
    const char *doc;
};

struct metrics;
struct series {
    double value;     /* counter, gauge; histogram: sum */
    uint64_t count;   /* histogram */
    uint64_t *buckets;
};

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
void metrics_add_table(struct metrics *m, const struct metric *rows, size_t n);
/* NULL-terminated label values in the row's order. Never NULL: over the limit a shared dropped series comes back. */
struct series *metric_series(struct metrics *m, const struct metric *row, ...) __attribute__((sentinel));
void metric_observe(const struct metric *row, struct series *s, double value); /* histogram */
void metrics_print(struct metrics *m, struct text *out); /* OpenMetrics, ends with # EOF */
/* Rows as {name, type, unit, labels, doc} for the schema and the reference. */
struct doc *metrics_schema(struct metrics *m, struct arena *a);
void metric_sample(struct metrics *m, int64_t now_us); /* append the value of every gauge/counter to its ring (720 points) */
struct doc *metric_history(struct metrics *m, const char *name, const char *const *label_values, struct arena *a);

#endif
