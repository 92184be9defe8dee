/* The twin's pdu and node: their answers, and that they are late, coarse, noisy and silent where the real ones are. */
#include "room.h"
#include "tap.h"

static const struct device_class *const classes[] = {&class_pdu, &class_node, NULL};
static const struct backend_ops *const backends[] = {&backend_twin_pdu, &backend_twin_node, NULL};

static void opened(struct room *m, const char *pdu, const char *node, uint64_t seed) {
    room_open(m, LOOP_VIRTUAL, classes, backends, pdu, node, seed);
}

static void answers(void) {
    struct room m;
    struct asked a;
    opened(&m, "twin", "twin", 1);
    oid p = room_find(&m, "pdu/c-h-r01-p"), n = room_find(&m, "node/c-h-r01-n03");
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "a unit is read");
    int64_t took = a.at_us - ROOM_T0;
    ok(took >= 8000 && took < 200000, "the answer took some ten milliseconds of plant time");
    is_int(a.out.pdu.n_outlet_on, 24, "it shows its outlets");
    ok(a.out.pdu.power_w > 1000 && a.out.pdu.power_w == floor(a.out.pdu.power_w), "its power, in whole watts");
    world_poke(twin_world(m.twin), "load rack/c-h-r01 1", NULL);
    ask_now(&m, p, "read", NULL, &a);
    double truth = 16 * 430 * 1.02;
    ok(fabs(a.out.pdu.power_w - truth) < 0.02 * truth && a.out.pdu.power_w != truth,
       "near the truth, and not the truth");
    is_int(ask_now(&m, p, "switch", &(struct pdu_switch){.outlet = 3, .on = false}, &a), 0,
           "an outlet is switched off");
    ask_now(&m, p, "read", NULL, &a);
    ok(!a.out.pdu.outlet_on[2] && a.out.pdu.outlet_on[3], "reading back shows which");
    is_int(ask_now(&m, n, "read", NULL, &a), E_TIMEOUT,
           "the server on it is silent: its controller has no power either");
    is_int(ask_now(&m, p, "switch", &(struct pdu_switch){.outlet = 25, .on = false}, &a), E_INVAL, "outlet 25 of 24");
    is_int(ask_now(&m, p, "set limit", &(struct pdu_limit){.limit_w = 6000.4}, &a), 0, "a limit is set");
    ask_now(&m, p, "read", NULL, &a);
    is_near(a.out.pdu.limit_w, 6000, 0, "in steps of one watt");
    loop_run_until(m.loop, loop_now_us(m.loop) + 200000000);
    ask_now(&m, p, "read", NULL, &a);
    ok(a.out.pdu.tripped && a.out.pdu.power_w == 0, "above its limit it trips, and still talks");
    room_close(&m);
}

static void nodes(void) {
    struct room m;
    struct asked a;
    opened(&m, "twin", "twin", 1);
    oid n = room_find(&m, "node/c-h-r02-n01");
    world_poke(twin_world(m.twin), "load node/c-h-r02-n01 1", NULL);
    is_int(ask_now(&m, n, "set cap_w", &(struct node_cap){.value = 310.3}, &a), 0, "a cap is set");
    is_int(ask_now(&m, n, "read", NULL, &a), 0, "a server is read");
    is_near(a.out.node.cap_w, 310, 0, "the cap in whole watts");
    is_near(a.out.node.power_w, 310, 12, "and it works");
    is_near(a.out.node.utilisation_ratio, 0.7, 1e-9, "load in per cent");
    ok(a.out.node.temperature_c == floor(a.out.node.temperature_c), "temperature in whole degrees");
    is_int(ask_now(&m, n, "set cap_w", &(struct node_cap){.value = 20}, &a), E_INVAL,
           "below the firmware's least: refused");
    is_int(ask_now(&m, n, "power", &(struct node_power){.on = false}, &a), 0, "it is switched off");
    ask_now(&m, n, "read", NULL, &a);
    ok(!a.out.node.on && a.out.node.power_w == 0, "and its controller says so");
    world_poke(twin_world(m.twin), "cut rack/c-h-r02", NULL);
    is_int(ask_now(&m, n, "read", NULL, &a), E_TIMEOUT, "in a dark rack nothing answers");
    is_int(ask_now(&m, room_find(&m, "pdu/c-h-r02-p"), "read", NULL, &a), E_TIMEOUT, "nor does the unit");
    world_poke(twin_world(m.twin), "feed rack/c-h-r02", NULL);
    is_int(ask_now(&m, n, "read", NULL, &a), 0, "and with the feed back it does");
    room_close(&m);
}

static void faults(void) {
    struct room m;
    struct asked a;
    opened(&m, "twin:loss_ratio=0.5,stuck_ratio=0.5", "twin:loss_ratio=1", 4);
    oid p = room_find(&m, "pdu/c-h-r01-p");
    int lost = 0, stuck = 0, lost_and_done = 0, answered = 0;
    for (int i = 0; i < 200; i++) {
        struct pdu_switch in = {.outlet = 1, .on = i % 2};
        struct world_pdu truth;
        int rc = ask_now(&m, p, "switch", &in, &a);
        world_pdu(twin_look(m.twin), p, &truth, NULL);
        lost += rc == E_TIMEOUT;
        answered += rc == 0;
        stuck += rc == 0 && truth.outlet_on[0] != in.on;
        lost_and_done += rc == E_TIMEOUT && truth.outlet_on[0] == in.on;
    }
    ok(lost > 70 && lost < 130 && lost + answered == 200, "half of the requests are lost");
    ok(lost_and_done > 10, "some of them were carried out all the same");
    ok(stuck > 10, "and some that were acknowledged were not");
    is_int(ask_now(&m, room_find(&m, "node/c-h-r01-n01"), "read", NULL, &a), E_TIMEOUT, "loss 1 is silence");
    room_close(&m);
}

/* The same seed is the same room, whatever else is asked beside it. */
static void streams(void) {
    double power[2][20];
    int64_t late[2][20];
    for (int run = 0; run < 2; run++) {
        struct room m;
        struct asked a, other[3];
        opened(&m, "twin", "twin", 9);
        for (int i = 0; i < 20; i++) {
            loop_run_until(m.loop, ROOM_T0 + (i + 1) * 7000000);
            for (int k = 0; run && k < 3; k++)
                ask(&m, room_find(&m, k ? "node/c-h-r01-n01" : "pdu/c-h-r02-p"), "read", NULL, &other[k]);
            ask_now(&m, room_find(&m, "pdu/c-h-r01-p"), "read", NULL, &a);
            power[run][i] = a.out.pdu.power_w;
            late[run][i] = a.at_us;
            loop_run_until(m.loop, loop_now_us(m.loop) + 3000000);
        }
        room_close(&m);
    }
    ok(!memcmp(power, power + 1, sizeof power[0]), "reads of neighbours do not shift a unit's noise");
    ok(!memcmp(late, late + 1, sizeof late[0]), "nor its delays");
}

static void options(void) {
    struct room m;
    struct asked a;
    opened(&m, "twin:los_ratio=0.5", "twin:loss_ratio=2", 4);
    is_int(ask_now(&m, room_find(&m, "pdu/c-h-r01-p"), "read", NULL, &a), E_INVAL, "an unknown option is refused");
    ok(strstr(a.err.hint, "loss_ratio"), "with a hint");
    is_int(ask_now(&m, room_find(&m, "node/c-h-r01-n01"), "read", NULL, &a), E_INVAL, "so is a ratio above one");
    room_close(&m);
    opened(&m, "twin:latency_us=3s", "twin:latency_us=1500ms", 4);
    is_int(ask_now(&m, room_find(&m, "pdu/c-h-r01-p"), "read", NULL, &a), E_TIMEOUT, "slower than its deadline");
    is_int(a.at_us - ROOM_T0, 2000000, "which is kept to the microsecond");
    is_int(ask_now(&m, room_find(&m, "node/c-h-r01-n01"), "read", NULL, &a), 0, "slow, but in time");
    ok(a.at_us - ROOM_T0 - 2000000 >= 1500000, "as slow as it was told to be");
    room_close(&m);
}

static void order(void) {
    struct room m;
    struct asked a[70];
    opened(&m, "twin:loss_ratio=0", "twin", 4);
    oid p = room_find(&m, "pdu/c-h-r01-p");
    for (int i = 0; i < 70; i++)
        ask(&m, p, "read", NULL, &a[i]);
    is_int(a[69].done, 0, "nothing ends inside submit");
    device_cancel(&a[5].r);
    device_cancel(&a[5].r);
    loop_run_until(m.loop, ROOM_T0 + 5000000);
    bool one_by_one = true, once = true;
    for (int i = 0; i < 70; i++)
        once &= a[i].done == 1;
    for (int i = 1; i < 64; i++)
        one_by_one &= i == 5 || i == 6 || a[i].at_us > a[i - 1].at_us;
    ok(once, "each of 70 requests ends exactly once");
    ok(one_by_one, "a device serves one request after the other");
    is_int(a[5].rc, E_CANCELLED, "the cancelled one as cancelled");
    is_int(a[69].rc, E_LIMIT, "what its queue cannot hold is refused");
    ask(&m, p, "read", NULL, &a[0]);
    devices_close(m.devices);
    loop_run_deferred(m.loop);
    is_int(a[0].rc, E_CANCELLED, "closing ends what is on its way");
    twin_close(m.twin);
    host_close(&m.host);
    loop_free(m.loop);
}

int main(void) {
    answers();
    nodes();
    faults();
    streams();
    options();
    order();
    return tap_done();
}
