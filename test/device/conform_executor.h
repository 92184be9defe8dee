/* One subject of the conformance suite of class executor: a host with one agent, whatever stands behind it. */
#ifndef SUAN_TEST_CONFORM_EXECUTOR_H
#define SUAN_TEST_CONFORM_EXECUTOR_H

#include "core/host.h"
#include "device/class/executor.h"

struct subject {
    const char *name;
    /* Fills host (with its loop and devices) and agent, and waits until the agent is connected. */
    int (*open)(struct subject *s, struct err *e);
    void (*close)(struct subject *s);
    int (*cut)(struct subject *s, bool is_cut, struct err *e); /* the way to it; back: it connects again by itself, soon */
    struct host host;
    oid agent;
    void *own;
};

/* One a program: conform_executor_twin.c, conform_executor_agent.c. */
extern struct subject subject;
/* Whether the program was called for something else than the test; then that is done, and *rc its end. */
bool subject_called(int argc, char **argv, int *rc);

/* Estate of one centre with a node and an agent c-a of this backend, on `loop`, in memory. */
int subject_host(struct subject *s, struct loop *loop, const char *backend, struct err *e);
int subject_devices(struct subject *s, struct err *e);

#endif
