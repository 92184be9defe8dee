/* The door itself, with a backend that does what the test tells it: stacks, deadlines, cancels, polling, conditions,
 * set points, the dispatcher's calls, objects that go or change their backend meanwhile. */
#include "core/http.h"
#include "device/filter/filter.h"
#include "room.h"
#include "tap.h"

#define MS(n) ((int64_t)(n)*1000)

/* -- a backend on strings -- */

struct probe {
    struct backend b;
    struct device_request *held[32];
    size_t n;
};
static struct probe *probe; /* of the unit under test, the one opened last */
static int probes_open, submits, cancels;
static bool answers = true; /* else they are held */
static oid probe_of;

static int probe_open(struct host *h, oid id, const struct doc *options, struct backend *under, struct backend **out,
                      struct err *e) {
    if (doc_get(options, "broken"))
        return err_set(e, E_INVAL, "the probe is broken");
    struct probe *x = calloc(1, sizeof *x);
    *out = &x->b;
    (void)h, (void)under;
    probes_open++;
    if (id == probe_of || !probe_of)
        probe = x;
    return 0;
}
static void probe_finish(struct probe *x, size_t i, int rc) {
    struct device_request *r = x->held[i];
    x->held[i] = x->held[--x->n];
    if (!rc && r->out)
        *(struct pdu_reading *)r->out = (struct pdu_reading){.power_w = 321, .n_outlet_on = 2};
    device_finish(r, rc);
}
static void probe_close(struct backend *b) {
    struct probe *x = (struct probe *)b;
    while (x->n)
        probe_finish(x, 0, E_CANCELLED);
    probes_open--;
    if (probe == x)
        probe = NULL;
    free(x);
}
static void probe_submit(struct backend *b, struct device_request *r) {
    struct probe *x = (struct probe *)b;
    submits++;
    if (x->n == 32)
        abort();
    x->held[x->n++] = r;
    if (answers)
        probe_finish(x, x->n - 1, 0);
}
static void probe_cancel(struct backend *b, struct device_request *r) {
    struct probe *x = (struct probe *)b;
    cancels++;
    for (size_t i = 0; i < x->n; i++)
        if (x->held[i] == r)
            x->held[i] = x->held[--x->n];
}
static const struct backend_ops backend_probe = {.name = "probe",
                                                 .cls = "pdu",
                                                 .open = probe_open,
                                                 .close = probe_close,
                                                 .submit = probe_submit,
                                                 .cancel = probe_cancel};

static const struct device_class *const classes[] = {&class_pdu, &class_node, NULL};
static const struct backend_ops *const backends[] = {&backend_probe, &backend_twin_pdu, &backend_twin_node,
                                                     &filter_fault,  &filter_delay,     NULL};
static struct room m;
static oid p;

static void begin(const char *pdu) {
    answers = true;
    submits = cancels = 0;
    probe_of = 0;
    room_open(&m, LOOP_VIRTUAL, classes, backends, pdu, "twin:loss_ratio=0", 5);
    probe_of = p = room_find(&m, "pdu/c-h-r01-p");
}
static void end(void) {
    room_close(&m);
    is_int(probes_open, 0, "closing leaves no backend open");
}
static void run(int64_t ms) {
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(ms));
}

/* Configuration of the unit, as an operator changes it. */
static void set_backend(const char *spec) {
    struct arena a = ARENA_INIT;
    struct doc *fields = doc_map(&a);
    uint64_t revision;
    doc_put_str(&a, fields, "backend", spec);
    struct txn *t = estate_begin(m.host.estate);
    if (txn_set(t, p, fields, "test", &m.err) || txn_commit(t, "test", "backend", &revision, &m.err))
        abort();
    arena_free(&a);
}

static const struct condition *condition(const char *name) {
    const struct condition *c;
    size_t n = estate_conditions(m.host.estate, p, &c);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(c[i].name, name))
            return &c[i];
    return NULL;
}

/* -- specs and stacks -- */

static void specs(void) {
    static const struct {
        const char *spec;
        int rc;
        const char *words;
    } rows[] = {
        {"probe:a=1,b=2", 0, ""},
        {"", 0, ""},
        {":a=1", E_INVAL, "name:key=value"},
        {"probe:a", E_INVAL, "'a' is not key=value"},
        {"probe:=1", E_INVAL, "not key=value"},
        {"probe:a=1,a=2", E_INVAL, "stands twice"},
        {"prob", E_NOTFOUND, "no backend 'prob'"},
        {"fault", E_NOTFOUND, "no backend 'fault'"},
        {"twn|probe", E_NOTFOUND, "no filter 'twn'"},
        {"fault||probe", E_INVAL, "form is"},
        {"probe:broken=1", E_INVAL, "broken"},
        {"fault:rate_ratio=0|delay:least_us=1ms|probe", 0, ""},
    };
    struct asked a;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(rows[i].spec);
        int rc = ask_now(&m, p, "read", NULL, &a);
        ok(rc == rows[i].rc && strstr(a.err.message, rows[i].words) && a.done == 1,
           *rows[i].spec ? rows[i].spec : "(none)");
        if (rc != rows[i].rc)
            printf("#   got %d: %s\n", rc, a.err.message);
        ok(!rc || !strcmp(a.err.place, "pdu/c-h-r01-p"), "an error names the object");
        room_close(&m);
    }
    is_int(probes_open, 0, "stacks that could not be opened leave nothing open");
}

static void refusals(void) {
    struct asked a, b;
    struct room other;
    begin("probe");
    room_open(&other, LOOP_VIRTUAL, classes, backends, "probe", "twin", 5);
    ask(&m, room_find(&m, "rack/c-h-r01"), "read", NULL, &a);
    ask(&other, 999999, "read", NULL, &b);
    ok(!a.done && !b.done, "refusals do not end inside submit either");
    device_cancel(&a.r); /* between refusal and its delivery */
    is_int(await(&m, &a), E_UNSUPPORTED, "a rack is no device");
    is_int(await(&other, &b), E_NOTFOUND, "an object that is not there");
    ok(a.done == 1 && b.done == 1, "each once, in the loop of its own host");
    is_int(ask_now(&m, p, "explode", NULL, &a), E_UNSUPPORTED, "a verb that the class has not");
    is_int(ask_now(&m, p, "switch", &(struct pdu_switch){.outlet = 0}, &a), E_INVAL, "an input outside its table");
    is_int(submits, 0, "of all that the backend saw nothing");
    room_close(&other);
    end();
}

/* -- deadlines and cancels -- */

static void deadlines(void) {
    struct asked a, b, c;
    begin("probe");
    answers = false;
    ask(&m, p, "read", NULL, &a);
    ask_within(&m, p, "read", NULL, MS(700), &b);
    c = (struct asked){.room = &m};
    c.r = (struct device_request){.out = &c.out, .done = asked_done, .ctx = &c, .deadline_us = DEVICE_NO_DEADLINE};
    device_submit(m.devices, p, "read", &c.r);
    run(60000);
    is_int(b.at_us - ROOM_T0, 700000, "a deadline is kept to the microsecond");
    is_int(a.at_us - ROOM_T0, 2000000, "the verb's own where none was given");
    ok(a.rc == E_TIMEOUT && b.rc == E_TIMEOUT && strstr(a.err.message, "pdu read"), "as time-outs that name the verb");
    is_int(c.done, 0, "one without deadline waits on");
    is_int(cancels, 2, "the backend was told of each");
    device_cancel(&c.r);
    is_int(await(&m, &c), E_CANCELLED, "until it is cancelled");
    answers = true;
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "answered in time");
    run(10000);
    is_int(a.done, 1, "its deadline does not end it again");
    device_cancel(&a.r);
    run(10);
    is_int(a.done, 1, "nor a cancel");
    is_int(cancels, 3, "which the backend does not hear of");
    ask(&m, p, "read", NULL, &a);
    device_cancel(&a.r); /* answered already, not yet delivered */
    is_int(await(&m, &a), 0, "a cancel after the answer comes too late");
    end();
}

/* -- polling -- */

static void polling(void) {
    begin("probe");
    devices_poll(m.devices);
    devices_poll(m.devices);
    int64_t from = loop_now_us(m.loop);
    run(100000);
    const struct pdu *u = estate_get(m.host.estate, p, pdu);
    is_int(submits, 20, "two units are read ten times in 100 s, however often polling is started");
    ok(u->power_w == 321 && u->n_outlet_on == 2 && u->read_us > from, "what was read stands in the object's state");
    answers = false;
    run(20000);
    ok(!condition("unreachable"), "two failures may happen");
    run(12000);
    const struct condition *c = condition("unreachable");
    ok(c && c->severity == SEV_ERROR && strstr(c->text, "no answer"), "the third makes a condition with the reason");
    answers = true;
    run(12000);
    ok(!condition("unreachable"), "an answer clears it");
    end();
    begin("probe:broken=1");
    devices_poll(m.devices);
    ok(condition("unreachable"), "a unit whose backend does not open is unreachable at once");
    room_close(&m);
}

static void deleted(void) {
    struct asked a;
    uint64_t revision;
    begin("probe");
    devices_poll(m.devices);
    run(20000);
    answers = false;
    run(8000); /* a poll of each is held now, or soon */
    ask(&m, p, "read", NULL, &a);
    struct txn *t = estate_begin(m.host.estate);
    if (txn_delete(t, p, &m.err) || txn_commit(t, "test", "gone", &revision, &m.err))
        abort();
    is_int(await(&m, &a), E_TIMEOUT, "a request to a device that is deleted meanwhile still ends");
    answers = true;
    int before = submits;
    run(100000);
    is_int(submits - before, 10, "only the other unit is polled on");
    is_int(ask_now(&m, p, "read", NULL, &a), E_NOTFOUND, "and the deleted one is not there");
    end();
}

static void reconfigured(void) {
    struct asked a, b;
    begin("probe");
    ask_now(&m, p, "read", NULL, &a);
    is_near(a.out.pdu.power_w, 321, 0, "the probe answers");
    answers = false;
    ask(&m, p, "read", NULL, &a);
    set_backend("twin:loss_ratio=0");
    is_int(ask_now(&m, p, "read", NULL, &b), 0, "after its backend was changed, the next request is answered");
    is_int(b.out.pdu.n_outlet_on, 24, "by the new one");
    is_int(await(&m, &a), E_CANCELLED, "what the old one held has ended");
    set_backend("probe:broken=1");
    is_int(ask_now(&m, p, "read", NULL, &b), E_INVAL, "one that does not open is told");
    is_int(ask_now(&m, p, "read", NULL, &b), E_INVAL, "each time");
    struct err e = {0};
    is_int(device_filter(m.devices, p, "fault", &e), E_INVAL, "nor does it take a filter");
    set_backend("fault|probe");
    is_int(ask_now(&m, p, "read", NULL, &b), E_UNAVAIL, "and a good one works again");
    end();
}

/* -- set points -- */

static void set_points(void) {
    static const struct property limit = {.kind = "pdu", .field = "limit_w"};
    static const struct property nothing = {.kind = "pdu", .field = "colour"};
    struct command c = {.object = p, .property = &limit, .value = 5000};
    begin("twin:loss_ratio=0");
    c.object = p;
    str_copy(c.by, sizeof c.by, "test");
    devices_act(&m.host, &c);
    run(1000);
    struct world_pdu w;
    world_pdu(twin_look(m.twin), p, &w, NULL);
    is_near(w.limit_w, 5000, 0, "limit_w is set by 'set limit'");
    ok(!condition("command-failed"), "without a condition");
    c.value = -1;
    devices_act(&m.host, &c);
    run(1000);
    ok(condition("command-failed"), "one outside the table fails, and is told");
    c.value = 6000;
    devices_act(&m.host, &c);
    run(1000);
    ok(!condition("command-failed"), "the next good one clears that");
    c.property = &nothing;
    devices_act(&m.host, &c);
    ok(condition("command-failed") && strstr(condition("command-failed")->text, "colour"), "a field that no verb sets");
    c.property = &limit;
    devices_act(&m.host, &c);
    end(); /* with one on its way */
}

/* -- the dispatcher's calls -- */

static int call_answers, call_rc;
static double call_power_w;

/* As a transport does: reads the answer, then the call is gone. */
static void on_call(struct call *c, int rc) {
    call_answers++;
    call_rc = rc;
    if (!rc && c->out)
        call_power_w = ((struct pdu_reading *)c->out)->power_w;
    arena_free(&c->arena);
    memset(c, 0, sizeof *c);
}

static void call_read(struct call *c) {
    *c = (struct call){.host = &m.host, .answer = on_call};
    c->who.role = ROLE_ADMIN;
    call_answers = 0;
    call_start(c, "pdu", "c-h-r01-p", "read", NULL, "test");
}

static void calls(void) {
    struct call c;
    begin("probe");
    devices_add_verbs(m.devices, m.host.verbs);
    call_read(&c);
    run(100);
    ok(call_answers == 1 && call_rc == 0 && call_power_w == 321, "the dispatcher's call is answered by the device");
    ok(!verbs_find(m.host.verbs, "pdu", "set limit"),
       "set points are no verbs of the dispatcher: the arbiter has them");
    answers = false;
    call_read(&c);
    run(60000);
    ok(call_answers == 1 && call_rc == E_TIMEOUT, "a silent device is a time-out, once");
    call_read(&c);
    timer_in(m.loop, &c.deadline, MS(300), c.deadline.fn, c.deadline.ctx); /* before the device's own */
    run(60000);
    ok(call_answers == 1 && call_rc == E_TIMEOUT,
       "so is a dispatcher that waits no longer: the call is gone, and let be");
    call_read(&c);
    end(); /* with one on its way */
}

int main(void) {
    specs();
    refusals();
    deadlines();
    polling();
    deleted();
    reconfigured();
    set_points();
    calls();
    return tap_done();
}
