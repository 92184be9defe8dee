/* What the console asks of the house: lists that search, sort and page; the recent past of what flows; configuration of
 * capabilities. */
#include "tap.h"

#include "core/host.h"
#include "core/telemetry.h"
#include "estate/kinds.h"

static struct loop *loop;
static struct host host;

struct answer {
    struct call call;
    int rc;
};

static void answered(struct call *c, int rc) { ((struct answer *)c->transport_ctx)->rc = rc; }

/* Call a verb with words as a query string would give them. */
static struct doc *ask(struct answer *x, const char *on, const char *verb, const char *const *words) {
    memset(x, 0, sizeof *x);
    x->call.host = &host;
    x->call.who = (struct principal){.name = "test", .role = ROLE_ADMIN};
    x->call.answer = answered;
    x->call.transport_ctx = x;
    struct doc *body = doc_map(&x->call.arena);
    for (size_t i = 0; words && words[i]; i += 2)
        doc_put_str(&x->call.arena, body, words[i], words[i + 1]);
    call_start(&x->call, on, NULL, verb, body, "test");
    return x->rc ? NULL : call_output(&x->call);
}

/* Names of the items, with spaces between. */
static const char *names(const struct doc *reply) {
    static char out[512];
    *out = '\0';
    doc_each(d, doc_get(reply, "items")) {
        strcat(out, *out ? " " : "");
        strcat(out, doc_get_str(d, "name", "?"));
    }
    return out;
}

#define ASK(X, ON, VERB, ...) ask(X, ON, VERB, (const char *const[]){__VA_ARGS__, NULL})

static void test_list(void) {
    struct answer x;
    struct doc *d = ASK(&x, "tenant", "list", "limit", "2");
    is_str(names(d), "cobra adder", "a page in order of creation");
    is_str(doc_get_str(d, "next", ""), "adder", "its end is the next page's `after`");
    is_int(doc_get_int(d, "matched", -1), 4, "all four match");
    arena_free(&x.call.arena);
    d = ASK(&x, "tenant", "list", "limit", "2", "after", "adder");
    is_str(names(d), "boa dodo", "the next page");
    arena_free(&x.call.arena);
    d = ASK(&x, "tenant", "list", "sort", "name");
    is_str(names(d), "adder boa cobra dodo", "by name");
    arena_free(&x.call.arena);
    d = ASK(&x, "tenant", "list", "sort", "-quota_cores", "limit", "3");
    is_str(names(d), "boa cobra adder", "by a number, largest first, equal ones in order of creation");
    arena_free(&x.call.arena);
    d = ASK(&x, "tenant", "list", "sort", "-quota_cores", "limit", "2", "offset", "2");
    is_str(names(d), "adder dodo", "a sorted list is paged by offset");
    arena_free(&x.call.arena);
    d = ASK(&x, "tenant", "list", "sort", "-");
    is_str(names(d), "dodo boa adder cobra", "newest first");
    arena_free(&x.call.arena);
    d = ASK(&x, "tenant", "list", "q", "BO");
    is_str(names(d), "boa", "search in names, whatever the case");
    is_int(doc_get_int(d, "matched", -1), 1, "counts what was found");
    is_int(doc_get_int(d, "total", -1), 4, "and what there is");
    arena_free(&x.call.arena);
    d = ASK(&x, "tenant", "list", "q", "snake");
    is_str(names(d), "cobra", "search in titles");
    arena_free(&x.call.arena);
    d = ASK(&x, "tenant", "list", "quota_cores", "5", "limit", "1");
    is_str(names(d), "cobra", "a filter by value");
    is_int(doc_get_int(d, "matched", -1), 2, "counts beyond the page");
    arena_free(&x.call.arena);
    ok(!ASK(&x, "tenant", "list", "quota_core", "5"), "an unknown word is refused");
    is_str(x.call.err.hint, "did you mean 'quota_cores'?", "with a hint");
    arena_free(&x.call.arena);
    ok(!ASK(&x, "tenant", "list", "sort", "-titel"), "so is an unknown sort field");
    is_str(x.call.err.hint, "did you mean 'title'?", "with a hint");
    arena_free(&x.call.arena);
    ok(!ASK(&x, "tenant", "list", "limit", "5x"), "a limit that is no number is refused");
    arena_free(&x.call.arena);
    ok(!ASK(&x, "tenant", "list", "sort", "name", "after", "boa"), "after does not go with sort");
    arena_free(&x.call.arena);
}

static double last_value(const struct doc *reply) {
    const struct doc *s = doc_get(reply, "series");
    const struct doc *v = s && s->list.first ? doc_get(s->list.first, "values") : NULL;
    const struct doc *last = v ? v->list.last : NULL;
    return !last ? -1 : last->type == DOC_INT ? (double)last->integer : last->type == DOC_REAL ? last->real : -1;
}

static void test_telemetry(void) {
    struct answer x;
    struct estate *s = host.estate;
    oid boa = estate_find(s, "tenant", "boa");
    struct doc *d = ASK(&x, "telemetry", "show", "kind", "tenant", "field", "used_cores");
    ok(d && !doc_get(d, "series")->list.n, "nothing before the first sample");
    arena_free(&x.call.arena);
    telemetry_sample(host.telemetry);
    estate_observe(s, boa, tenant)->used_cores = 7;
    loop_warp(loop, loop_now_us(loop) + 5000000, 0);
    telemetry_sample(host.telemetry);
    d = ASK(&x, "telemetry", "show", "kind", "tenant", "field", "used_cores");
    is_int(doc_get(d, "times")->list.n, 2, "two points");
    is_int(doc_get(d, "series")->list.n, 4, "of four objects");
    arena_free(&x.call.arena);
    d = ASK(&x, "telemetry", "show", "object", "tenant/boa");
    is_near(last_value(d), 7, 0, "the newest value is the last");
    arena_free(&x.call.arena);
    telemetry_sample(host.telemetry);
    d = ASK(&x, "telemetry", "show", "object", "tenant/boa", "points", "1");
    is_int(doc_get(d, "times")->list.n, 1, "as many points as asked for");
    arena_free(&x.call.arena);
    for (int i = 0; i < 1000; i++) {
        loop_warp(loop, loop_now_us(loop) + 5000000, 0);
        telemetry_sample(host.telemetry);
    }
    d = ASK(&x, "telemetry", "show", "object", "tenant/boa");
    is_int(doc_get(d, "times")->list.n, 720, "the ring keeps an hour");
    arena_free(&x.call.arena);
    ok(!ASK(&x, "telemetry", "show", "kind", "tenant", "field", "used_core"), "an unknown field is refused");
    is_str(x.call.err.hint, "did you mean 'used_cores'?", "with a hint");
    arena_free(&x.call.arena);
    struct txn *t = estate_begin(s);
    uint64_t revision;
    ok(!txn_delete(t, boa, NULL) && !txn_commit(t, "test", "", &revision, NULL), "an object goes");
    loop_warp(loop, loop_now_us(loop) + 5000000, 0);
    telemetry_sample(host.telemetry);
    d = ASK(&x, "telemetry", "show", "kind", "tenant", "field", "used_cores");
    is_int(doc_get(d, "series")->list.n, 3, "and its past with it");
    arena_free(&x.call.arena);
}

static void test_conditions(void) {
    struct answer x;
    struct estate *s = host.estate;
    oid adder = estate_find(s, "tenant", "adder"), dodo = estate_find(s, "tenant", "dodo");
    is_int(doc_get_int(ASK(&x, "condition", "list", NULL), "matched", -1), 0, "no conditions");
    arena_free(&x.call.arena);
    estate_condition(s, dodo, "old", SEV_WARNING, "test", 100, "an older warning");
    estate_condition(s, adder, "new", SEV_WARNING, "test", 200, "a newer warning");
    estate_condition(s, dodo, "worst", SEV_CRITICAL, "test", 50, "the oldest, but critical");
    struct doc *d = ASK(&x, "condition", "list", "limit", "2");
    is_str(names(d), "worst new", "the worst first, then the newest");
    is_str(doc_get_str(doc_get(d, "items")->list.first, "object", ""), "tenant/dodo", "with its object");
    is_int(doc_get_int(d, "matched", -1), 3, "all are counted");
    arena_free(&x.call.arena);
}

struct knob {
    int64_t turns;
    double power_w;
};
static const struct field knob_fields[] = {
    FIELD_INT(struct knob, turns, .min = 1, .max = 9, .dflt = "3", .doc = "Turns."),
    FIELD_REAL(struct knob, power_w, .unit = "W", .min = 0, .max = 1e6, .dflt = "2 kW", .doc = "Power."),
};
static const struct table knob_table = TABLE(knob, knob_fields, "A knob.");
static const struct goal knob_goals[] = {{"knob-speed", 20, 5, "ms", "lower", "bench/run knob", "How fast."}};
static const struct cap cap_knob = {.goals = knob_goals, .ngoals = 1, .name = "knob", .title = "Knob", .title_zh = "旋钮", .family = "test", .config = &knob_table};
static const struct cap *const caps[] = {&cap_knob, NULL};

static int64_t turns(void) {
    struct arena a = ARENA_INIT;
    int64_t n = doc_get_int(host_cap_config(&host, 0, &a), "turns", -1);
    arena_free(&a);
    return n;
}

static void test_goals(void) {
    struct answer x;
    struct arena a = ARENA_INIT;
    struct doc *measured = NULL, *goal;
    static const char row[] = "{\"knob-speed\":{\"value\":12.5,\"date\":\"2026-01-02\",\"commit\":\"abc\"}}";
    goal = doc_get(doc_get(ASK(&x, "cap", "list", NULL), "items")->list.first, "goals")->list.first;
    ok(goal && !doc_get(goal, "measured"), "a goal nobody measured has no value");
    arena_free(&x.call.arena);
    ok(!json_parse(&a, "row", row, sizeof row - 1, NULL, &measured, NULL), "a row of the benches");
    host.measured = measured;
    goal = doc_get(doc_get(ASK(&x, "cap", "list", NULL), "items")->list.first, "goals")->list.first;
    is_near(doc_get_real(goal, "measured", 0), 12.5, 0, "what was measured stands beside the target");
    is_str(doc_get_str(goal, "measured_at", ""), "2026-01-02", "with its date");
    arena_free(&x.call.arena);
    arena_free(&a);
    host.measured = NULL;
}

static void test_config(void) {
    struct answer x;
    is_int(turns(), 3, "a default");
    ok(ASK(&x, "cap", "config", "cap", "knob", "turns", "7") != NULL, "is changed");
    arena_free(&x.call.arena);
    is_int(turns(), 7, "and holds");
    ok(!ASK(&x, "cap", "config", "cap", "knob", "power_w", "1 kW", "turns", "12"), "out of range is refused");
    is_str(x.call.err.hint, "from 1 to 9", "with the range");
    arena_free(&x.call.arena);
    is_int(turns(), 7, "and nothing of it is applied");
    ok(!ASK(&x, "cap", "config", "cap", "nob", "turns", "7"), "an unknown capability is refused");
    arena_free(&x.call.arena);
}

static void test_config_kept(const char *folder) {
    size_t n = 0;
    struct answer x;
    struct err e = {0};
    while (kinds_foundation[n])
        n++;
    ok(!host_open(&host, loop, kinds_foundation, n, caps, folder, 1, &e), "a host with a state folder");
    ok(ASK(&x, "cap", "config", "cap", "knob", "turns", "5") != NULL, "is configured");
    arena_free(&x.call.arena);
    host_close(&host);
    ok(!host_open(&host, loop, kinds_foundation, n, caps, folder, 1, &e), "started again");
    is_int(turns(), 5, "it is configured as before");
    host_close(&host);
}

int main(void) {
    static const struct {
        const char *name, *title;
        int64_t quota;
    } tenants[] = {{"cobra", "A Snake", 5}, {"adder", "", 5}, {"boa", "", 9}, {"dodo", "", 1}};
    struct err e = {0};
    uint64_t revision;
    loop = loop_new(LOOP_VIRTUAL, 1767225600000000);
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    ok(!host_open(&host, loop, kinds_foundation, n, caps, NULL, 1, &e), "a host");
    struct txn *t = estate_begin(host.estate);
    for (size_t i = 0; i < 4; i++) {
        struct tenant data = {.quota_cores = tenants[i].quota};
        oid id;
        strcpy(data.title, tenants[i].title);
        ok(!txn_insert(t, "tenant", tenants[i].name, 0, &data, &id, &e), tenants[i].name);
    }
    ok(!txn_commit(t, "test", "", &revision, &e), "with tenants");
    test_list();
    test_conditions();
    test_telemetry();
    test_goals();
    test_config();
    host_close(&host);
    char folder[] = "/tmp/suan-list-XXXXXX", command[64];
    ok(mkdtemp(folder) != NULL, "a folder");
    test_config_kept(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ok(system(command) == 0, "removed");
    loop_free(loop);
    return tap_done();
}
