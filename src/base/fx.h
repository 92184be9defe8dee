/* Fixed-order mathematics: the same bits from every compiler, processor and C library.
 * The C library's exp/log/pow differ with CPU features and versions, so the world uses these.
 * Built from +,-,*,/ and sqrt only (all correctly rounded by IEEE 754), with -ffp-contract=off.
 * Method: Cody & Waite range reduction and minimax polynomials (as in fdlibm); error < 1 ulp for
 * exp, log, sin, cos; < 1 + |y| ulp for pow (test/base/test_base.c compares with long double). */
#ifndef SUAN_BASE_FX_H
#define SUAN_BASE_FX_H

#include <stddef.h>

double fx_exp(double x);
double fx_log(double x);
double fx_pow(double x, double y); /* x >= 0 */
double fx_sin(double x);           /* |x| < 1e6 */
double fx_cos(double x);
/* Sum in index order with Neumaier's compensation: independent of vector width. */
double fx_sum(const double *x, size_t n);

#endif
