/* What gate.c (who is connected) and agent.c (what is asked of them) share. Private to this folder. */
#ifndef SUAN_DEVICE_LIVE_AGENT_GATE_H
#define SUAN_DEVICE_LIVE_AGENT_GATE_H

#include "base/map.h"
#include "base/vec.h"
#include "device/live/agent/agent.h"

enum { PENDING_MAX = 65536 };
enum { METRIC_CALLS, METRIC_REPORTS, METRIC_CONNECTIONS, METRIC_REFUSED, METRIC_REFUSED_FULL };

/* Every ctx of the gate's links begins with this: a link's ctx is the gate until its peer is known. */
struct agent_owner {
    struct agent_gate *gate;
};

struct pending {
    uint64_t number;
    struct device_request *r;
};

struct agent_conn;
struct agent_peer { /* one an agent that ever came; found by its id */
    struct agent_gate *gate;
    oid id;
    char name[ESTATE_NAME];
    struct wire_link *link; /* said hello; NULL = away */
    struct agent_conn *conn;
    struct map pending; /* by number; keys lie in the entries */
    int64_t seen_us;    /* plant time that was last written to the estate */
    struct series *calls, *reports;
};

struct agent_gate {
    struct agent_owner owner; /* first: itself */
    struct host *host;
    const char *pki_folder;
    struct link_listener *listener;
    struct map peers; /* by oid */
    struct agent_conn *conns;
    uint64_t last_number, last_conn;
    int64_t refused_us; /* mono: events of refusals are paced */
};

struct agent_peer *gate_peer(struct host *h, oid id); /* NULL: never came, or no gate */
void pending_answer(struct agent_peer *p, const struct link_message *m);
void pending_fail(struct agent_peer *p, const char *why);

#endif
