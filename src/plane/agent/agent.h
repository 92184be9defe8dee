/* The node agent: one process a centre (or node) that runs work as real, confined processes.
 *
 *   suan agent --name zjk --controller 127.0.0.1:PORT --pki FOLDER --state FOLDER --share FOLDER
 *
 * It connects to the controller (mutual TLS, core/link.h), announces itself ("hello": name, epoch seen, boot id, cores,
 * memory, peer address), serves the verbs of class executor, and sends reports as events. Peers fetch artifacts from
 * each other over the same protocol.
 *
 * A task survives the agent: a small runner process (runner.c) is its parent, holds a lock on the task's folder, and
 * writes pid, log and exit record there; after kill -9 the new agent reads the folders and re-attaches. Everything
 * that was accepted is on disk (spool.c) before it is answered. */
#ifndef SUAN_PLANE_AGENT_AGENT_H
#define SUAN_PLANE_AGENT_AGENT_H

#include "base/err.h"

struct agent_config {
    const char *name;            /* agent object's name = CN "agent/<name>" */
    const char *controller_host;
    int controller_port;
    const char *pki_folder;      /* ca.crt, agent-<name>.crt/.key */
    const char *state_folder;
    const char *share_folder;    /* read-only programs and input data for jobs: SUAN_SHARE in tasks */
    const char *program_folder;  /* where job programs lie */
};
int agent_main(const struct agent_config *c, struct err *e); /* runs until SIGTERM */

#endif
