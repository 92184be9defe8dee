/* Job documents: what they build, and that every wrong one is refused with its place, its value and a hint. */
#include "cap/placement/placement.h"
#include "tap.h"

static struct host host;
static struct placement placement = {.host = &host};

static void open_host(void) {
    struct err e = {0};
    size_t kinds = 0;
    while (kinds_foundation[kinds])
        kinds++;
    host.estate = estate_new(kinds_foundation, kinds);
    host.loop = loop_new(LOOP_VIRTUAL, 1767225600000000);
    struct txn *t = estate_begin(host.estate);
    uint64_t revision;
    oid id;
    txn_create(t, "tenant", "met", 0, NULL, "test", &id, &e);
    ok(!txn_commit(t, "test", "test", &revision, &e), "the test's tenant is there");
}

/* Builds and commits; the job's id, or 0 with `e`. `left` = objects that a refusal left behind. */
static oid build(const char *text, struct err *e, size_t *left) {
    struct arena a = ARENA_INIT;
    struct doc *d;
    oid job = 0;
    uint64_t revision;
    size_t before = estate_count(host.estate, NULL);
    *e = (struct err){0};
    int rc = yaml_parse(&a, "j.yaml", text, strlen(text), NULL, &d, e);
    struct txn *t = estate_begin(host.estate);
    rc = rc ? rc : job_build(&placement, t, d, "j.yaml", "me", &job, e);
    rc = rc ? rc : txn_check(t, e);
    if (rc)
        txn_abort(t);
    else
        rc = txn_commit(t, "me", "test", &revision, e);
    *left = rc ? estate_count(host.estate, NULL) - before : 0;
    arena_free(&a);
    return rc ? 0 : job;
}

static oid shipped(const char *name) {
    char path[512];
    static char text[65536];
    struct err e;
    size_t left;
    snprintf(path, sizeof path, SUAN_SOURCE "/share/jobs/%s.yaml", name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    /* Their tenants are in the estates; here one stands for all. */
    for (char *p; (p = strstr(text, "tenant: ")) && strncmp(p + 8, "met\n", 4);) {
        char *end = strchr(p, '\n');
        memmove(p + 11, end, strlen(end) + 1);
        memcpy(p + 8, "met", 3);
    }
    oid job = build(text, &e, &left);
    if (!ok(job != 0, name))
        printf("#   %s: %s\n", e.place, e.message);
    return job;
}

static const struct task *task(const char *name) {
    oid id = estate_find(host.estate, "task", name);
    return id ? estate_get(host.estate, id, task) : NULL;
}

static void shipped_jobs(void) {
    oid weather = shipped("weather");
    is_int(estate_get(host.estate, weather, job)->tasks, 113, "weather: 108 maps, 3 reduces, a report, a comparison");
    const struct task *map = task("weather-map-shanghai-2014-07"), *reduce = task("weather-reduce-shanghai");
    is_str(map ? map->argv[2] : NULL, "2014-07", "weather: a map is told its month");
    is_int(reduce ? reduce->n_inputs : 0, 36, "weather: a reduce gets the 36 maps of its city");
    is_str(reduce ? reduce->inputs[35].name : NULL, "map-shanghai-2015-12.part", "weather: under their own names");
    is_int(reduce ? reduce->n_after : 0, 36, "weather: and waits for them");
    is_int(task("weather-report") ? task("weather-report")->n_inputs : 0, 3, "weather: the report gets three");
    is_int(estate_get(host.estate, shipped("forecast"), job)->type, JOB_TRAIN, "forecast: is a training");
    ok(task("forecast-train") && task("forecast-train")->checkpoints, "forecast: keeps checkpoints");
    oid wetbulb = shipped("wetbulb");
    is_int(estate_get(host.estate, wetbulb, job)->invocations_target, 2000, "wetbulb: ends after 2,000 invocations");
    ok(estate_find(host.estate, "function", "wetbulb") != 0, "wetbulb: makes a function");
    shipped("hello");
    ok(task("hello-greet") && strstr(task("hello-greet")->argv[2], "{\"greeting\":\"hello\"}"), "hello: JSON braces stay text");
    shipped("hello");
    ok(task("hello-2-greet") != NULL, "a second job of a name gets a suffix");
}

static void loops(void) {
    struct err e;
    size_t left;
    oid job = build("job: loops\ntasks:\n  - name: a-{x}-{y}\n    for: {x: 08..11, y: [p, 2, true]}\n    argv: [run, \"{x}\", \"{y}\", \"$X {Y} {}\"]\n"
                    "  - name: b\n    argv: [run]\n    after: [a-1*-p]\n", &e, &left);
    is_int(job ? estate_get(host.estate, job, job)->tasks : 0, 13, "two loops multiply");
    ok(task("loops-a-08-p") && task("loops-a-11-true"), "a range keeps its width, values may be numbers or words");
    is_str(task("loops-a-09-2") ? task("loops-a-09-2")->argv[3] : NULL, "$X {Y} {}", "other braces are left alone");
    is_int(task("loops-b") ? task("loops-b")->n_after : 0, 2, "`after` takes a glob");
    is_int(estate_get(host.estate, job, job)->submitted_us, 1767225600000000, "the time of submission is the loop's");
}

#define A "job: x\ntasks:\n  - name: a\n    argv: [run]\n    outputs: [f]\n"
static const struct bad {
    const char *text, *place, *says, *hint;
} bads[] = {
    {"[1]", "j.yaml:1:1", "a map with `job: NAME` is wanted, not a 'list'", NULL},
    {"tasks: []", "j.yaml:1:1", "without it", NULL},
    {"job: 7\ntasks: []", "j.yaml:1:6", "integer", NULL},
    {"job: Hello World\ntasks: []", "j.yaml:1:6", "Hello World", NULL},
    {"job: aaaaaaaaaabbbbbbbbbbccccccccccdd\ntasks: []", "j.yaml:1:6", "at most 31 bytes", NULL},
    {"job: x\ntype: bach\ntasks: []", "j.yaml:2:7", "bach", "batch"},
    {"job: x\ntenant: mat\ntasks: []", "j.yaml:2:9", "mat", "met"},
    {"job: x\npriority: 1000\ntasks: []", "j.yaml:2:11", "priority", "100"},
    {"job: x\npriorty: 1\ntasks: []", "j.yaml:2:10", "priorty", "priority"},
    {"job: x\nstate: done\ntasks: []", "j.yaml:2:8", "observed, not set", NULL},
    {"job: x\npolicy: cheepest\ntasks: []", "j.yaml:2:9", "cheepest", "cheapest"},
    {"job: x", "j.yaml", "a list `tasks`", NULL},
    {"job: x\ntasks: {}", "j.yaml:2:8", "a list `tasks`", NULL},
    {"job: x\ntasks: []", "j.yaml:2:8", "a list `tasks`", NULL},
    {"job: x\ntasks:\n  - 7", "j.yaml:3:5", "name", NULL},
    {"job: x\ntasks:\n  - argv: [run]", "j.yaml:3:5", "name", NULL},
    {"job: x\ntasks:\n  - name: a", "j.yaml:3:5", "no argv in task 'a'", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    cors: 2", "j.yaml:5:11", "cors", "cores"},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    cores: 0", "j.yaml:5:12", "cores", "1"},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    cores: many", "j.yaml:5:12", "many", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    memory_bytes: 3 kW", "j.yaml:5:19", "3 kW", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: {a: b}", "j.yaml:4:11", "list", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", "j.yaml:4:11", "17 values, the limit is 16", NULL},
    {"job: x\ntasks:\n  - name: A b\n    argv: [run]", "j.yaml:3:11", "A b", NULL},
    {"job: x\ntasks:\n  - name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgg\n    argv: [run]", "j.yaml:3:11", "at most 63", NULL},
    {A "  - name: a\n    argv: [run]", "j.yaml:6:11", "two tasks are called 'a'", NULL},
    {"job: x\ntasks:\n  - name: a-{citi}\n    for: {city: [b]}\n    argv: [run]", "j.yaml:3:11", "'citi'", "{city}"},
    {"job: x\ntasks:\n  - name: a\n    argv: [run, \"{city}\"]", "j.yaml:4:17", "'city'", "for"},
    {"job: x\ntasks:\n  - name: a\n    for: [b]\n    argv: [run]", "j.yaml:4:10", "`for` is a map", NULL},
    {"job: x\ntasks:\n  - name: a\n    for: {a: [1], b: [1], c: [1], d: [1], e: [1]}\n    argv: [run]", "j.yaml:4:10", "at most 4", NULL},
    {"job: x\ntasks:\n  - name: a\n    for: {c: []}\n    argv: [run]", "j.yaml:4:14", "no value", NULL},
    {"job: x\ntasks:\n  - name: a\n    for: {c: [[1]]}\n    argv: [run]", "j.yaml:4:15", "plain values", NULL},
    {"job: x\ntasks:\n  - name: a\n    for: {c: 3..1}\n    argv: [run]", "j.yaml:4:14", "range", NULL},
    {"job: x\ntasks:\n  - name: a\n    for: {c: 1..2x}\n    argv: [run]", "j.yaml:4:14", "range", NULL},
    {"job: x\ntasks:\n  - name: a\n    for: {c: -1..2}\n    argv: [run]", "j.yaml:4:14", "range", NULL},
    {"job: x\ntasks:\n  - name: a-{c}\n    for: {c: 1..513}\n    argv: [run]", "j.yaml:4:14", "512", NULL},
    {"job: x\ntasks:\n  - name: a-{c}-{d}\n    for: {c: 1..512, d: 1..9}\n    argv: [run]", "j.yaml:3:5", "4,096", NULL},
    {"job: x\ntasks:\n  - name: a\n    for: {c: [1, 2]}\n    argv: [run]", "j.yaml:3:11", "two tasks are called", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    outputs: f", "j.yaml:5:14", "list of file names", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    outputs: [../f]", "j.yaml:5:15", "plain file name", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    outputs: [.f]", "j.yaml:5:15", "plain file name", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    outputs: [f, f]", "j.yaml:5:18", "twice", NULL},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    outputs: [a, b, c, d, e, f, g, h, i]", "j.yaml:5:39", "more than 8", NULL},
    {A "  - name: b\n    argv: [run]\n    inputs: a/f", "j.yaml:8:13", "list of task/file", NULL},
    {A "  - name: b\n    argv: [run]\n    inputs: [a]", "j.yaml:8:14", "task/file", NULL},
    {A "  - name: b\n    argv: [run]\n    inputs: [{}]", "j.yaml:8:14", "map", NULL},
    {A "  - name: b\n    argv: [run]\n    inputs: [a/g]", "j.yaml:8:14", "'a/g'", "outputs"},
    {A "  - name: b\n    argv: [run]\n    inputs: [c/f]", "j.yaml:8:14", "'c/f'", "outputs"},
    {"job: x\ntasks:\n  - name: prepare\n    argv: [run]\n    outputs: [f]\n  - name: b\n    argv: [run]\n    inputs: [prepar/f]",
     "j.yaml:8:14", "'prepar/f'", "prepare"},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    outputs: [f]\n    inputs: [b/f]\n  - name: b\n    argv: [run]\n    outputs: [f]\n    inputs: [a/f]",
     "j.yaml:6:14", "'b/f'", "not above"},
    {"job: x\ntasks:\n  - name: a\n    argv: [run]\n    after: [a]", "j.yaml:5:13", "'a'", "not above"},
    {A "  - name: b\n    argv: [run]\n    after: a", "j.yaml:8:12", "list of task names", NULL},
    {A "  - name: b\n    argv: [run]\n    after: [{}]", "j.yaml:8:13", "map", NULL},
    {"job: x\ntasks:\n  - name: a-{i}\n    for: {i: 1..65}\n    argv: [run]\n    outputs: [f]\n  - name: b\n    argv: [run]\n    inputs: [a-*/f]",
     "j.yaml:9:14", "more than 64 inputs", NULL},
    {"job: x\ntasks:\n  - name: a-{i}\n    for: {i: 1..65}\n    argv: [run]\n  - name: b\n    argv: [run]\n    after: [a-*]",
     "j.yaml:8:13", "at most 64 others", NULL},
    {"job: x\ntype: function", "j.yaml:1:1", "a map `function`", NULL},
    {"job: x\ntype: function\nfunction: {}", "j.yaml:3:11", "no argv", NULL},
    {"job: x\ntype: function\nfunction: {argv: [f], instances: 3}", "j.yaml:3:34", "observed", NULL},
    {"job: x\ntype: function\nfunction: {argv: [f], idle: 3}", "j.yaml:3:29", "idle", NULL},
    {A "function: {argv: [f]}", "j.yaml:6:11", "type: function", NULL},
};

static void refusals(void) {
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        const struct bad *b = &bads[i];
        struct err e;
        size_t left;
        char name[160];
        oid job = build(b->text, &e, &left);
        bool says = !job && !left && !strcmp(e.place, b->place) && strstr(e.message, b->says) &&
                    (!b->hint || strstr(e.hint, b->hint));
        snprintf(name, sizeof name, "refused at %s: %s", b->place, b->says);
        if (!ok(says, name))
            printf("#   %s: %s; hint: %s; objects left: %zu\n", e.place, e.message, e.hint, left);
    }
}

int main(void) {
    open_host();
    shipped_jobs();
    loops();
    refusals();
    loop_free(host.loop);
    estate_free(host.estate);
    return tap_done();
}
