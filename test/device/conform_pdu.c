/* The conformance suite of class pdu: what every backend of it must do, run against
 *   twin     the in-process twin,
 *   wire     the live Modbus driver and the twin's Modbus server, over real sockets in virtual time,
 *   foreign  the live Modbus driver and a server of Debian's python3-pymodbus, in real time.
 * Each subject is a unit of 24 outlets of which 16 feed a server at 430 W (+2 %) each, with a limit of 60 kW. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/live/modbus/modbus.h"
#include "room.h"
#include "tap.h"

#define FULL_W (16 * 430 * 1.02)
#define MS(n) ((int64_t)(n)*1000)

static const struct device_class *const classes[] = {&class_pdu, &class_node, NULL};
static const struct backend_ops *const backends[] = {&backend_twin_pdu, &backend_modbus_pdu, &backend_twin_node, NULL};

struct subject {
    const char *name;
    bool (*open)(struct subject *s, bool slow); /* slow: an answer takes 600 ms */
    void (*poke)(struct subject *s, const char *word);
    void (*close)(struct subject *s);
    struct room room;
    oid pdu;
    /* of the foreign one */
    pid_t pid;
    int to, from;
};

static char *named(const struct subject *s, const char *what) {
    static char text[160];
    snprintf(text, sizeof text, "%s: %s", s->name, what);
    return text;
}

/* -- subjects -- */

#define PLAIN "twin:loss_ratio=0,stuck_ratio=0"
#define SLOW PLAIN ",latency_us=600ms"

static void world_begin(struct subject *s) {
    s->pdu = room_find(&s->room, "pdu/c-h-r01-p");
    world_poke(twin_world(s->room.twin), "load rack/c-h-r01 1", NULL);
}
static bool twin_subject_open(struct subject *s, bool slow) {
    room_open(&s->room, LOOP_VIRTUAL, classes, backends, slow ? SLOW : PLAIN, "twin", 3);
    world_begin(s);
    return true;
}
static bool wire_subject_open(struct subject *s, bool slow) {
    room_open(&s->room, LOOP_VIRTUAL, classes, backends, "twin", "twin", 3);
    room_serve(&s->room, slow ? SLOW : PLAIN, NULL);
    world_begin(s);
    return true;
}
static void world_subject_poke(struct subject *s, const char *word) {
    char text[64];
    snprintf(text, sizeof text, "%s %s", word, strcmp(word, "reset") ? "rack/c-h-r01" : "pdu/c-h-r01-p");
    if (world_poke(twin_world(s->room.twin), text, &s->room.err))
        abort();
}
static void subject_close(struct subject *s) {
    room_close(&s->room);
}

static bool line_read(int fd, int wait_ms, char line[80]) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (size_t n = 0; n < 79; n++) {
        if (poll(&p, 1, wait_ms) != 1 || read(fd, line + n, 1) != 1)
            return false;
        line[n + 1] = 0;
        if (line[n] == '\n')
            return true;
    }
    return false;
}

static void tell(struct subject *s, const char *word) {
    char line[80];
    snprintf(line, sizeof line, "%s\n", word);
    if (write(s->to, line, strlen(line)) < 0 || !line_read(s->from, 10000, line) || strcmp(line, "ok\n"))
        abort();
}

static bool foreign_start(struct subject *s, int *port) {
    int in[2], out[2];
    char line[80] = "";
    if (pipe(in) || pipe(out))
        return false;
    s->pid = fork();
    if (!s->pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        /* By its full name: it looks for its packages beside what argv[0] names, and another one may come first in PATH. */
        execl("/usr/bin/python3", "/usr/bin/python3", SUAN_SOURCE "/test/device/foreign_pdu.py", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    s->to = in[1];
    s->from = out[0];
    return line_read(s->from, 30000, line) && sscanf(line, "port %d", port) == 1;
}

static void foreign_stop(struct subject *s) {
    close(s->to);
    close(s->from);
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

static bool foreign_subject_open(struct subject *s, bool slow) {
    int port;
    char spec[BACKEND_TEXT];
    if (!foreign_start(s, &port)) {
        foreign_stop(s);
        return false;
    }
    snprintf(spec, sizeof spec, "modbus:host=127.0.0.1,port=%d,unit=7", port);
    room_open(&s->room, LOOP_REAL, classes, backends, spec, "twin", 3);
    s->pdu = room_find(&s->room, "pdu/c-h-r01-p");
    if (slow)
        tell(s, "slow 0.6");
    return true;
}
static void foreign_subject_close(struct subject *s) {
    room_close(&s->room);
    foreign_stop(s);
}

/* -- the suite -- */

static void reads(struct subject *s) {
    struct asked a;
    is_int(ask_now(&s->room, s->pdu, "read", NULL, &a), 0, named(s, "a unit is read"));
    const struct pdu_reading *r = &a.out.pdu;
    bool on = true;
    for (int i = 0; i < 48; i++)
        on &= r->outlet_on[i] == (i < 24);
    ok(r->n_outlet_on == 24 && on, named(s, "24 outlets, all on, and nothing beyond them"));
    is_near(r->power_w, FULL_W, 0.02 * FULL_W, named(s, "the power of 16 servers within 2 %"));
    ok(r->power_w == floor(r->power_w), named(s, "in whole watts"));
    is_near(r->limit_w, 60000, 0, named(s, "the limit"));
    ok(!r->tripped, named(s, "not tripped"));
    ok(a.done == 1 && !a.err.code, named(s, "one answer, without an error"));
}

static void switches(struct subject *s) {
    struct asked a;
    bool follows = true;
    static const int order[] = {1, 24, 16, 17, 8, 9};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct pdu_switch off = {.outlet = order[i], .on = false};
        follows &= !ask_now(&s->room, s->pdu, "switch", &off, &a) && !ask_now(&s->room, s->pdu, "read", NULL, &a);
        for (int o = 0; o < 24; o++) {
            bool is_off = false;
            for (size_t k = 0; k <= i; k++)
                is_off |= order[k] == o + 1;
            follows &= a.out.pdu.outlet_on[o] == !is_off;
        }
    }
    ok(follows, named(s, "six outlets are switched off, and reading back shows just those"));
    is_near(a.out.pdu.power_w, FULL_W * 12 / 16, 0.02 * FULL_W,
            named(s, "and the power of the four servers among them gone"));
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        ask_now(&s->room, s->pdu, "switch", &(struct pdu_switch){.outlet = order[i], .on = true}, &a);
    is_int(ask_now(&s->room, s->pdu, "switch", &(struct pdu_switch){.outlet = 1, .on = true}, &a), 0,
           named(s, "switching on what is on changes nothing"));
    ask_now(&s->room, s->pdu, "read", NULL, &a);
    ok(a.out.pdu.outlet_on[0] && a.out.pdu.outlet_on[23], named(s, "all are on again"));
}

static void refuses(struct subject *s) {
    struct asked a;
    is_int(ask_now(&s->room, s->pdu, "switch", &(struct pdu_switch){.outlet = 25, .on = false}, &a), E_INVAL,
           named(s, "outlet 25 of 24 is refused by the unit"));
    ok(strlen(a.err.message) > 10, named(s, "with a reason"));
    is_int(ask_now(&s->room, s->pdu, "switch", &(struct pdu_switch){.outlet = 0, .on = false}, &a), E_INVAL,
           named(s, "outlet 0 at the door"));
    is_int(ask_now(&s->room, s->pdu, "switch", &(struct pdu_switch){.outlet = 49, .on = false}, &a), E_INVAL,
           named(s, "and outlet 49"));
    is_int(ask_now(&s->room, s->pdu, "set limit", &(struct pdu_limit){.limit_w = -1}, &a), E_INVAL,
           named(s, "a limit below zero"));
    is_int(ask_now(&s->room, s->pdu, "set limit", &(struct pdu_limit){.limit_w = 2e6}, &a), E_INVAL,
           named(s, "one that is too high"));
    is_int(ask_now(&s->room, s->pdu, "set limit", &(struct pdu_limit){.limit_w = NAN}, &a), E_INVAL,
           named(s, "and one that is no number"));
    is_int(ask_now(&s->room, s->pdu, "explode", NULL, &a), E_UNSUPPORTED, named(s, "a verb the class has not"));
    ask_now(&s->room, s->pdu, "read", NULL, &a);
    bool on = true;
    for (int i = 0; i < 24; i++)
        on &= a.out.pdu.outlet_on[i];
    ok(on && a.out.pdu.limit_w == 60000, named(s, "nothing of it has changed anything"));
}

static void trips(struct subject *s) {
    struct asked a;
    is_int(ask_now(&s->room, s->pdu, "set limit", &(struct pdu_limit){.limit_w = 70000.4}, &a), 0,
           named(s, "a limit is set"));
    ask_now(&s->room, s->pdu, "read", NULL, &a);
    is_near(a.out.pdu.limit_w, 70000, 0, named(s, "in whole watts, both words of it"));
    ask_now(&s->room, s->pdu, "set limit", &(struct pdu_limit){.limit_w = 6000}, &a);
    int64_t from = loop_now_us(s->room.loop);
    do {
        ask_now(&s->room, s->pdu, "read", NULL, &a);
        if (!a.out.pdu.tripped)
            loop_run_until(s->room.loop, loop_now_us(s->room.loop) + MS(1000));
    } while (!a.out.pdu.tripped && loop_now_us(s->room.loop) - from < MS(200000));
    ok(a.out.pdu.tripped && !a.rc, named(s, "above its limit it trips within 200 s"));
    is_near(a.out.pdu.power_w, 0, 0, named(s, "then it feeds nothing, and still answers"));
    ask_now(&s->room, s->pdu, "set limit", &(struct pdu_limit){.limit_w = 0}, &a);
    s->poke(s, "reset");
    ask_now(&s->room, s->pdu, "read", NULL, &a);
    ok(!a.out.pdu.tripped && a.out.pdu.power_w > 0.98 * FULL_W, named(s, "it is reset; limit 0 is none"));
    ask_now(&s->room, s->pdu, "set limit", &(struct pdu_limit){.limit_w = 60000}, &a);
}

static void unplugged(struct subject *s) {
    struct asked a;
    int64_t from = loop_now_us(s->room.loop);
    s->poke(s, "cut");
    ask_within(&s->room, s->pdu, "read", NULL, MS(500), &a);
    is_int(await(&s->room, &a), E_TIMEOUT, named(s, "unplugged it does not answer"));
    ok(a.at_us - from >= MS(500) && a.at_us - from < MS(900), named(s, "which is known at the deadline"));
    s->poke(s, "feed");
    is_int(ask_now(&s->room, s->pdu, "read", NULL, &a), 0, named(s, "plugged in again it does"));
}

static void cancels(struct subject *s) {
    struct asked a, b, none;
    ask(&s->room, s->pdu, "read", NULL, &a);
    ask(&s->room, s->pdu, "read", NULL, &b);
    is_int(a.done, 0, named(s, "nothing ends inside submit"));
    device_cancel(&a.r);
    is_int(a.done, 0, named(s, "nor inside cancel"));
    device_cancel(&a.r);
    is_int(await(&s->room, &a), E_CANCELLED, named(s, "what is cancelled ends as cancelled"));
    is_int(await(&s->room, &b), 0, named(s, "its neighbour ends well"));
    ok(b.out.pdu.n_outlet_on == 24 && b.out.pdu.power_w > 1000, named(s, "with its own answer"));
    device_cancel(&b.r);
    ask_now(&s->room, s->pdu, "read", NULL, &none);
    ok(a.done == 1 && b.done == 1 && b.rc == 0, named(s, "each exactly once, whatever is cancelled twice or late"));
}

static void many(struct subject *s) {
    enum { N = 40 };
    static struct asked a[N];
    static struct pdu_switch in[N];
    int good = 0, once = 0;
    for (int i = 0; i < N; i++) {
        in[i] = (struct pdu_switch){.outlet = 1 + i / 4 % 24, .on = i % 4 == 3};
        if (i % 4 == 0)
            ask(&s->room, s->pdu, "read", NULL, &a[i]);
        else
            ask(&s->room, s->pdu, "switch", &in[i], &a[i]);
    }
    for (int i = 0; i < N; i++)
        good += await(&s->room, &a[i]) == 0;
    for (int i = 0; i < N; i++)
        once += a[i].done == 1;
    is_int(good, N, named(s, "forty requests at once all end well"));
    is_int(once, N, named(s, "each exactly once"));
    ask_now(&s->room, s->pdu, "read", NULL, &a[0]);
    bool on = true;
    for (int i = 0; i < 24; i++)
        on &= a[0].out.pdu.outlet_on[i];
    ok(on, named(s, "in the order they were asked: each outlet's last word was on"));
}

static void slow(struct subject *s) {
    struct asked a, b;
    ask_within(&s->room, s->pdu, "switch", &(struct pdu_switch){.outlet = 2, .on = false}, MS(300), &a);
    is_int(await(&s->room, &a), E_TIMEOUT, named(s, "slower than the deadline is a time-out"));
    is_int(ask_now(&s->room, s->pdu, "read", NULL, &b), 0, named(s, "slower than usual is not"));
    ok(b.out.pdu.n_outlet_on == 24, named(s, "and a late answer is not taken for the next one's"));
    ok(!b.out.pdu.outlet_on[1], named(s, "the command was carried out although its asker had gone"));
    is_int(a.done, 1, named(s, "which does not end it a second time"));
}

static void run(struct subject *s) {
    static void (*const plain[])(struct subject *) = {reads, switches, refuses, trips, unplugged, cancels, many};
    if (!s->open(s, false)) {
        ok(false, named(s, "the subject starts"));
        return;
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        plain[i](s);
    s->close(s);
    if (!s->open(s, true)) {
        ok(false, named(s, "the slow subject starts"));
        return;
    }
    slow(s);
    s->close(s);
}

int main(void) {
    struct subject twin = {"twin", twin_subject_open, world_subject_poke, subject_close};
    struct subject wire = {"wire", wire_subject_open, world_subject_poke, subject_close};
    struct subject foreign = {"foreign", foreign_subject_open, tell, foreign_subject_close};
    run(&twin);
    run(&wire);
    if (system("/usr/bin/python3 -c 'import pymodbus' 2>/dev/null"))
        skip("foreign: python3-pymodbus is not installed (apt-get install python3-pymodbus)");
    else
        run(&foreign);
    return tap_done();
}
