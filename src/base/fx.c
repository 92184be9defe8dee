#include "base/fx.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static uint64_t bits_of(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double from_bits(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* x * 2^k without the C library; k may leave the range of one step. */
static double scale(double x, int k) {
    while (k > 1000) {
        x *= 0x1p1000;
        k -= 1000;
    }
    while (k < -1000) {
        x *= 0x1p-1000;
        k += 1000;
    }
    return x * from_bits((uint64_t)(k + 1023) << 52);
}

static const double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;

double fx_exp(double x) {
    if (x != x)
        return x;
    if (x > 709.782712893384)
        return (double)INFINITY;
    if (x < -745.2)
        return 0;
    int k = (int)(x * 1.44269504088896338700e+00 + (x < 0 ? -0.5 : 0.5));
    double hi = x - k * ln2_hi, lo = k * ln2_lo, r = hi - lo, t = r * r;
    double c = r - t * (1.66666666666666019037e-01 +
                        t * (-2.77777777770155933842e-03 +
                             t * (6.61375632143793436117e-05 +
                                  t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
    return scale(1 + (r * c / (2 - c) - lo + hi), k);
}

double fx_log(double x) {
    if (x != x || x < 0)
        return (double)NAN;
    if (x <= 0)
        return -(double)INFINITY;
    if (x > 1.7976931348623157e308)
        return x;
    int k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t u = bits_of(x);
    k += (int)(u >> 52) - 1023;
    u = (u & 0x000fffffffffffffull) | 0x3ff0000000000000ull;
    double m = from_bits(u);
    if (m > 1.41421356237309514547) {
        m *= 0.5;
        k++;
    }
    double f = m - 1, s = f / (2 + f), z = s * s;
    double r = z * (6.666666666666735130e-01 +
                    z * (3.999999999940941908e-01 +
                         z * (2.857142874366239149e-01 +
                              z * (2.222219843214978396e-01 +
                                   z * (1.818357216161805012e-01 +
                                        z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01))))));
    double h = 0.5 * f * f;
    return k * ln2_hi - ((h - (s * (h + r) + k * ln2_lo)) - f);
}

/* log(x) in two doubles, then exp: keeps pow's error near one ulp while y*log(x) stays moderate. */
double fx_pow(double x, double y) {
    if (y == 0 || x == 1)
        return 1;
    if (x == 0)
        return y > 0 ? 0 : (double)INFINITY;
    if (y == (double)(int)y && y > 0 && y <= 16) {
        double p = 1;
        for (int n = (int)y; n; n >>= 1, x *= x)
            if (n & 1)
                p *= x;
        return p;
    }
    double l = fx_log(x);
    /* One Newton step on exp(l) = x gives the low part of the logarithm. */
    double e = fx_exp(l), low = (x - e) / e;
    /* y*l as an exact product of 26-bit halves (Dekker), so that nothing is lost before the exponential. */
    double c = 134217729.0 * l, l1 = c - (c - l), l2 = l - l1;
    double d = 134217729.0 * y, y1 = d - (d - y), y2 = y - y1;
    double p = y * l, q = ((y1 * l1 - p) + y1 * l2 + y2 * l1) + y2 * l2 + y * low;
    double r = fx_exp(p);
    return r > 1.7976931348623157e308 || r <= 0 ? r : r + r * q;
}

/* Kernels of sin and cos on [-pi/4, pi/4]. */
static double k_sin(double x, double y) {
    double z = x * x, v = z * x;
    double r = 8.33333333332248946124e-03 +
               z * (-1.98412698298579493134e-04 +
                    z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)));
    return x - ((z * (0.5 * y - v * r) - y) - v * -1.66666666666666324348e-01);
}

static double k_cos(double x, double y) {
    double z = x * x;
    double r = z * (4.16666666666666019037e-02 +
                    z * (-1.38888888888741095749e-03 +
                         z * (2.48015872894767294178e-05 +
                              z * (-2.75573143513906633035e-07 +
                                   z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)))));
    double h = 0.5 * z, w = 1 - h;
    return w + (((1 - w) - h) + (z * r - x * y));
}

/* x - n*pi/2 in two doubles, with pi/2 in three parts of 33 bits: good to 1e6. Returns n mod 4. */
static int reduce(double x, double *r, double *r_low) {
    double n = (double)(int64_t)(x * 6.36619772367581382433e-01 + (x < 0 ? -0.5 : 0.5));
    double a = x - n * 1.57079632673412561417e+00, w = n * 6.07710050630396597660e-11;
    double t = a;
    a = t - w;
    w = n * 2.02226624879595063154e-21 - ((t - a) - w);
    *r = a - w;
    *r_low = (a - *r) - w;
    return (int)((int64_t)n & 3);
}

double fx_sin(double x) {
    double r, l;
    switch (reduce(x, &r, &l)) {
    case 0:
        return k_sin(r, l);
    case 1:
        return k_cos(r, l);
    case 2:
        return -k_sin(r, l);
    default:
        return -k_cos(r, l);
    }
}

double fx_cos(double x) {
    double r, l;
    switch (reduce(x, &r, &l)) {
    case 0:
        return k_cos(r, l);
    case 1:
        return -k_sin(r, l);
    case 2:
        return -k_cos(r, l);
    default:
        return k_sin(r, l);
    }
}

double fx_sum(const double *x, size_t n) {
    double sum = 0, low = 0;
    for (size_t i = 0; i < n; i++) {
        double t = sum + x[i];
        double big = (sum < 0 ? -sum : sum) >= (x[i] < 0 ? -x[i] : x[i]) ? sum : x[i];
        low += big == sum ? (sum - t) + x[i] : (x[i] - t) + sum;
        sum = t;
    }
    return sum + low;
}
