#include "network.h"

#include <math.h>
#include <string.h>

/* He initialisation (uniform), biases zero. */
void network_init(double *w, size_t hidden, struct rng *r) {
    memset(w, 0, network_size(hidden) * sizeof *w);
    double a1 = sqrt(6.0 / FEATURES), a2 = 0.1 * sqrt(6.0 / (double)hidden);
    for (size_t i = 0; i < FEATURES * hidden; i++)
        w[i] = a1 * (2 * rng_unit(r) - 1);
    double *second = w + FEATURES * hidden + hidden;
    for (size_t i = 0; i < hidden * HORIZON; i++)
        second[i] = a2 * (2 * rng_unit(r) - 1);
}

static void forward(const double *w, size_t hidden, const double in[FEATURES], double unit[HIDDEN_MAX],
                    double out[HORIZON]) {
    const double *bias = w + FEATURES * hidden, *second = bias + hidden;
    memcpy(unit, bias, hidden * sizeof *unit);
    for (size_t i = 0; i < FEATURES; i++)
        for (size_t j = 0; j < hidden; j++)
            unit[j] += in[i] * w[i * hidden + j];
    memcpy(out, second + hidden * HORIZON, HORIZON * sizeof *out);
    for (size_t j = 0; j < hidden; j++) {
        unit[j] = unit[j] > 0 ? unit[j] : 0;
        for (size_t o = 0; o < HORIZON; o++)
            out[o] += unit[j] * second[j * HORIZON + o];
    }
}

void network_run(const double *w, size_t hidden, const double in[FEATURES], double out[HORIZON]) {
    double unit[HIDDEN_MAX];
    forward(w, hidden, in, unit, out);
}

double network_gradient(const double *w, size_t hidden, const double in[FEATURES], const double want[HORIZON],
                        double *g) {
    double unit[HIDDEN_MAX], out[HORIZON], back[HIDDEN_MAX], slope[HORIZON], loss = 0;
    const double *second = w + FEATURES * hidden + hidden;
    double *g_bias = g + FEATURES * hidden, *g_second = g_bias + hidden, *g_out = g_second + hidden * HORIZON;
    forward(w, hidden, in, unit, out);
    for (size_t o = 0; o < HORIZON; o++) {
        double miss = out[o] - want[o];
        loss += miss * miss / HORIZON;
        slope[o] = 2 * miss / HORIZON;
        g_out[o] += slope[o];
    }
    for (size_t j = 0; j < hidden; j++) {
        back[j] = 0;
        if (!(unit[j] > 0))
            continue;
        for (size_t o = 0; o < HORIZON; o++) {
            g_second[j * HORIZON + o] += unit[j] * slope[o];
            back[j] += second[j * HORIZON + o] * slope[o];
        }
        g_bias[j] += back[j];
    }
    for (size_t i = 0; i < FEATURES; i++)
        for (size_t j = 0; j < hidden; j++)
            g[i * hidden + j] += in[i] * back[j];
    return loss;
}

void adam_step(struct adam *a, double *w, const double *g, size_t n, double rate, double decay) {
    const double beta1 = 0.9, beta2 = 0.999;
    a->power1 *= beta1;
    a->power2 *= beta2;
    for (size_t i = 0; i < n; i++) {
        a->first[i] = beta1 * a->first[i] + (1 - beta1) * g[i];
        a->second[i] = beta2 * a->second[i] + (1 - beta2) * g[i] * g[i];
        double m = a->first[i] / (1 - a->power1), v = a->second[i] / (1 - a->power2);
        w[i] -= rate * (m / (sqrt(v) + 1e-8) + decay * w[i]);
    }
}
