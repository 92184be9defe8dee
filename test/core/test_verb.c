/* The dispatcher: one answer a call whatever happens, deadlines, cancelling, states, roles, audit without secrets, and what
 * it does while the store cannot be written, which the linker lets the test decide (meson.build). */
#include "tap.h"

#include "core/cycle.h"
#include "estate/kinds.h"

static const int64_t T0 = 1767225600000000, SECOND = 1000000;
static bool is_full;
int __real_store_commit(struct store *s, struct err *e);
int __wrap_store_commit(struct store *s, struct err *e);
int __wrap_store_commit(struct store *s, struct err *e) {
    if (!is_full)
        return __real_store_commit(s, e);
    store_rollback(s);
    return err_set(e, E_LIMIT, "the disk is full");
}

static struct loop *loop;
static struct host host;

/* -- verbs of the test -- */
struct word_in {
    char word[64];
    char password[64];
    int64_t number;
};
static const struct field word_fields[] = {
    FIELD_TEXT(struct word_in, word, .doc = "A word."),
    FIELD_TEXT(struct word_in, password, .flags = F_SECRET, .doc = "A secret."),
    FIELD_INT(struct word_in, number, .min = 0, .max = 10, .dflt = "3", .doc = "A number."),
};
static const struct table table_word = TABLE(word_in, word_fields, "Words.");

static struct call *waiting;
static int cancels, calls;
static bool ends_itself;
static int64_t number_seen;
static void on_cancel(struct call *c) {
    cancels++;
    if (ends_itself)
        call_done(c, E_CANCELLED);
}
static int verb_wait(struct call *c) {
    calls++;
    c->cancel = on_cancel;
    waiting = c;
    return CALL_LATER;
}
static int verb_now(struct call *c) {
    calls++;
    number_seen = c->in ? ((const struct word_in *)c->in)->number : -1;
    return 0;
}
static int verb_bad(struct call *c) {
    (void)c;
    return E_IO;
}
static int verb_done_at_once(struct call *c) {
    call_done(c, 0);
    call_done(c, E_IO);
    return CALL_LATER;
}
static const struct verb rows[] = {
    {"wait", "t", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 3000000, NULL, "d", NULL, verb_wait},
    {"wait-long", "t", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "d", NULL, verb_wait},
    {"change-later", "t", false, NULL, NULL, ROLE_OPERATOR, 0, 0, NULL, "d", NULL, verb_wait},
    {"twice", "t", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "d", NULL, verb_done_at_once},
    {"now", "t", false, &table_word, NULL, ROLE_OPERATOR, 0, 0, NULL, "d", NULL, verb_now},
    {"quiet", "t", false, &table_word, NULL, ROLE_OPERATOR, VERB_QUIET, 0, NULL, "d", NULL, verb_now},
    {"bad", "t", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "d", NULL, verb_bad},
    {"drain", "node", true, NULL, NULL, ROLE_OPERATOR, 0, 0, "up down", "d", NULL, verb_now},
};
static const struct cap cap_t = {.name = "t", .title = "T", .title_zh = "t", .family = "test", .verbs = rows, .nverbs = sizeof rows / sizeof rows[0]};
static const struct cap *const caps[] = {&cap_t, NULL};

/* -- calls of the test -- */
struct asked {
    struct call call;
    int answers, rc;
};
static void on_answer(struct call *c, int rc) {
    struct asked *a = c->transport_ctx;
    a->answers++;
    a->rc = rc;
}
static void ask_as(struct asked *a, enum role role, const char *on, const char *object, const char *verb, const char *json) {
    struct doc *body = NULL;
    struct err e;
    memset(a, 0, sizeof *a);
    a->call.host = &host;
    a->call.who = (struct principal){.name = "tester", .role = role};
    a->call.answer = on_answer;
    a->call.transport_ctx = a;
    if (json)
        json_parse(&a->call.arena, "body", json, strlen(json), NULL, &body, &e);
    call_start(&a->call, on, object, verb, body, "body");
}
static void ask(struct asked *a, const char *verb, const char *json) { ask_as(a, ROLE_ADMIN, "t", NULL, verb, json); }
static void let_go(struct asked *a) { arena_free(&a->call.arena); }
static void pass(int64_t us) { loop_run_until(loop, loop_now_us(loop) + us); }

/* -- the newest row of calls -- */
static char text[600], json[8192], by[64];
static int64_t sequence, rows_seen;
static int see(void *ctx, const struct journal_row *r) {
    (void)ctx;
    rows_seen++;
    sequence = r->sequence;
    str_copy(text, sizeof text, r->text);
    str_copy(json, sizeof json, r->json);
    str_copy(by, sizeof by, r->by);
    return 0;
}
static int64_t newest(const char *kind) {
    struct journal_query q = {.newest_first = true, .kind = kind, .limit = 1};
    host_cycle(&host);
    *text = *json = *by = '\0';
    sequence = 0;
    journal_read(host.store, &q, see, NULL, NULL);
    return sequence;
}

static void once(void) {
    struct asked a;
    ask(&a, "twice", NULL);
    is_int(a.answers, 1, "a verb that ends twice answers once");
    is_int(a.rc, 0, "with the first word");
    let_go(&a);
    ask(&a, "wait", NULL);
    is_int(a.answers, 0, "one that waits does not answer yet");
    call_done(waiting, 0);
    call_done(waiting, E_IO);
    pass(20 * SECOND);
    ok(a.answers == 1 && a.rc == 0, "when it ends, once, whatever comes after");
    let_go(&a);
    ask(&a, "bad", NULL);
    ok(a.answers == 1 && a.rc == E_IO && a.call.err.code == E_IO && *a.call.err.message, "an error without words gets some");
    let_go(&a);
    ask(&a, "nosuch", NULL);
    ok(a.answers == 1 && a.rc == E_NOTFOUND, "a verb that is not there: one answer");
    let_go(&a);
}

static void deadlines(void) {
    struct asked a;
    cancels = 0;
    ends_itself = false;
    ask(&a, "wait", NULL);
    pass(3 * SECOND - 1);
    is_int(a.answers, 0, "before its deadline nothing");
    pass(2);
    ok(a.answers == 1 && a.rc == E_TIMEOUT && cancels == 1, "at its deadline: timeout, and the verb is told");
    call_done(waiting, 0);
    is_int(a.answers, 1, "what comes later is not heard");
    is_int(problem_status(a.rc), 504, "as HTTP says it");
    let_go(&a);
    ends_itself = true;
    ask(&a, "wait", NULL);
    pass(4 * SECOND);
    ok(a.answers == 1 && a.rc == E_CANCELLED, "a verb that ends itself when told gives its own answer");
    let_go(&a);
    ends_itself = false;
    ask(&a, "wait-long", NULL);
    pass(10 * SECOND - 1);
    is_int(a.answers, 0, "without a word: ten seconds");
    pass(2);
    is_int(a.rc, E_TIMEOUT, "not more");
    let_go(&a);
}

static void durable(void) {
    struct asked a;
    ask(&a, "now", "{\"word\":\"x\"}");
    is_int(a.answers, 0, "a change is not answered before it is recorded");
    host_cycle(&host);
    ok(a.answers == 1 && a.rc == 0, "but then");
    let_go(&a);
    ask(&a, "change-later", NULL);
    call_done(waiting, 0);
    is_int(a.answers, 0, "nor one that waited");
    host_cycle(&host);
    is_int(a.answers, 1, "once");
    let_go(&a);
}

static void inputs(void) {
    struct asked a;
    calls = 0;
    ask(&a, "now", NULL);
    ok(calls == 1 && number_seen == 3, "no body: defaults");
    host_cycle(&host);
    let_go(&a);
    static const char *const wrong[] = {"{\"number\":11}", "{\"number\":\"x\"}", "{\"nosuch\":1}", "{\"word\":[1]}"};
    for (size_t i = 0; i < 4; i++) {
        ask(&a, "now", wrong[i]);
        ok(calls == 1 && a.answers == 1 && (a.rc == E_INVAL || a.rc == E_LIMIT || a.rc == E_PARSE), wrong[i]);
        let_go(&a);
    }
    ask(&a, "wait", "{\"x\":1}");
    ok(a.rc == E_INVAL && a.answers == 1, "a verb without fields takes none");
    let_go(&a);
    ask_as(&a, ROLE_ADMIN, "t", "thing", "wait", NULL);
    is_int(a.rc, E_INVAL, "nor an object");
    let_go(&a);
    ask_as(&a, ROLE_ADMIN, "node", NULL, "drain", NULL);
    is_int(a.rc, E_INVAL, "one that is about an object wants its name");
    let_go(&a);
}

static void states(void) {
    struct asked a;
    oid node = estate_find(host.estate, "node", "c-h-r-n");
    static const struct {
        enum node_state state;
        int rc;
    } tries[] = {{NODE_UP, 0}, {NODE_DOWN, 0}, {NODE_DRAINED, E_STATE}};
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        ((struct node *)estate_touch(host.estate, node))->state = (int)tries[i].state;
        calls = 0;
        ask_as(&a, ROLE_OPERATOR, "node", "c-h-r-n", "drain", NULL);
        host_cycle(&host);
        snprintf(name, sizeof name, "state %d: %s", (int)tries[i].state, tries[i].rc ? "refused" : "permitted");
        ok(a.rc == tries[i].rc && a.answers == 1 && calls == !tries[i].rc, name);
        ok(!a.rc || strstr(a.call.err.message, "drained"), "and says what it is");
        let_go(&a);
    }
    is_int(problem_status(E_STATE), 409, "as HTTP says it");
}

static void audits(void) {
    struct asked a;
    char big[6000];
    ask(&a, "now", "{\"word\":\"hello\",\"password\":\"s3cret\",\"number\":4}");
    newest("verb");
    ok(!strcmp(by, "tester") && !strcmp(text, "t now: done"), "who, what and the outcome");
    ok(strstr(json, "hello") && strstr(json, "4"), "with what was asked");
    ok(!strstr(json, "s3cret") && !strstr(text, "s3cret") && !strstr(json, "password"), "but no secret, nor its length");
    let_go(&a);
    int64_t at = sequence;
    ask_as(&a, ROLE_VIEWER, "t", NULL, "now", "{\"password\":\"s3cret\"}");
    ok(newest("verb") > at && !strcmp(text, "t now: denied") && a.rc == E_DENIED, "refused: too");
    let_go(&a);
    ask(&a, "now", "{\"password\":\"s3cret\",\"number\":99}");
    newest("verb");
    ok(strstr(text, "t now: ") && !strstr(json, "s3cret") && !strstr(a.call.err.message, "s3cret"), "nor in what could not be read");
    let_go(&a);
    ask(&a, "change-later", NULL);
    pass(11 * SECOND);
    newest("verb");
    is_str(text, "t change-later: timeout", "a deadline");
    let_go(&a);
    at = newest("verb");
    ask(&a, "quiet", "{\"word\":\"q\"}");
    let_go(&a);
    ask(&a, "bad", NULL);
    is_int(newest("verb"), at, "reading and what is too frequent are not");
    let_go(&a);
    int n = snprintf(big, sizeof big, "{\"name\":\"big\",\"x\":\"");
    memset(big + n, 'y', 5000);
    strcpy(big + n + 5000, "\"}");
    ask_as(&a, ROLE_OPERATOR, "tenant", NULL, "create", big);
    ok(newest("verb") > at && !*json && strstr(text, "tenant create"), "what is too long is left out, the call is not");
    let_go(&a);
    ask_as(&a, ROLE_OPERATOR, "tenant", "nosuch", "delete", NULL);
    newest("verb");
    is_str(text, "tenant delete tenant/nosuch: not-found", "what is not there: by the name that was asked for");
    let_go(&a);
}

/* -- the store cannot be written -- */
static double metric(const char *name) {
    struct text t = TEXT_INIT;
    double v = -1;
    char line[80];
    metrics_print(host.metrics, &t);
    snprintf(line, sizeof line, "\n%s ", name);
    const char *p = strstr(text_str(&t), line);
    if (p)
        v = strtod(p + strlen(line), NULL);
    text_free(&t);
    return v;
}
static void full(void) {
    struct asked a, b;
    ask(&a, "now", NULL);
    is_full = true;
    host_cycle(&host);
    ok(a.answers == 1 && a.rc == E_UNAVAIL && a.call.err.code == E_UNAVAIL, "a change that could not be recorded: its caller is told");
    let_go(&a);
    calls = 0;
    int wrong = 0, flood = PENDING_MAX + 500;
    for (int i = 0; i < flood; i++) {
        ask(&b, "now", NULL);
        wrong += b.answers != 1 || b.rc == 0;
        let_go(&b);
        if (i % 3000 == 0)
            host_cycle(&host);
    }
    ok(!wrong && calls == 0, "then changes are refused early, before they do anything");
    ask(&b, "bad", NULL);
    is_int(b.rc, E_IO, "reading goes on");
    let_go(&b);
    is_int(host.cycle->rows.n, PENDING_MAX, "what waits to be recorded has a limit");
    is_int((int64_t)metric("suan_journal_pending"), PENDING_MAX, "a metric shows it");
    double dropped = metric("suan_journal_dropped_total");
    ok(dropped >= 400 && dropped <= 600, "and what went over it is counted");
    is_full = false;
    pass(3 * SECOND);
    ok(store_ok(host.store, NULL) && host.cycle->rows.n == 0, "with room again all is written");
    newest("alarm");
    char want[80];
    snprintf(want, sizeof want, "%.0f rows could not be kept", dropped);
    ok(strstr(text, want), "and the journal says how much is missing");
    printf("#   %s\n", text);
    is_int((int64_t)metric("suan_journal_pending"), 0, "nothing waits");
    ask(&a, "now", NULL);
    host_cycle(&host);
    ok(a.answers == 1 && !a.rc && calls == 1, "changes are taken again");
    let_go(&a);
    int64_t n = 0;
    struct err e = {0};
    ok(!journal_verify(host.store, &n, &e) && n > PENDING_MAX, "the chain holds");
}

int main(void) {
    static const char estate[] = "model: [{name: m}]\ncentre: [{name: c, hall: [{name: h, rack: [{name: r, node: [{name: n, model: m}]}]}]}]";
    struct arena ar = ARENA_INIT;
    struct doc *d = NULL;
    struct err e = {0};
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    loop = loop_new(LOOP_VIRTUAL, T0);
    ok(!host_open(&host, loop, kinds_foundation, n, caps, NULL, 1, &e) && !host_start(&host, &e), "a host");
    yaml_parse(&ar, "test", estate, sizeof estate - 1, NULL, &d, &e);
    struct txn *t = estate_begin(host.estate);
    ok(!txn_import(t, d, "test", &e) && !txn_commit(t, "test", "", NULL, &e), "a node");
    once();
    deadlines();
    durable();
    inputs();
    states();
    audits();
    full();
    host_close(&host);
    arena_free(&ar);
    loop_free(loop);
    return tap_done();
}
