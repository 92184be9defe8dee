/* A small network (one hidden layer of rectified units) and Adam with decoupled weight decay (Loshchilov & Hutter 2019).
 * Every sum runs in one fixed order and only + - * / sqrt are used, so the same seed gives the same bits everywhere, and
 * a run resumed from a checkpoint ends with the same bits as one that was never interrupted. */
#ifndef SUAN_JOBS_NETWORK_H
#define SUAN_JOBS_NETWORK_H

#include <stddef.h>

#include "base/rng.h"
#include "series.h"

enum { HIDDEN_MAX = 256 };

/* Parameters in one array: first layer [input][hidden], its bias, second layer [hidden][output], its bias. */
static inline size_t network_size(size_t hidden) { return FEATURES * hidden + hidden + hidden * HORIZON + HORIZON; }

struct adam {
    double *first, *second; /* moments, network_size each */
    double power1, power2;  /* beta^step, for the bias correction */
};

void network_init(double *w, size_t hidden, struct rng *r);
void network_run(const double *w, size_t hidden, const double in[FEATURES], double out[HORIZON]);
/* Adds the gradient of the mean squared error of one sample to g; returns that error. */
double network_gradient(const double *w, size_t hidden, const double in[FEATURES], const double want[HORIZON], double *g);
void adam_step(struct adam *a, double *w, const double *g, size_t n, double rate, double decay);

#endif
