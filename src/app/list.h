/* The lists: everything this binary is made of. A new capability is its folder and one line in list.c. */
#ifndef SUAN_APP_LIST_H
#define SUAN_APP_LIST_H

#include "core/cap.h"
#include "device/device.h"

extern const struct cap *const app_caps[];              /* NULL-terminated, in order of precedence */
extern const struct device_class *const app_classes[];  /* NULL-terminated */
extern const struct backend_ops *const app_backends[];  /* NULL-terminated; the first of a class is its default */
/* The foundation's kinds and the capabilities', parents before children; returns how many. */
size_t app_kinds(const struct kind *out[ESTATE_KINDS_MAX]);

#endif
