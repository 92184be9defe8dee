/* Supervisor: starts the controller and the agents of this machine as children of one foreground process, starts again
 * what dies (after 0.2 s; what dies within 2 s waits twice as long each time, up to 10 s), and leaves nothing behind. It holds no state of its own:
 * a child that outlives it gets SIGTERM from the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/client.h"
#include "core/log.h"
#include "core/loop.h"

enum { CHILDREN_MAX = 66, ARGS_MAX = 24, GRACE_US = 20000000, LOOK_US = 20000, READY_US = 60000000, GREET_US = 15000000 };
enum { BACKOFF_US = 200000, BACKOFF_MAX_US = 10000000, STEADY_US = 2000000 };

struct up;
struct service {
    struct up *up;
    char name[80];
    const char *argv[ARGS_MAX];
    char own[80]; /* the agent's name, as an argument */
    struct child child;
    struct timer again;
    pid_t pid;
    int64_t started_us, wait_us;
    bool is_last; /* its end is the end of all */
};
struct up {
    const struct options *o;
    struct loop *loop;
    char state[APP_PATH], self[APP_PATH];
    struct service services[CHILDREN_MAX];
    size_t n;
    bool is_stopping, is_ready;
    struct timer look, kill;
    int64_t begun_us;
    int rc;
    struct err *e;
};

static void service_start(void *ctx);

static void maybe_done(struct up *u) {
    if (!u->is_stopping)
        return;
    for (size_t i = 0; i < u->n; i++)
        if (u->services[i].pid)
            return;
    loop_stop(u->loop);
}

static void on_kill(void *ctx) {
    struct up *u = ctx;
    for (size_t i = 0; i < u->n; i++)
        if (u->services[i].pid) {
            log_warn("up", "%s did not stop in time and is killed", u->services[i].name);
            kill(u->services[i].pid, SIGKILL);
        }
}

/* Agents first: they stop their tasks; the controller hears of it and is stopped when they are gone, by itself. */
static void stop(struct up *u) {
    if (u->is_stopping)
        return;
    u->is_stopping = true;
    timer_cancel(u->loop, &u->look);
    timer_mono_in(u->loop, &u->kill, GRACE_US, on_kill, u);
    for (size_t i = 0; i < u->n; i++) {
        timer_cancel(u->loop, &u->services[i].again);
        if (u->services[i].pid)
            kill(u->services[i].pid, SIGTERM);
    }
    maybe_done(u);
}

static void on_signal(void *ctx, int signo) {
    struct up *u = ctx;
    (void)signo;
    if (u->o->once && !u->is_stopping)
        u->rc = 1; /* interrupted: nothing was judged */
    stop(u);
}

static void on_exit_of(void *ctx, pid_t pid, int status) {
    struct service *s = ctx;
    struct up *u = s->up;
    (void)pid;
    s->pid = 0;
    if (u->is_stopping) {
        maybe_done(u);
        return;
    }
    if (s->is_last) {
        u->rc = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        stop(u);
        return;
    }
    /* The controller's own word (a bad estate, a port in use) is on stderr already: a restart would only repeat it. */
    if (!u->is_ready && s == &u->services[0] && WIFEXITED(status)) {
        u->rc = 1;
        stop(u);
        return;
    }
    int64_t lived = loop_mono_us(u->loop) - s->started_us;
    s->wait_us = lived > STEADY_US || !s->wait_us ? BACKOFF_US : s->wait_us * 2 > BACKOFF_MAX_US ? BACKOFF_MAX_US : s->wait_us * 2;
    log_warn("up", "%s ended (%s %d) and is started again in %.1f s", s->name,
             WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             (double)s->wait_us * 1e-6);
    timer_mono_in(u->loop, &s->again, s->wait_us, service_start, s);
}

static void service_start(void *ctx) {
    struct service *s = ctx;
    struct up *u = s->up;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        log_error("up", "cannot start %s: %s", s->name, strerror(errno));
        timer_mono_in(u->loop, &s->again, BACKOFF_MAX_US, service_start, s);
        return;
    }
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setpgid(0, 0); /* Ctrl-C reaches the supervisor alone, which stops everybody in order */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(1);
        execv(u->self, (char *const *)s->argv);
        _exit(127);
    }
    s->pid = pid;
    s->started_us = loop_mono_us(u->loop);
    if (child_watch(u->loop, &s->child, pid, on_exit_of, s))
        log_error("up", "cannot watch %s", s->name);
}

static struct service *service_add(struct up *u, const char *name) {
    struct service *s = &u->services[u->n++];
    s->up = u;
    str_copy(s->name, sizeof s->name, name);
    return s;
}

static void arg(struct service *s, const char *word) {
    size_t n = 0;
    while (s->argv[n])
        n++;
    if (word && n + 1 < ARGS_MAX)
        s->argv[n] = word;
}

static void option(struct service *s, const char *name, const char *value) {
    if (value) {
        arg(s, name);
        arg(s, value);
    }
}

static void controller_start(struct up *u) {
    const struct options *o = u->o;
    struct service *s = service_add(u, "controller");
    arg(s, "suan");
    arg(s, "daemon");
    if (o->n_words > 1)
        arg(s, o->words[1]);
    option(s, "--state", u->state);
    option(s, "--address", o->address);
    option(s, "--port", o->port);
    option(s, "--link-port", o->link_port);
    option(s, "--seed", o->seed);
    option(s, "--log", o->log);
    if (o->twin)
        arg(s, "--twin");
    service_start(s);
}

static void agent_start(struct up *u, const char *name) {
    char title[80];
    snprintf(title, sizeof title, "agent/%.70s", name);
    struct service *s = service_add(u, title);
    str_copy(s->own, sizeof s->own, name);
    arg(s, "suan");
    arg(s, "agentd");
    option(s, "--name", s->own);
    option(s, "--state", u->state);
    option(s, "--address", u->o->address);
    option(s, "--share", u->o->share);
    option(s, "--programs", u->o->programs);
    option(s, "--log", u->o->log);
    service_start(s);
}

/* --once: the sample jobs as one more child, which talks to the API like anybody else. */
static void once_start(struct up *u) {
    struct service *s = service_add(u, "once");
    arg(s, "suan");
    arg(s, "once");
    option(s, "--state", u->state);
    s->is_last = true;
    service_start(s);
}

/* How many agents are connected, as the API says; -1 when it does not say. */
static int connected(const struct up *u) {
    struct options o = {.state = u->state};
    struct client *c = NULL;
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    int n = -1;
    if (!client_open(&o, &c, NULL) && !client_doc(c, "agent?state=connected&fields=state", NULL, &a, &d, NULL))
        n = (int)doc_get_int(d, "count", -1);
    client_close(c);
    arena_free(&a);
    return n;
}

static void try_line(const struct up *u, const char *head, const char *words) {
    char here[APP_PATH] = "";
    size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
    const char *self = n > 1 && !strncmp(u->self, here, n) && u->self[n] == '/' ? u->self + n + 1 : u->self;
    printf("  %-9s %s %s%s%s\n", head, self, words, u->o->state ? " --state " : "", u->o->state ? u->o->state : "");
}

/* Last on the screen: when every agent is there, or after a while without the ones that are missing. */
static void greet(void *ctx) {
    struct up *u = ctx;
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    int want = (int)u->n - 1, have = connected(u);
    if (have < want && loop_mono_us(u->loop) - u->begun_us < GREET_US) {
        timer_mono_in(u->loop, &u->look, 5 * LOOK_US, greet, u);
        return;
    }
    if (!controller_read(u->state, &a, &d, NULL)) {
        printf("\n  Suan is up: one controller, %d of %d agents.\n\n  %-9s %s/   (token: %s/token)\n\n", have, want, "console",
               doc_get_str(d, "url", ""), u->state);
        try_line(u, "try", "centre list");
        try_line(u, "", "job submit share/jobs/hello.yaml");
        try_line(u, "", "explain job/hello");
        printf("\n  %-9s Ctrl-C\n\n", "stop");
        fflush(stdout);
    }
    arena_free(&a);
}

/* The controller says that it is ready by its file. */
static void look(void *ctx) {
    struct up *u = ctx;
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    bool ready = !controller_read(u->state, &a, &d, NULL) && doc_get_int(d, "pid", 0) == u->services[0].pid;
    if (ready) {
        u->is_ready = true;
        doc_each(name, doc_get(d, "agents")) {
            if (u->n < CHILDREN_MAX - 1)
                agent_start(u, name->str.p);
            else
                log_warn("up", "agent/%s is not started here: at most %d on one machine", name->str.p, CHILDREN_MAX - 2);
        }
        if (u->o->once)
            once_start(u);
        else
            greet(u);
    } else if (loop_mono_us(u->loop) - u->begun_us > READY_US) {
        u->rc = err_set(u->e, E_TIMEOUT, "the controller was not ready after %d s", READY_US / 1000000);
        stop(u);
    } else {
        timer_mono_in(u->loop, &u->look, LOOK_US, look, u);
    }
    arena_free(&a);
}

int command_up(const struct options *o, struct err *e) {
    struct up *u = calloc(1, sizeof *u);
    u->o = o;
    u->e = e;
    bool for_once = o->once && !o->state;
    int rc = for_once ? once_state_make(u->state, e) : place_state(o, u->state, e);
    if (!rc)
        rc = place_self(u->self, e);
    if (!rc) {
        u->loop = loop_new(LOOP_REAL, 0);
        u->begun_us = loop_mono_us(u->loop);
        loop_signal(u->loop, SIGTERM, on_signal, u);
        loop_signal(u->loop, SIGINT, on_signal, u);
        loop_signal(u->loop, SIGHUP, on_signal, u);
        controller_start(u);
        timer_mono_in(u->loop, &u->look, LOOK_US, look, u);
        loop_run(u->loop);
        timer_cancel(u->loop, &u->kill);
        rc = u->rc;
        loop_free(u->loop);
    }
    if (for_once && *u->state)
        once_state_remove(u->state);
    free(u);
    return rc;
}
