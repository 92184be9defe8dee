/* Every filter on the twin's pdu, each option with a check that fails when it is ignored; and stacks of them. */
#include <unistd.h>

#include "device/filter/filter.h"
#include "room.h"
#include "tap.h"

#define MS(n) ((int64_t)(n)*1000)
#define PLAIN "twin:loss_ratio=0,stuck_ratio=0"

static const struct device_class *const classes[] = {&class_pdu, &class_node, NULL};
static const struct backend_ops *const backends[] = {
    &backend_twin_pdu, &backend_twin_node, &filter_fault,  &filter_delay,   &filter_rate, &filter_retry,
    &filter_breaker,   &filter_record,     &filter_replay, &filter_dry_run, NULL};

static struct room m;
static oid p;

static void begin(const char *spec) {
    room_open(&m, LOOP_VIRTUAL, classes, backends, spec, "twin", 3);
    p = room_find(&m, "pdu/c-h-r01-p");
}
static void end(void) {
    room_close(&m);
}
static int64_t since(int64_t from) {
    return loop_now_us(m.loop) - from;
}
static bool outlet(int n) {
    struct world_pdu w;
    world_pdu(twin_look(m.twin), p, &w, NULL);
    return w.outlet_on[n - 1];
}
static int switch_off(int n, struct asked *a) {
    return ask_now(&m, p, "switch", &(struct pdu_switch){.outlet = n, .on = false}, a);
}

static void fault(void) {
    struct asked a;
    int failed = 0;
    begin("fault:rate_ratio=0.3|" PLAIN);
    for (int i = 0; i < 300; i++)
        failed += ask_now(&m, p, "read", NULL, &a) == E_UNAVAIL;
    ok(failed > 60 && failed < 120, "fault: rate_ratio 0.3 fails some three of ten");
    end();
    begin("fault:when=before,what=io,verb=switch|" PLAIN);
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "fault: another verb is not touched");
    is_int(switch_off(1, &a), E_IO, "fault: what=io");
    ok(outlet(1), "fault: when=before: the device was not asked");
    end();
    begin("fault:when=after|" PLAIN);
    is_int(switch_off(1, &a), E_UNAVAIL, "fault: the default is unavailable");
    ok(strstr(a.err.message, "injected"), "fault: and says that it was injected");
    ok(!outlet(1), "fault: when=after: the device had done it");
    end();
    begin("fault:what=silent|" PLAIN);
    int64_t from = loop_now_us(m.loop);
    is_int(ask_now(&m, p, "read", NULL, &a), E_TIMEOUT, "fault: what=silent ends at the deadline");
    is_int(since(from), 2000000, "fault: exactly there");
    end();
}

static void delay(void) {
    struct asked a, b[20];
    begin("delay:least_us=700ms|" PLAIN);
    int64_t from = loop_now_us(m.loop);
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "delay: answers");
    ok(since(from) >= MS(700) && since(from) < MS(1000), "delay: least_us later");
    end();
    begin("delay:least_us=0s,tail_us=200ms|" PLAIN);
    from = loop_now_us(m.loop);
    bool kept = true;
    for (int i = 0; i < 20; i++)
        ask_within(&m, p, "switch", &(struct pdu_switch){.outlet = 1, .on = i % 2}, MS(60000), &b[i]);
    for (int i = 0; i < 20; i++)
        kept &= !await(&m, &b[i]) && (!i || b[i].at_us >= b[i - 1].at_us);
    ok(kept, "delay: the order of requests is kept");
    ok(since(from) > MS(300), "delay: tail_us comes on top");
    end();
    begin("delay:least_us=3s|" PLAIN);
    is_int(ask_now(&m, p, "read", NULL, &a), E_TIMEOUT, "delay: the asker's deadline stays");
    end();
}

static void rate(void) {
    struct asked a[12];
    begin("rate:rate_hz=2,burst=3,queue_max=6|" PLAIN);
    int64_t from = loop_now_us(m.loop);
    for (int i = 0; i < 12; i++)
        ask_within(&m, p, "read", NULL, MS(60000), &a[i]);
    int good = 0, refused = 0;
    for (int i = 0; i < 12; i++) {
        await(&m, &a[i]);
        good += a[i].rc == 0;
        refused += a[i].rc == E_LIMIT;
    }
    ok(good == 9 && refused == 3, "rate: burst and queue are taken, the rest refused");
    ok(a[2].at_us - from < MS(300) && a[3].at_us - from > MS(450),
       "rate: the burst goes at once, the next half a second on");
    ok(a[8].at_us - from > MS(2900) && a[8].at_us - from < MS(3300), "rate: two a second");
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(10000));
    from = loop_now_us(m.loop);
    ask_now(&m, p, "read", NULL, &a[0]);
    ok(since(from) < MS(300), "rate: after a rest there is a burst again");
    end();
}

static void retry(void) {
    struct asked a;
    int good = 0;
    begin("retry:n=5,wait_us=10ms|fault:rate_ratio=0.5|" PLAIN);
    for (int i = 0; i < 100; i++)
        good += ask_now(&m, p, "read", NULL, &a) == 0;
    ok(good >= 90 && good < 100, "retry: five tries at one half succeed 31 of 32 times");
    end();
    begin("retry:n=3,wait_us=100ms|fault:rate_ratio=1|" PLAIN);
    int64_t from = loop_now_us(m.loop);
    is_int(ask_now(&m, p, "read", NULL, &a), E_UNAVAIL, "retry: gives up");
    is_int(since(from), MS(300), "retry: after 100 and 200 ms");
    ok(strstr(a.err.message, "3 tries"), "retry: and says after how many tries");
    end();
    begin("retry:n=4,wait_us=10ms,try_us=300ms|fault:what=silent,rate_ratio=0.5|" PLAIN);
    good = 0;
    for (int i = 0; i < 50; i++)
        good += ask_now(&m, p, "read", NULL, &a) == 0;
    ok(good > 40, "retry: try_us repeats what is silent");
    end();
    begin("retry:n=9|" PLAIN);
    from = loop_now_us(m.loop);
    is_int(switch_off(25, &a), E_INVAL, "retry: a refusal is an answer");
    ok(since(from) < MS(200), "retry: and not repeated");
    end();
    begin("retry:n=9|" PLAIN ",latency_us=10s");
    ask(&m, p, "read", NULL, &a);
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(500));
    device_cancel(&a.r);
    is_int(await(&m, &a), E_CANCELLED, "retry: a cancel goes through");
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(20000));
    is_int(a.done, 1, "retry: once");
    end();
}

static void breaker(void) {
    struct asked a;
    begin("breaker:failures=3,open_us=20s|fault:what=silent|" PLAIN);
    for (int i = 0; i < 3; i++)
        is_int(ask_now(&m, p, "read", NULL, &a), E_TIMEOUT, "breaker: failures pass");
    int64_t from = loop_now_us(m.loop);
    is_int(ask_now(&m, p, "read", NULL, &a), E_UNAVAIL, "breaker: the fourth is refused");
    is_int(since(from), 0, "breaker: at once");
    ok(strstr(a.err.message, "3 failures") && strstr(a.err.hint, "s"), "breaker: with the reason and the time left");
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(19000));
    is_int(ask_now(&m, p, "read", NULL, &a), E_UNAVAIL, "breaker: open_us holds");
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(1100));
    struct asked b;
    ask(&m, p, "read", NULL, &a);
    is_int(ask_now(&m, p, "read", NULL, &b), E_UNAVAIL, "breaker: one tries, the others wait for its luck");
    is_int(await(&m, &a), E_TIMEOUT, "breaker: the try goes through to the device");
    is_int(ask_now(&m, p, "read", NULL, &a), E_UNAVAIL, "breaker: its failure opens again");
    end();
    begin("breaker:failures=2,open_us=1s|" PLAIN);
    world_poke(twin_world(m.twin), "cut rack/c-h-r01", NULL);
    ask_now(&m, p, "read", NULL, &a);
    ask_now(&m, p, "read", NULL, &a);
    is_int(ask_now(&m, p, "read", NULL, &a), E_UNAVAIL, "breaker: open");
    world_poke(twin_world(m.twin), "feed rack/c-h-r01", NULL);
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(1100));
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "breaker: a success");
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "breaker: closes it");
    for (int i = 0; i < 5; i++)
        switch_off(25, &a);
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "breaker: refusals do not count");
    end();
}

static void dry_run(void) {
    struct asked a;
    begin("dry_run|" PLAIN);
    is_int(switch_off(1, &a), 0, "dry_run: acknowledges");
    ok(outlet(1), "dry_run: and does not switch");
    is_int(switch_off(49, &a), E_INVAL, "dry_run: the class's checks stay");
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "dry_run: reads pass");
    is_int(a.out.pdu.n_outlet_on, 24, "dry_run: with the answer");
    end();
    begin("dry_run:x=1|" PLAIN);
    is_int(ask_now(&m, p, "read", NULL, &a), E_INVAL, "dry_run: takes no options");
    end();
}

static void broken_recordings(const char *file) {
    char spec[BACKEND_TEXT];
    struct asked a;
    snprintf(spec, sizeof spec, "record:size_max_bytes=1,file=%s|" PLAIN, file);
    begin(spec);
    FILE *f = fopen(file, "r");
    fseek(f, 0, SEEK_END);
    long before = ftell(f);
    is_int(ask_now(&m, p, "read", NULL, &a), 0, "record: a full file does not stop the device");
    fseek(f, 0, SEEK_END);
    is_int(ftell(f), before, "record: nothing is written beyond size_max_bytes");
    const struct condition *full;
    ok(estate_conditions(m.host.estate, p, &full) == 1 && !strcmp(full->name, "recording-full"),
       "record: and it is told");
    fclose(f);
    end();
    f = fopen(file, "a");
    fputs("{\"object\": nonsense}\n", f);
    fclose(f);
    snprintf(spec, sizeof spec, "replay:file=%s|" PLAIN, file);
    begin(spec);
    is_int(ask_now(&m, p, "read", NULL, &a), E_PARSE, "replay: a broken recording is refused");
    ok(strstr(a.err.message, "line 7"), "replay: with the line");
    end();
    begin("replay:file=/nonexistent|" PLAIN);
    is_int(ask_now(&m, p, "read", NULL, &a), E_NOTFOUND, "replay: so is one that is not there");
    end();
    begin("record|" PLAIN);
    is_int(ask_now(&m, p, "read", NULL, &a), E_INVAL, "record: file is required");
    end();
}

static void recording(void) {
    char folder[] = "/tmp/suan-filter-XXXXXX", spec[BACKEND_TEXT], file[64];
    struct asked a;
    double power[3];
    int64_t took;
    if (!mkdtemp(folder))
        abort();
    snprintf(file, sizeof file, "%s/r.jsonl", folder);
    snprintf(spec, sizeof spec, "record:file=%s|" PLAIN, file);
    begin(spec);
    for (int i = 0; i < 3; i++) {
        ask_now(&m, p, "read", NULL, &a);
        power[i] = a.out.pdu.power_w;
        loop_run_until(m.loop, loop_now_us(m.loop) + MS(300000));
    }
    int64_t from = loop_now_us(m.loop);
    switch_off(7, &a);
    took = since(from);
    switch_off(25, &a);
    ask_now(&m, room_find(&m, "pdu/c-h-r02-p"), "read", NULL, &a);
    end();
    snprintf(spec, sizeof spec, "replay:file=%s|" PLAIN, file);
    begin(spec);
    bool same = true;
    for (int i = 0; i < 3; i++)
        same &= !ask_now(&m, p, "read", NULL, &a) && a.out.pdu.power_w == power[i] && a.out.pdu.n_outlet_on == 24;
    ok(same, "replay: three reads are answered as they were recorded, in order");
    is_int(ask_now(&m, p, "read", NULL, &a), E_NOTFOUND, "replay: a fourth was never recorded");
    is_int(switch_off(8, &a), E_NOTFOUND, "replay: nor was another outlet");
    from = loop_now_us(m.loop);
    is_int(switch_off(7, &a), 0, "replay: the recorded one is acknowledged");
    is_int(since(from), took, "replay: as late as it was then");
    ok(outlet(7), "replay: and the device is not asked");
    is_int(switch_off(25, &a), E_INVAL, "replay: a recorded refusal is a refusal");
    ok(strstr(a.err.message, "1 to 24"), "replay: with its words");
    end();
    snprintf(spec, sizeof spec, "replay:wrap=true,file=%s|" PLAIN, file);
    begin(spec);
    for (int i = 0; i < 4; i++)
        ask_now(&m, p, "read", NULL, &a);
    is_near(a.out.pdu.power_w, power[0], 0, "replay: wrap begins again");
    end();
    broken_recordings(file);
    unlink(file);
    rmdir(folder);
}

/* Filters come and go while requests are on their way. */
static void at_run_time(void) {
    struct asked a, b;
    struct err e = {0};
    begin(PLAIN ",latency_us=1s");
    ask(&m, p, "read", NULL, &a);
    is_int(device_filter(m.devices, p, "fault", &e), 0, "a filter is stacked at run time");
    is_int(ask_now(&m, p, "read", NULL, &b), E_UNAVAIL, "the next request meets it");
    is_int(await(&m, &a), 0, "the one on its way does not");
    is_int(device_unfilter(m.devices, p, "delay", &e), E_NOTFOUND, "only what is there can go");
    is_int(device_unfilter(m.devices, p, "fault", &e), 0, "it is taken away");
    is_int(ask_now(&m, p, "read", NULL, &b), 0, "and requests pass again");
    device_filter(m.devices, p, "delay:least_us=500ms", &e);
    ask(&m, p, "read", NULL, &a);
    ask(&m, p, "read", NULL, &b);
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(600));
    device_unfilter(m.devices, p, "delay", &e);
    is_int(await(&m, &a), E_CANCELLED, "what is inside a filter that goes ends as cancelled");
    is_int(a.done + (await(&m, &b), b.done), 2, "each once");
    is_int(device_filter(m.devices, p, "falt", &e), E_NOTFOUND, "an unknown filter is refused");
    ok(strstr(e.hint, "fault"), "with a hint");
    for (int i = 0; i < 7; i++)
        device_filter(m.devices, p, "delay:least_us=1ms", &e);
    is_int(device_filter(m.devices, p, "delay:least_us=1ms", &e), E_LIMIT, "eight layers are the most");
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(5000));
    is_int(ask_now(&m, p, "read", NULL, &b), 0, "and all of them work");
    end();
}

/* Random requests, cancels and deadlines through a deep stack: every request ends exactly once. */
static void property(uint64_t seed) {
    enum { N = 400 };
    static struct asked a[N];
    static struct pdu_switch in[N];
    struct rng r = rng_new(seed);
    int once = 0;
    begin("breaker:open_us=2s|retry:try_us=400ms|rate:rate_hz=50,burst=5,queue_max=30|"
          "delay:tail_us=50ms|twin:loss_ratio=0.1");
    device_filter(m.devices, p, "fault:rate_ratio=0.1,when=after,what=silent", NULL);
    for (int i = 0; i < N; i++) {
        in[i] = (struct pdu_switch){.outlet = (int64_t)rng_below(&r, 26), .on = rng_below(&r, 2)};
        ask_within(&m, p, rng_below(&r, 2) ? "read" : "switch", &in[i], 1 + (int64_t)rng_below(&r, 3000000), &a[i]);
        if (rng_below(&r, 4) == 0)
            device_cancel(&a[rng_below(&r, (uint64_t)i + 1)].r);
        loop_run_until(m.loop, loop_now_us(m.loop) + (int64_t)rng_below(&r, 60000));
    }
    bool closing = rng_below(&r, 2);
    if (!closing)
        loop_run_until(m.loop, loop_now_us(m.loop) + MS(10000));
    devices_close(m.devices);
    loop_run_deferred(m.loop);
    for (int i = 0; i < N; i++)
        once += a[i].done == 1;
    m.devices = NULL;
    end();
    if (!ok(once == N, "property: each of 400 requests through six layers ends exactly once"))
        printf("#   %d did; reproduce: test_filter %llu\n", once, (unsigned long long)seed);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        property(strtoull(argv[1], NULL, 10));
        return tap_done();
    }
    fault();
    delay();
    rate();
    retry();
    breaker();
    dry_run();
    recording();
    at_run_time();
    for (uint64_t seed = 1; seed <= 10; seed++)
        property(seed);
    return tap_done();
}
