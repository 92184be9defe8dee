/* The node agent: runs the work of one centre as real processes, and answers for it.
 *
 * One process a centre (`suan agent`). It dials the controller over mutual TLS, serves the verbs of class executor
 * (device/class/executor.h) and streams reports. Everything it has accepted is in its spool before it says so; after a
 * kill -9 the next agent on the same folder finds the runners that still live and goes on with them. */
#ifndef SUAN_PLANE_AGENT_AGENT_H
#define SUAN_PLANE_AGENT_AGENT_H

#include <stdint.h>

#include "base/err.h"

struct agent_config {
    const char *name;            /* estate object agent/<name>; its certificate says CN "agent/<name>" */
    const char *folder;          /* its own: spool, blobs, task folders, logs; 0700 */
    const char *share;           /* read-only data tasks may see, as $SUAN_SHARE; NULL = none */
    const char *programs;        /* folder put first in a task's PATH; NULL = none */
    const char *controller_file; /* JSON {"link":"127.0.0.1:7781"}: read again before every dial */
    const char *cert, *key, *ca; /* PEM files */
    const char *address;         /* where peers fetch data: "127.0.0.1" */
    int slots_warm;              /* runners kept ready; 0 = the default */
    int64_t blobs_max_bytes;     /* content kept at most, least recently used goes first; 0 = 16 GiB */
};

/* Runs until SIGTERM or SIGINT; then stops its tasks and leaves nothing behind. */
int agent_run(const struct agent_config *config, struct err *e);
/* The body of a slot's runner process: `suan runner` execs into this; fd 3 is its socket to the agent. */
int runner_main(void);

#endif
