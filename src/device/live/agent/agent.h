/* Backend "agent" of class executor: our node agents, who dial us over mutual TLS (core/link.h).
 *
 * One gate a host listens; a backend instance an estate object finds its agent there. A peer is let in when its
 * certificate (of the estate's authority) names an agent of the estate, "agent/<name>", and is the very certificate
 * pinned in the object's `fingerprint`; an empty pin takes the first one shown, and a pin follows what our own
 * authority issued last when the gate is told where that lies. Everybody else is refused, with an event.
 *
 *   dial ─► certificate ─► hello ─► connected (epoch + 1, centre up, conditions cleared) ─► calls, reports ─► away
 *
 * A second connection of the same agent replaces the first (an agent dials only when it believes the first dead); a
 * hello that arrives on a link older than the present one is refused. Requests under way when a link ends are answered
 * E_UNAVAIL: whether they were done is for `list` to tell after the next hello. Refusals that mean "not now" (a full
 * queue) are E_UNAVAIL too, so that nobody takes them for a fault of the task. */
#ifndef SUAN_DEVICE_LIVE_AGENT_H
#define SUAN_DEVICE_LIVE_AGENT_H

#include "core/link.h"
#include "device/class/executor.h"

struct agent_gate;
struct agent_gate_config {
    const char *address;
    int port;                       /* 0 = a free one */
    struct link_identity *identity; /* CN "controller"; the caller's, must outlive the gate */
    const char *pki_folder;         /* agent-<name>.crt lie there; NULL = the pin alone counts */
};
int agent_gate_open(struct host *h, const struct agent_gate_config *config, struct agent_gate **out, struct err *e);
int agent_gate_port(const struct agent_gate *g);
/* For connections from now on: the controller's certificate was issued again. */
void agent_gate_identity(struct agent_gate *g, struct link_identity *identity);
void agent_gate_close(struct agent_gate *g); /* every agent is away, every request ends */

extern const struct backend_ops backend_agent;
extern const struct metric agent_metrics[];
extern const size_t agent_nmetrics;

#endif
