/* A training run: its settings, its whole state, and how the state gets to disk and back.
 *
 * Checkpoint file (ckpt/latest), little-endian:
 *   "SUANFC01" | run u64 (hash of settings and data) | epochs done u64 | best epoch u64 | parameters u64 |
 *   best validation error, power1, power2 (f64) | weights, best weights, first, second moments (f64 each) | CRC32C u32
 * The order of the samples of an epoch comes from (seed, epoch), so nothing else has to be kept. */
#ifndef SUAN_JOBS_TRAINING_H
#define SUAN_JOBS_TRAINING_H

#include "base/field.h"
#include "network.h"

struct settings {
    char series[32];
    int64_t epochs, hidden, seed, batch, stride_h, every_epochs;
    double rate_ratio, decay_ratio;
};
extern const struct table settings_table;

struct training {
    struct settings settings;
    struct series series;
    uint64_t run; /* what a checkpoint must belong to */
    size_t parameters;
    double *weights, *best, *gradient; /* gradient is scratch */
    struct adam adam;
    uint64_t epochs_done, best_epoch;
    double best_error; /* validation MAE, g/kWh */
};

struct errors {
    double mae, rmse, naive_day_mae, naive_day_rmse, naive_week_mae, naive_week_rmse;
    size_t hours;
};

int training_open(struct training *t, struct err *e);
void training_close(struct training *t);
/* One pass over the training part; returns the mean loss. */
double training_epoch(struct training *t);
/* Forecasts issued each `step` hours in [from, to), errors in g/kWh; rows as CSV into `csv` when it is not NULL. */
struct errors training_errors(const struct training *t, const double *weights, size_t from, size_t to, size_t step,
                              struct text *csv);
int training_save(const struct training *t, const char *path, struct err *e);
/* E_NOTFOUND = there is none. Anything that is not whole and of this run is refused, and `t` stays as it was. */
int training_load(struct training *t, const char *path, struct err *e);

#endif
