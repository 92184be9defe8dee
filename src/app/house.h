/* House: one controller put together from the lists: host, devices, twin. The daemon and the scenario runner live in
 * the same one; only the loop, the state folder and the doors to outside differ. */
#ifndef SUAN_APP_HOUSE_H
#define SUAN_APP_HOUSE_H

#include "core/host.h"
#include "device/device.h"
#include "device/twin/twin.h"

struct house {
    struct loop *loop;
    struct host host;
    struct twin *twin;
    struct timer look;  /* for devices that came later */
    uint64_t looked_at; /* revision */
};

/* Organs without life. `state` NULL = in memory. */
int house_open(struct house *s, struct loop *loop, const char *state, uint64_t seed, struct err *e);
/* After the estate is there: the twin's world, devices, capabilities, polling. */
int house_start(struct house *s, uint64_t seed, struct err *e);
void house_close(struct house *s);
/* Whether every device answers from the twin: only then may time be controlled. */
bool house_is_twin(const struct house *s);

#endif
