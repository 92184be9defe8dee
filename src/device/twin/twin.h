/* Twin: the built-in world behind the backends named "twin".
 *
 * One twin a host. It compiles the world from the host's estate and moves it with the host's loop: one timer, set to
 * the world's next event, so an idle plant costs one step a minute of plant time. Objects made after twin_open are not
 * in the world; their devices say so.
 *
 * The twin is not nicer than the real thing (instrument.h): answers take time, some never come, meters have an error
 * and steps, relays stick. Every draw comes from a stream named after the device and the purpose, so that a device
 * more or a read more never shifts another's fate, and the same requests get the same answers through device/wire.
 *
 * Who moves the world: actuators (the backends here), the scenario's pokes and the twin executor's work, all through
 * twin_world. Nothing above device/ sees it. */
#ifndef SUAN_DEVICE_TWIN_TWIN_H
#define SUAN_DEVICE_TWIN_TWIN_H

#include "device/device.h"
#include "world/world.h"

struct twin;

/* Sets h->twin. `seed` makes the whole universe: the world's and the instruments'. */
int twin_open(struct host *h, uint64_t seed, struct twin **out, struct err *e);
/* After devices_close: backends hold on to it. Clears h->twin. */
void twin_close(struct twin *t);
/* The world, brought to the loop's present. Whoever calls this may change it: the twin looks at it again, and sets its
 * timer anew, as soon as the present callback has returned. */
struct world *twin_world(struct twin *t);
/* To look only: the same, without the second look. */
const struct world *twin_look(struct twin *t);
/* Fork named streams from it ("pdu/p1/late"). */
const struct rng *twin_rng(const struct twin *t);

extern const struct backend_ops backend_twin_pdu, backend_twin_node;

#endif
