/* Line: one TCP connection to a Modbus server, shared by the devices of all units behind it.
 *
 *   closed ──send──► connecting ──► open ──► closed (lost, silent, nothing left to ask for)
 *      ▲                 │ refused
 *      └── back-off ◄────┘   1 s, doubled to 30 s, ± a quarter; sends meanwhile are refused at once, with the reason
 *
 * A connection is made when something is to be sent. Up to 16 transactions are in flight, the rest waits in a queue of
 * 256. A transaction whose asker gives up stays in flight until its answer comes or its time (the line's timeout) is
 * up, so that a late answer is never taken for another's and the server is never asked more at once than it agreed to.
 * A line on which answers are due and nothing has arrived for its timeout is closed as dead. */
#ifndef SUAN_DEVICE_LIVE_MODBUS_LINE_H
#define SUAN_DEVICE_LIVE_MODBUS_LINE_H

#include "core/host.h"
#include "device/live/modbus/frame.h"

enum { LINE_IN_FLIGHT_MAX = 16, LINE_QUEUE_MAX = 256 };

struct line;
struct line_message;
/* rc 0: `pdu` is the answer. Else `e` says why there is none. Called from the loop, at most once. */
typedef void line_fn(void *ctx, int rc, const uint8_t *pdu, size_t n, const struct err *e);

/* Find or make the line of this host's address; each use needs its line_leave, which ends what its owner still asks. */
int line_use(struct host *h, const char *address, uint16_t port, int64_t timeout_us, struct line **out, struct err *e);
void line_leave(struct line *l, const void *owner);
/* NULL with `e` when the line is down or full; else `fn` is called once (when the line breaks at once, before this
 * returns: then the message is gone already). */
struct line_message *line_send(struct line *l, const void *owner, uint8_t unit, const uint8_t *pdu, size_t n,
                               line_fn *fn, void *ctx, struct err *e);
void line_forget(struct line *l, struct line_message *m); /* fn will not be called */

#endif
