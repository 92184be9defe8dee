/* Our agent as a subject: a real process that runs real ones, over mutual TLS on loopback. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform_executor.h"

#include "core/pki.h"
#include "device/live/agent/agent.h"
#include "plane/agent/agent.h"

static struct real {
    char root[200];
    char paths[6][300];
    pid_t pid;
    struct agent_gate *gate;
    struct link_identity *id;
} real;

static const char *in_root(int slot, const char *name) {
    snprintf(real.paths[slot], sizeof real.paths[slot], "%s/%s", real.root, name);
    return real.paths[slot];
}

static int certificates(struct err *e) {
    const char *pki = in_root(0, "pki");
    int rc = pki_open(pki, e);
    if (!rc)
        rc = pki_issue(pki, "controller", "controller", e);
    if (!rc)
        rc = pki_issue(pki, "agent-c-a", "agent/c-a", e);
    return rc ? rc : link_identity_load(in_root(1, "pki/controller.crt"), in_root(2, "pki/controller.key"), in_root(3, "pki/ca.crt"), &real.id, e);
}

static void child(void) {
    struct agent_config c = {.name = "c-a", .folder = in_root(0, "agent"), .controller_file = in_root(1, "controller.json"),
                             .cert = in_root(2, "pki/agent-c-a.crt"), .key = in_root(3, "pki/agent-c-a.key"), .ca = in_root(4, "pki/ca.crt"),
                             .address = "127.0.0.1", .slots_warm = 2};
    struct err e = {0};
    int rc = agent_run(&c, &e);
    if (rc)
        fprintf(stderr, "# agent: %s (%s)\n", e.message, e.detail);
    _exit(rc ? 1 : 0);
}

static int open_agent(struct subject *s, struct err *e) {
    const char *tmp = getenv("TMPDIR");
    snprintf(real.root, sizeof real.root, "%.150s/suan-conform-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(real.root))
        return err_errno(e, errno, "cannot make a folder");
    int rc = certificates(e);
    if (rc)
        return rc;
    real.pid = fork();
    if (!real.pid)
        child();
    rc = subject_host(s, loop_new(LOOP_REAL, 0), "agent", e);
    if (!rc)
        rc = subject_devices(s, e);
    struct agent_gate_config gc = {.address = "127.0.0.1", .identity = real.id};
    if (!rc)
        rc = agent_gate_open(&s->host, &gc, &real.gate, e);
    FILE *f = rc ? NULL : fopen(in_root(0, "controller.json"), "w");
    if (f) {
        fprintf(f, "{\"link\":\"127.0.0.1:%d\"}\n", agent_gate_port(real.gate));
        fclose(f);
    }
    for (int i = 0; !rc && i < 1000 && estate_get(s->host.estate, s->agent, agent)->state != AGENT_CONNECTED; i++)
        loop_turn(s->host.loop, 10000);
    return rc;
}

static void close_agent(struct subject *s) {
    struct loop *l = s->host.loop;
    char command[260];
    int status = -1;
    kill(real.pid, SIGTERM);
    waitpid(real.pid, &status, 0);
    if (status)
        printf("# the agent ended with status %d\n", status);
    agent_gate_close(real.gate);
    devices_close(s->host.devices);
    loop_run_deferred(l);
    host_close(&s->host);
    link_identity_free(real.id);
    loop_run_deferred(l);
    loop_free(l);
    snprintf(command, sizeof command, "rm -rf '%s'", real.root);
    if (system(command))
        printf("# cannot remove %s\n", real.root);
}

/* The controller's door closes, and opens again where it was. */
static int cut_agent(struct subject *s, bool is_cut, struct err *e) {
    static int port;
    struct agent_gate_config gc = {.address = "127.0.0.1", .identity = real.id, .port = port};
    if (!is_cut)
        return agent_gate_open(&s->host, &gc, &real.gate, e);
    port = agent_gate_port(real.gate);
    agent_gate_close(real.gate);
    real.gate = NULL;
    return 0;
}

/* The agent under test starts its runners from this program. */
bool subject_called(int argc, char **argv, int *rc) {
    if (argc < 2 || strcmp(argv[1], "runner"))
        return false;
    *rc = runner_main();
    return true;
}

struct subject subject = {.name = "agent", .open = open_agent, .close = close_agent, .cut = cut_agent};
