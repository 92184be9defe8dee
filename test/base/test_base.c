/* The foundations: what everything above relies on, by example and by property. */
#include "../tap.h"

#include "base/civil.h"
#include "base/doc.h"
#include "base/field.h"
#include "base/fx.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/rng.h"

static void test_map(void) {
    struct map m = {.seed = {1, 2}};
    enum { N = 5000 };
    static char keys[N][16];
    struct rng r = rng_new(7);
    static bool in[N];
    bool good = true;
    size_t n = 0;
    for (int i = 0; i < N; i++)
        snprintf(keys[i], sizeof keys[i], "key%d", i);
    for (int step = 0; step < 60000; step++) {
        int i = (int)rng_below(&r, N);
        if (rng_below(&r, 3)) {
            bool is_new;
            map_put(&m, keys[i], &is_new)->value.num = (uint64_t)i;
            good &= is_new == !in[i];
            n += is_new;
            in[i] = true;
        } else {
            good &= map_del(&m, keys[i]) == in[i];
            n -= in[i];
            in[i] = false;
        }
    }
    for (int i = 0; i < N; i++) {
        struct map_entry *e = map_get(&m, keys[i]);
        good &= (e != NULL) == in[i] && (!e || e->value.num == (uint64_t)i);
    }
    ok(good && m.n == n, "map agrees with an array of flags over 60,000 random steps");
    map_free(&m);
}

/* -- heap -- */

enum { HEAP_NODES = 9000 };

static bool heap_before(const struct heap_node *x, const struct heap_node *y) {
    return x->at != y->at           ? x->at < y->at
         : x->priority != y->priority ? x->priority < y->priority
                                      : x->sequence < y->sequence;
}

static int heap_order(const void *x, const void *y) {
    const struct heap_node *a = *(struct heap_node *const *)x, *b = *(struct heap_node *const *)y;
    return heap_before(a, b) ? -1 : heap_before(b, a);
}

/* Each way of spreading times that could upset the tiers: what is drawn for the next node when the time is `now`. */
static int64_t heap_time(struct rng *r, int how, int64_t now) {
    switch (how) {
    case 0: return now + (int64_t)rng_below(r, 1000000);                                   /* timers */
    case 1: return 7;                                                                      /* all at once */
    case 2: return (int64_t)rng_below(r, 50);                                              /* many alike, also in the past */
    case 3: return INT64_MAX - (int64_t)rng_below(r, 3);                                   /* all at the end of time */
    case 4: return (int64_t)(rng_u64(r) >> (1 + rng_below(r, 63))) * (rng_below(r, 2) ? 1 : -1); /* every size, both signs */
    case 5: return now - (int64_t)rng_below(r, 1000);                                      /* the past */
    default: return rng_below(r, 100) ? now + (int64_t)rng_below(r, 100) : INT64_MIN + (int64_t)rng_below(r, 9);
    }
}

/* 60,000 random steps against a model: a set of nodes, sorted from time to time as far as the next pops reach. */
static bool heap_agrees(int how) {
    static struct heap_node nodes[HEAP_NODES];
    static struct heap_node *in[HEAP_NODES];
    struct heap h = {0};
    struct rng r = rng_new(11 + (uint64_t)how);
    size_t n = 0;
    int64_t now = 0;
    bool good = true, grows = true;
    memset(nodes, 0, sizeof nodes);
    for (int round = 0; round < 60 && good; round++) {
        if (n > HEAP_NODES * 3 / 4 || n < 100)
            grows = n < 100;
        for (int i = 0; i < 1000; i++) { /* pushes and removals from anywhere */
            struct heap_node *x = &nodes[rng_below(&r, HEAP_NODES)];
            if (x->index && (!grows || !rng_below(&r, 8))) {
                heap_remove(&h, x);
            } else if (!x->index) {
                x->at = heap_time(&r, how, now);
                x->priority = (int32_t)rng_below(&r, 3) - 1;
                heap_push(&h, x);
            }
        }
        n = 0;
        for (size_t i = 0; i < HEAP_NODES; i++)
            if (nodes[i].index)
                in[n++] = &nodes[i];
        good &= n == h.n && (n != 0) == (heap_min(&h) != NULL);
        qsort(in, n, sizeof in[0], heap_order);
        size_t pops = grows ? 100 : 600;
        for (size_t i = 0; i < pops && i < n; i++) {
            struct heap_node *x = heap_pop(&h);
            good &= x == in[i] && !x->index;
            now = x->at > now ? x->at / 2 + now / 2 : now;
        }
        n -= pops < n ? pops : n;
    }
    for (struct heap_node *last = NULL, *x; (x = heap_pop(&h)); last = x, n--)
        good &= !last || heap_before(last, x);
    good &= n == 0 && h.n == 0;
    heap_free(&h);
    return good;
}

static void test_heap(void) {
    static const char *const words[] = {"times ahead", "equal times", "few times", "the end of time", "times of every size",
                                        "the past", "two clusters"};
    for (int how = 0; how < 7; how++) {
        char name[120];
        snprintf(name, sizeof name, "heap pops by time, priority, insertion, as a sorted array does: %s", words[how]);
        ok(heap_agrees(how), name);
    }
}

static void test_fx(void) {
    struct rng r = rng_new(3);
    double worst_exp = 0, worst_log = 0, worst_pow = 0, worst_sin = 0;
    for (int i = 0; i < 200000; i++) {
        double x = (rng_unit(&r) - 0.5) * 1400, y = rng_unit(&r) * 1e6 + 1e-9, s = (rng_unit(&r) - 0.5) * 2e5;
        double b = rng_unit(&r) * 100 + 1e-3, p = (rng_unit(&r) - 0.5) * 40;
        double e1 = (double)fabsl((fx_exp(x) - expl(x)) / expl(x)) / 0x1p-52;
        double e2 = (double)fabsl((fx_log(y) - logl(y)) / logl(y)) / 0x1p-52;
        double e3 = (double)fabsl((fx_pow(b, p) - powl(b, p)) / powl(b, p)) / 0x1p-52;
        double e4 = fabs(fx_sin(s) - sin(s)) / 0x1p-52;
        worst_exp = e1 > worst_exp ? e1 : worst_exp;
        worst_log = e2 > worst_log ? e2 : worst_log;
        worst_pow = e3 / (1 + fabs(p)) > worst_pow ? e3 / (1 + fabs(p)) : worst_pow;
        worst_sin = e4 > worst_sin ? e4 : worst_sin;
    }
    printf("# worst error in ulp: exp %.2f log %.2f pow %.2f (1 + |y|) sin %.2f\n", worst_exp, worst_log, worst_pow, worst_sin);
    ok(worst_exp < 1.0 && worst_log < 1.0 && worst_pow < 1.0 && worst_sin < 1.0, "exp, log, pow, sin within their ulp");
    ok(fx_exp(1000) > 1e308 && fx_exp(-1000) == 0 && fx_log(0) < -1e308 && fx_pow(0, 2) == 0, "edges of exp, log, pow");
    double cancel[] = {1e16, 1, -1e16};
    ok(fx_sum(cancel, 3) == 1, "compensated sum keeps the one");
}

static const char *parse(const char *text, bool yaml, struct err *e) {
    static struct text out;
    struct arena a = ARENA_INIT;
    struct doc *d;
    text_reset(&out);
    int rc = (yaml ? yaml_parse : json_parse)(&a, "f", text, strlen(text), NULL, &d, e);
    if (rc)
        text_addf(&out, "%s %s: %s", err_name(e->code), e->place, e->message);
    else
        json_print(&out, d, 0);
    arena_free(&a);
    return text_str(&out);
}

static void test_doc(void) {
    static const struct {
        bool yaml;
        const char *in, *out;
    } cases[] = {
        {false, "{\"a\":[1,2.5,true,null,\"\\u00e9\\ud83d\\ude00\"]}", "{\"a\":[1,2.5,true,null,\"é😀\"]}"},
        {false, "{\"a\":1,\n \"a\":2}", "parse f:2:2: the key 'a' stands twice"},
        {false, "[1,]", "parse f:1:4: a value is wanted here"},
        {false, "[01]", "parse f:1:3: ',' or ']' is wanted here"},
        {false, "{\"a\"\n:\nnul}", "parse f:3:1: a value is wanted here"},
        {false, "\"\\ud800\"", "parse f:1:2: half of a surrogate pair"},
        {false, "[1] x", "parse f:1:5: something stands after the value"},
        {false, "1e999", "parse f:1:1: a number is too large"},
        {false, "\"abc", "parse f:1:1: the text has no end"},
        {false, "", "parse f:1:1: a value is wanted here, but the text ends"},
        {false, "-9223372036854775808", "-9223372036854775808"},
        {true, "a: {b: [x, no, 3, 2.5, 0x10, ~]}\nc: '3'", "{\"a\":{\"b\":[\"x\",\"no\",3,2.5,\"0x10\",null]},\"c\":\"3\"}"},
        {true, "base: &b {x: 1, y: 2}\nd: {<<: *b, y: 3}", "{\"base\":{\"x\":1,\"y\":2},\"d\":{\"y\":3,\"x\":1}}"},
        {true, "a: 1\nb:\n  c: 2\n  c: 3\n", "parse f:4:3: the key 'c' stands twice"},
        {true, "a: *nope", "parse f:1:4: no anchor 'nope'"},
        {true, "a: [1, 2", "parse f:2:1: while parsing a flow sequence, did not find expected ',' or ']'"},
        {true, "---\na: 1\n---\nb: 2\n", "parse f:3:1: a second document; one a file is wanted"},
        {true, "\x25\xf3", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err e = {0};
        const char *got = parse(cases[i].in, cases[i].yaml, &e);
        if (cases[i].out)
            is_str(got, cases[i].out, cases[i].yaml ? "yaml case" : "json case");
        else
            ok(e.code == E_PARSE, "bytes that hang other readers are refused");
    }
    struct text deep = TEXT_INIT, laugh = TEXT_INIT;
    for (int i = 0; i < 100000; i++)
        text_add_char(&deep, '[');
    struct err e = {0};
    parse(text_str(&deep), false, &e);
    ok(e.code == E_LIMIT, "100,000 levels are refused");
    parse(text_str(&deep), true, &e);
    ok(e.code == E_LIMIT || e.code == E_PARSE, "100,000 levels of YAML are refused");
    text_add(&laugh, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 12; i++)
        text_addf(&laugh, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1,
                  i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    parse(text_str(&laugh), true, &e);
    ok(e.code == E_LIMIT, "a billion laughs are refused");
    text_free(&deep);
    text_free(&laugh);
}

static struct doc *random_doc(struct arena *a, struct rng *r, int depth) {
    switch (rng_below(r, depth > 3 ? 5 : 7)) {
    case 0:
        return doc_null(a);
    case 1:
        return doc_bool(a, rng_below(r, 2));
    case 2:
        return doc_int(a, (int64_t)rng_u64(r) >> rng_below(r, 60));
    case 3:
        return doc_real(a, rng_normal(r) * fx_exp(rng_normal(r) * 20));
    case 4: {
        static const char *const pieces[] = {"a", "é", "no", ": ", "\n", "\"", "- ", "#", "0", "\\", "{", "~", "\t", " "};
        struct text t = TEXT_INIT;
        for (uint64_t n = rng_below(r, 6); n--;)
            text_add(&t, pieces[rng_below(r, 14)]);
        struct doc *d = doc_str(a, text_str(&t));
        text_free(&t);
        return d;
    }
    case 5: {
        struct doc *d = doc_seq(a);
        for (uint64_t n = rng_below(r, 5); n--;)
            doc_push(d, random_doc(a, r, depth + 1));
        return d;
    }
    default: {
        struct doc *d = doc_map(a);
        uint64_t n = rng_below(r, 24);
        for (uint64_t i = 0; i < n; i++)
            doc_put(d, arena_printf(a, "k%llu", (unsigned long long)i), random_doc(a, r, depth + 1));
        return d;
    }
    }
}

static void test_round_trip(void) {
    struct rng r = rng_new(5);
    bool json = true, yaml = true;
    for (int i = 0; i < 2000 && json && yaml; i++) {
        struct arena a = ARENA_INIT;
        struct doc *d = random_doc(&a, &r, 0), *back;
        struct text t = TEXT_INIT;
        json_print(&t, d, (int)rng_below(&r, 2) * 2);
        json = !json_parse(&a, "j", t.p, t.n, NULL, &back, NULL) && doc_equal(d, back);
        text_reset(&t);
        yaml_print(&t, d);
        struct err e = {0};
        yaml = !yaml_parse(&a, "y", t.p, t.n, NULL, &back, &e) && doc_equal(d, back);
        if (!yaml)
            printf("# case %d: %s %s\n%s\n", i, e.place, e.message, text_str(&t));
        text_free(&t);
        arena_free(&a);
    }
    ok(json, "2,000 random documents survive JSON");
    ok(yaml, "2,000 random documents survive YAML");
}

struct sample {
    bool on;
    int64_t count, idle_us, at_us;
    double power_w, share_ratio;
    char title[16];
    int mode;
    oid other;
    double curve_w[4];
    uint32_t n_curve_w;
    double seen_w;
};
static const char *const modes[] = {"off", "advise", "act", NULL};
static const struct field sample_fields[] = {
    FIELD_BOOL(struct sample, on, .dflt = "true", .doc = "Switch."),
    FIELD_INT(struct sample, count, .min = 0, .max = 100, .dflt = "3", .doc = "How many."),
    FIELD_SPAN(struct sample, idle_us, .dflt = "2s", .doc = "Idle."),
    FIELD_TIME(struct sample, at_us, .doc = "When."),
    FIELD_REAL(struct sample, power_w, .unit = "W", .min = 0, .max = 1e6, .doc = "Power."),
    FIELD_REAL(struct sample, share_ratio, .unit = "1", .doc = "Share."),
    FIELD_TEXT(struct sample, title, .flags = F_FINAL, .doc = "Title."),
    FIELD_ENUM(struct sample, mode, .words = modes, .doc = "Mode."),
    FIELD_REF(struct sample, other, .ref = "rack", .doc = "Other."),
    FIELD_ARRAY(struct sample, curve_w, FIELD_REAL, double, .unit = "W", .doc = "Curve."),
    FIELD_REAL(struct sample, seen_w, .unit = "W", .flags = F_STATE, .doc = "Seen."),
};
static const struct table sample_table = TABLE(sample, sample_fields, "A sample.");

static int resolve(void *ctx, const char *kind, const char *name, oid *out, struct err *e) {
    (void)ctx;
    if (strcmp(kind, "rack") || strcmp(name, "r1"))
        return err_set(e, E_NOTFOUND, "no %s '%s'", kind, name);
    *out = 77;
    return 0;
}
static const char *name_of(void *ctx, oid id) {
    (void)ctx;
    return id == 77 ? "r1" : NULL;
}

static void test_field(void) {
    static const struct field_env env = {resolve, name_of, NULL};
    static const struct {
        const char *yaml, *want;
    } cases[] = {
        {"power_w: 1.5 kW\nother: r1\nmode: act\ncurve_w: [10, 0.2 kW]\nidle_us: 1h30m\nshare_ratio: 35 %", NULL},
        {"powr_w: 3", "invalid f:1:9: 'powr_w' is not a field of sample | did you mean 'power_w'?"},
        {"power_w: 3 kWh", "invalid f:1:10: power_w = \"3 kWh\": '3 kWh' is of energy, a value of power in W is wanted | "},
        {"power_w: 3 MW", "invalid f:1:10: power_w: 3 MW is out of range | from 0 W to 1 MW"},
        {"on: true\ncount: 101", "invalid f:2:8: count: 101 is out of range | from 0 to 100"},
        {"count: 2.5", "invalid f:1:8: count = 2.5: '2.5' is not a whole number | "},
        {"mode: atc", "invalid f:1:7: mode = \"atc\": 'atc' is not one of its words | did you mean 'act'?"},
        {"other: r2", "not-found f:1:8: other = \"r2\": no rack 'r2' | "},
        {"title: 0123456789abcdefg", "limit f:1:8: title = \"0123456789abcdefg\": 17 bytes of text, the limit is 15 | "},
        {"curve_w: [1,2,3,4,5]", "limit f:1:10: curve_w = [1,2,3,4,5]: 5 values, the limit is 4 | "},
        {"curve_w: [1, x]", "invalid f:1:14: curve_w = \"x\": 'x' is not a number in W | "},
        {"seen_w: 3", "invalid f:1:9: seen_w is observed, not set | "},
        {"on: maybe", "invalid f:1:5: on = \"maybe\": 'maybe' is neither true nor false | "},
        {"at_us: 2026-02-30", "invalid f:1:8: at_us = \"2026-02-30\": '2026-02-30' is not a time such as 2026-11-24T16:00:00Z | "},
    };
    struct sample s = {0}, before;
    table_defaults(&sample_table, &s);
    ok(s.on && s.count == 3 && s.idle_us == 2000000, "defaults");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena a = ARENA_INIT;
        struct doc *d = NULL;
        struct err e = {0};
        before = s;
        yaml_parse(&a, "f", cases[i].yaml, strlen(cases[i].yaml), NULL, &d, &e);
        int rc = table_read(&sample_table, &s, d, "f", &env, TABLE_CREATE, &e);
        char got[900];
        snprintf(got, sizeof got, "%s %s: %s | %s", err_name(e.code), e.place, e.message, e.hint);
        if (cases[i].want) {
            is_str(got, cases[i].want, cases[i].yaml);
            ok(rc && !memcmp(&before, &s, sizeof s), "and nothing is half applied");
        } else {
            ok(!rc && s.power_w == 1500 && s.other == 77 && s.mode == 2 && s.n_curve_w == 2 && s.curve_w[1] == 200 &&
                   s.idle_us == 5400000000 && fabs(s.share_ratio - 0.35) < 1e-12,
               "units, references, words, arrays");
        }
        arena_free(&a);
    }
    struct arena a = ARENA_INIT;
    struct sample back = {0};
    ok(!table_read(&sample_table, &back, table_write(&sample_table, &s, &a, &env, 0), "f", &env, TABLE_RESTORE, NULL) &&
           table_hash(&sample_table, &back, 1) == table_hash(&sample_table, &s, 1),
       "written and read back: the same hash");
    back.power_w += 1;
    ok(table_hash(&sample_table, &back, 1) != table_hash(&sample_table, &s, 1), "the hash sees a change");
    struct text t = TEXT_INIT;
    json_print(&t, table_schema(&sample_table, &a), 0);
    ok(strstr(text_str(&t), "\"x-unit\":\"W\"") && strstr(text_str(&t), "\"enum\":[\"off\",\"advise\",\"act\"]"), "schema");
    text_free(&t);
    arena_free(&a);
}

static void test_civil(void) {
    int64_t us;
    char s[CIVIL_TEXT];
    ok(civil_parse("2024-02-29T23:59:59.25+08:00", &us) && us == 1709222399250000, "a leap day with an offset");
    civil_print(s, us);
    is_str(s, "2024-02-29T15:59:59.250000Z", "printed in UTC");
    ok(!civil_parse("2023-02-29", &us) && !civil_parse("2023-01-01T00:00", &us) && !civil_parse("x", &us), "refusals");
    bool good = true;
    for (int64_t t = -3000000000000000; t < 3000000000000000; t += 86399999977) {
        struct civil c = civil_from_us(t);
        good &= civil_to_us(&c) == t;
    }
    ok(good, "civil there and back over 190 years");
    span_print(s, 93784000000);
    is_str(s, "1d2h", "a span");
}

static void test_rng(void) {
    struct rng root = rng_new(42), a = rng_fork(&root, "disk/17/fail"), b = rng_fork(&root, "disk/17/fail");
    rng_u64(&root);
    struct rng c = rng_fork(&root, "disk/17/fail"), d = rng_fork(&root, "disk/18/fail");
    uint64_t x = rng_u64(&a);
    ok(x == rng_u64(&b) && x == rng_u64(&c) && x != rng_u64(&d), "forks depend on the name, not on draws");
    double sum = 0, sq = 0;
    for (int i = 0; i < 100000; i++) {
        double v = rng_normal(&a);
        sum += v;
        sq += v * v;
    }
    ok(fabs(sum / 1e5) < 0.02 && fabs(sq / 1e5 - 1) < 0.02, "normal: mean 0, variance 1");
    ok(crc32c(0, "123456789", 9) == 0xe3069283, "CRC32C check value");
}

int main(void) {
    test_map();
    test_heap();
    test_fx();
    test_doc();
    test_round_trip();
    test_field();
    test_civil();
    test_rng();
    return tap_done();
}
