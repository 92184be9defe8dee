/* Requests as HTTP and link hand them on: the first line is "on name verb" (name - for none), the rest the body, JSON or
 * YAML text. Everything runs dry: whatever is asked, with whatever body, the estate stays as it was. */
#include "app/house.h"
#include "fuzz.h"

int fuzz_verb(const uint8_t *p, size_t n);

static struct house house;
static uint64_t hash;

static void open_house(void) {
    static const char estate[] =
        "grid: [{name: g, factor_kg_per_kwh: 0.5}]\ntenant: [{name: lab}]\nmodel: [{name: m, cores: 4, power_curve_w: [50, 100]}]\n"
        "centre:\n- name: c\n  grid: g\n  hall:\n  - name: a\n    rack:\n    - name: r\n      node:\n      - {name: 'n[1-2]', model: m}\n";
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    struct err e = {0};
    FUZZ_CHECK(!house_open(&house, loop_new(LOOP_VIRTUAL, 1764000000000000), NULL, 1, &e));
    int rc = yaml_parse(&a, "estate", estate, sizeof estate - 1, NULL, &d, &e);
    struct txn *t = estate_begin(house.host.estate);
    if (!rc && !(rc = txn_import(t, d, "estate", &e)))
        rc = txn_commit(t, "fuzz", "fuzz", NULL, &e);
    if (rc)
        fprintf(stderr, "%s: %s\n", e.place, e.message);
    FUZZ_CHECK(!rc && !house_start(&house, 1, &e));
    host_cycle(&house.host);
    hash = estate_hash(house.host.estate);
    arena_free(&a);
}

struct answer {
    struct call call;
    int rc, times;
};

static void answered(struct call *c, int rc) {
    struct answer *x = c->transport_ctx;
    x->rc = rc;
    x->times++;
}

int fuzz_verb(const uint8_t *p, size_t n) {
    char *s = fuzz_text(p, n), *body = strchr(s, '\n'), *rest = s;
    static const struct doc_limits limits = {.bytes_max = 65536, .depth_max = 32, .nodes_max = 20000};
    struct answer x = {0};
    struct err e = {0};
    if (!house.loop)
        open_house();
    struct host *h = &house.host;
    if (body)
        *body++ = '\0';
    char *on = strsep(&rest, " "), *name = strsep(&rest, " "), *verb = strsep(&rest, " ");
    if (verb) {
        struct doc *d = NULL;
        x.call = (struct call){.host = h, .dry_run = true, .answer = answered, .transport_ctx = &x};
        x.call.who = (struct principal){.name = "fuzz", .role = ROLE_ADMIN};
        const struct verb *row = verbs_find(h->verbs, on, verb);
        bool waits = row && !strcmp(on, "function"); /* invoking is real even in a dry house */
        if (body && *body && yaml_parse(&x.call.arena, "body", body, strlen(body), &limits, &d, &e))
            d = NULL;
        if (!waits) {
            if (d && d->type != DOC_MAP)
                d = NULL;
            call_start(&x.call, on, strcmp(name, "-") ? name : NULL, verb, d, "body");
            for (int i = 0; !x.times && i < 100000; i++)
                loop_turn(house.loop, 0);
            FUZZ_CHECK(x.times == 1);
            if (x.rc) {
                FUZZ_CHECK(x.call.err.code == x.rc && *x.call.err.message && problem_status(x.rc) >= 400);
                problem_doc(&x.call.arena, &x.call.err);
            } else if (!(x.call.verb->flags & VERB_RAW)) {
                struct text t = TEXT_INIT;
                json_print(&t, call_output(&x.call), 0);
                text_free(&t);
            }
            FUZZ_CHECK(estate_hash(h->estate) == hash);
        }
        text_free(&x.call.raw);
        arena_free(&x.call.arena);
    }
    free(s);
    return 0;
}
