/* The example's row, for src/app/list.c. */
#ifndef SUAN_CAP_EXAMPLE_H
#define SUAN_CAP_EXAMPLE_H

#include "core/cap.h"

extern const struct cap cap_example;

#endif
