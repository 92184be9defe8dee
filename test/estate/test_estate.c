/* The graph and its transactions: by example, and by random operations against snapshots. */
#include "tap.h"

#include "base/rng.h"
#include "estate/kinds.h"

static size_t n_kinds(void) {
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    return n;
}

static struct estate *fresh(void) { return estate_new(kinds_foundation, n_kinds()); }

static struct doc *read_doc(struct arena *a, const char *yaml) {
    struct doc *d = NULL;
    struct err e = {0};
    if (yaml_parse(a, "test.yaml", yaml, strlen(yaml), NULL, &d, &e))
        printf("# %s: %s\n", e.place, e.message);
    return d;
}

static int load(struct estate *s, const char *yaml, struct err *e) {
    struct arena a = ARENA_INIT;
    struct txn *t = estate_begin(s);
    int rc = txn_import(t, read_doc(&a, yaml), "test.yaml", e);
    if (rc)
        txn_abort(t);
    else
        rc = txn_commit(t, "test", "load", NULL, e);
    arena_free(&a);
    return rc;
}

static int set(struct txn *t, oid id, const char *yaml, struct err *e) {
    struct arena a = ARENA_INIT;
    int rc = txn_set(t, id, read_doc(&a, yaml), "test.yaml", e);
    arena_free(&a);
    return rc;
}

static const char small[] = "grid: [{name: g}, {name: h}]\ntenant: [{name: lab}]\nmodel: [{name: m}]\n"
                            "centre:\n- name: c\n  grid: g\n  hall:\n  - name: a\n    rack:\n    - name: r[1-3]\n"
                            "      budget_w: 10 kW\n      node: [{name: n1, model: m}]\n";

/* One line an object, sorted: equal estates give equal texts, whatever the ids. */
static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static char *snapshot(const struct estate *s) {
    struct arena a = ARENA_INIT;
    struct field_env env = estate_env(s);
    struct text out = TEXT_INIT;
    const char **lines = arena_alloc(&a, (estate_count(s, NULL) + 1) * sizeof *lines);
    size_t n = 0;
    for (oid id = 0; (id = estate_next(s, NULL, id));) {
        char path[ESTATE_PATH], parent[ESTATE_PATH];
        struct text t = TEXT_INIT;
        estate_path(s, id, path);
        estate_path(s, estate_parent(s, id), parent);
        json_print(&t, table_write(estate_kind_of(s, id)->table, estate_data(s, id), &a, &env, F_STATE | F_VOLATILE), 0);
        lines[n++] = arena_printf(&a, "%s < %s %s\n", path, parent, text_str(&t));
        text_free(&t);
    }
    qsort(lines, n, sizeof *lines, by_text);
    for (size_t i = 0; i < n; i++)
        text_add(&out, lines[i]);
    arena_free(&a);
    return text_take(&out);
}

static void test_one_transaction(void) {
    struct estate *s = fresh();
    struct arena a = ARENA_INIT;
    struct err e = {0};
    ok(!load(s, small, &e), "a small estate loads");
    is_int(estate_count(s, NULL), 12, "twelve objects");
    is_int(estate_revision(s), 1, "one revision");
    oid rack = estate_find(s, "rack", "c-a-r2"), node = estate_find(s, "node", "c-a-r2-n1");
    char *before = snapshot(s);

    /* Set and delete in one transaction: once a crash at the commit. */
    struct txn *t = estate_begin(s);
    ok(!set(t, node, "{priority: 7}", &e) && !txn_delete_tree(t, rack, &e), "set a node, then delete its rack");
    struct doc *diff = txn_diff(t, &a);
    is_int(diff->list.n, 2, "the diff is two deletions");
    ok(!txn_commit(t, "test", "set and delete", NULL, &e), "commits");
    ok(!estate_alive(s, node) && !estate_alive(s, rack), "both have gone");
    ok(!estate_rollback(s, 1, "test", NULL, &e), "back to the revision before");
    char *now = snapshot(s);
    is_str(now, before, "everything is as it was, the node's priority too");
    free(now);

    /* Made and deleted in one transaction: never was. */
    uint64_t cursor = estate_sequence(s), revision = 0;
    t = estate_begin(s);
    oid brief = 0;
    ok(!txn_create(t, "tenant", "brief", 0, NULL, "test", &brief, &e) && !txn_delete(t, brief, &e), "make and delete");
    is_int(txn_diff(t, &a)->list.n, 0, "comes to nothing");
    ok(!txn_commit(t, "test", "nothing", &revision, &e), "commits");
    is_int(revision, estate_revision(s), "without a new revision");
    struct change ch;
    is_int(estate_changes(s, &cursor, &ch), 0, "and without a word in the feed");
    ok(!estate_rollback(s, 1, "test", NULL, &e), "roll back over it");
    arena_free(&a);
    free(before);
    estate_free(s);
}

static void test_mutual_references(void) {
    struct estate *s = fresh();
    struct err e = {0};
    ok(!load(s, small, &e), "a small estate");
    char *before = snapshot(s);
    /* The centre's grid is deleted with it: rolled back, each refers to the other again. */
    struct txn *t = estate_begin(s);
    ok(!txn_delete_tree(t, estate_find(s, "centre", "c"), &e) && !txn_delete(t, estate_find(s, "grid", "g"), &e) &&
           !txn_commit(t, "test", "drop", NULL, &e), "a centre and what it refers to are deleted together");
    t = estate_begin(s);
    ok(!txn_delete(t, estate_find(s, "grid", "h"), &e) && !txn_commit(t, "test", "drop", NULL, &e), "and another");
    ok(!estate_rollback(s, 1, "test", NULL, &e), "rolled back");
    char *now = snapshot(s);
    is_str(now, before, "to the same");
    free(now);
    /* A reference that was changed twice over an object that came in between. */
    oid c = estate_find(s, "centre", "c");
    uint64_t here = estate_revision(s);
    ok(!load(s, "grid: [{name: k}]", &e), "a new grid");
    t = estate_begin(s);
    ok(!set(t, c, "{grid: k}", &e) && !txn_commit(t, "test", "to k", NULL, &e), "the centre moves to it");
    t = estate_begin(s);
    ok(!set(t, c, "{grid: h}", &e) && !txn_commit(t, "test", "to h", NULL, &e), "and on");
    ok(!estate_rollback(s, here, "test", NULL, &e), "rolled back over all three");
    now = snapshot(s);
    is_str(now, before, "to the same");
    free(now);
    free(before);
    t = estate_begin(s);
    ok(!txn_delete(t, estate_find(s, "grid", "g"), &e), "deleting what is referred to …");
    is_int(txn_commit(t, "test", "bad", NULL, &e), E_STATE, "… is refused at the commit");
    ok(strstr(e.message, "centre/c") != NULL && *e.hint, "and names who refers to it");
    ok(estate_find(s, "grid", "g") != 0, "nothing happened");
    estate_free(s);
}

/* A random operation; what it refuses it must leave untouched. */
static void random_op(struct txn *t, struct estate *s, struct rng *r) {
    static const char *const kinds[] = {"tenant", "grid", "centre", "hall", "rack"};
    const char *kind = kinds[rng_below(r, 5)];
    char name[32], yaml[96];
    struct arena a = ARENA_INIT;
    struct err e = {0};
    oid id = 0, parent = 0;
    size_t n = estate_count(s, kind);
    for (size_t k = n ? rng_below(r, n) + 1 : 0; k--;)
        id = estate_next(s, kind, id);
    char *before = rng_below(r, 4) ? NULL : snapshot(s);
    int rc = 0;
    switch (rng_below(r, 6)) {
    case 0:
    case 1:
    case 2:
        snprintf(name, sizeof name, "x%u", (unsigned)rng_below(r, 12));
        if (!strcmp(kind, "hall"))
            parent = estate_next(s, "centre", 0);
        if (!strcmp(kind, "rack"))
            parent = estate_next(s, "hall", 0);
        snprintf(yaml, sizeof yaml, strcmp(kind, "centre") ? "{}" : "{grid: x%u, title: new}", (unsigned)rng_below(r, 6));
        rc = txn_create(t, kind, name, parent, read_doc(&a, yaml), "test", NULL, &e);
        break;
    case 3:
    case 4:
        if (!strcmp(kind, "rack"))
            snprintf(yaml, sizeof yaml, "{budget_w: %d, height_u: 4}", (int)rng_below(r, 1100000)); /* some out of range */
        else if (!strcmp(kind, "centre"))
            snprintf(yaml, sizeof yaml, "{grid: x%u}", (unsigned)rng_below(r, 8));
        else
            snprintf(yaml, sizeof yaml, "{title: t%u}", (unsigned)rng_below(r, 100));
        rc = id ? set(t, id, yaml, &e) : 0;
        break;
    default:
        rc = !id ? 0 : rng_below(r, 2) ? txn_delete_tree(t, id, &e) : txn_delete(t, id, &e);
    }
    if (rc && before) {
        char *after = snapshot(s);
        if (strcmp(before, after))
            tap_ok(false, __FILE__, __LINE__, "a refused operation changed something");
        free(after);
    }
    free(before);
    arena_free(&a);
}

static void test_random(uint64_t seed) {
    enum { ROUNDS = 300 };
    static char *at[ROUNDS + 1]; /* snapshot of each revision */
    struct estate *s = fresh();
    struct rng r = rng_new(seed);
    struct err e = {0};
    bool aborts = true, fails = true, rolls = true;
    size_t n_aborts = 0, n_fails = 0, n_rolls = 0;
    at[0] = snapshot(s);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t revision = estate_revision(s);
        if (revision && !rng_below(&r, 8)) {
            uint64_t to = rng_below(&r, revision);
            int rc = estate_rollback(s, to, "test", NULL, &e);
            char *now = snapshot(s);
            rolls &= !rc && !strcmp(now, at[to]);
            if (rc)
                printf("# rollback to %d: %s\n", (int)to, e.message);
            n_rolls++;
            free(at[estate_revision(s)]);
            at[estate_revision(s)] = now;
            continue;
        }
        struct txn *t = estate_begin(s);
        for (uint64_t k = 1 + rng_below(&r, 6); k--;)
            random_op(t, s, &r);
        if (!rng_below(&r, 4)) {
            txn_abort(t);
            char *now = snapshot(s);
            aborts &= !strcmp(now, at[revision]);
            free(now);
            n_aborts++;
        } else if (txn_commit(t, "test", "random", NULL, &e)) {
            char *now = snapshot(s);
            fails &= !strcmp(now, at[revision]) && estate_revision(s) == revision;
            free(now);
            n_fails++;
        } else {
            char *now = snapshot(s);
            if (estate_revision(s) == revision)
                fails &= !strcmp(now, at[revision]);
            free(at[estate_revision(s)]);
            at[estate_revision(s)] = now;
        }
    }
    printf("# seed %" PRIu64 ": %zu aborts, %zu refused commits, %zu rollbacks, %d revisions\n", seed, n_aborts, n_fails, n_rolls,
           (int)estate_revision(s));
    ok(aborts && n_aborts > 10, "an abort leaves nothing");
    ok(fails && n_fails, "a refused commit leaves nothing");
    ok(rolls && n_rolls > 10, "a rollback gives the revision back, to the letter");
    for (int i = 0; i <= ROUNDS; i++) {
        free(at[i]);
        at[i] = NULL;
    }
    estate_free(s);
}

static void test_import_errors(void) {
    static const struct {
        const char *yaml, *place, *word, *hint;
    } rows[] = {
        {"centre:\n- name: c\n  titel: x", "test.yaml:3:10", "titel", "title"},
        {"centre:\n- name: c\n  latitude_deg: 91", "test.yaml:3:17", "latitude_deg", "from"},
        {"centre:\n- name: c\n  grid: nrth\ngrid:\n- name: north", "test.yaml:3:9", "nrth", "north"},
        {"centre:\n- name: C", "test.yaml:2:3", "C", "a-z"},
        {"rack:\n- name: r", "test.yaml:2:1", "below", ""},
        {"rak:\n- name: r", "test.yaml:2:1", "rak", "rack"},
        {"centre:\n- title: x", "test.yaml:2:3", "name", ""},
        {"centre:\n- name: c[5-1]", "test.yaml:2:9", "range", "r[01-12]"},
        {"centre:\n- name: c\n  power_w: 3", "test.yaml:3:12", "observed", ""},
        {"tenant:\n- name: t\n  quota_cores: 2.5", "test.yaml:3:16", "whole", ""},
        {"job:\n- name: j", "test.yaml:2:1", "verbs", ""},
        {"centre: 3", "test.yaml:1:9", "list", ""},
        {"- a", "test.yaml:1:1", "map", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct estate *s = fresh();
        struct err e = {0};
        char name[64];
        int rc = load(s, rows[i].yaml, &e);
        bool good = rc && !strcmp(e.place, rows[i].place) && strstr(e.message, rows[i].word) && strstr(e.hint, rows[i].hint);
        snprintf(name, sizeof name, "error %zu: place, value and hint", i);
        ok(good, name);
        if (!good)
            printf("# %s: %s (hint: %s)\n", e.place, e.message, e.hint);
        if (estate_count(s, NULL) || estate_sequence(s) || estate_revision(s))
            ok(false, "nothing is half applied");
        estate_free(s);
    }
    /* The transaction stays usable, and what was done before the bad document is still in it. */
    struct estate *s = fresh();
    struct arena a = ARENA_INIT;
    struct err e = {0};
    struct txn *t = estate_begin(s);
    ok(!txn_create(t, "tenant", "lab", 0, NULL, "test", NULL, &e), "one tenant");
    ok(txn_import(t, read_doc(&a, "grid: [{name: g}]\ncentre: [{name: c, grid: x}]"), "test.yaml", &e) < 0, "a bad document");
    ok(estate_count(s, NULL) == 1 && !txn_commit(t, "test", "", NULL, &e), "leaves nothing but the tenant");
    ok(!load(s, small, &e), "a good document");
    uint64_t sequence = estate_sequence(s);
    char *before = snapshot(s), *after;
    ok(!load(s, small, &e), "imported twice");
    after = snapshot(s);
    is_str(after, before, "changes nothing");
    (void)sequence;
    free(before);
    free(after);
    arena_free(&a);
    estate_free(s);
}

static void test_feed_and_conditions(void) {
    struct estate *s = fresh();
    struct err e = {0};
    struct change ch;
    ok(!load(s, small, &e), "a small estate");
    uint64_t slow = 0, quick = estate_sequence(s);
    oid node = estate_find(s, "node", "c-a-r1-n1");
    for (int i = 0; i < 70000; i++)
        estate_observe(s, node, node)->power_w = i;
    is_int(estate_changes(s, &slow, &ch), -1, "who fell off the ring is told so");
    is_int(estate_changes(s, &slow, &ch), 0, "once");
    is_int(estate_changes(s, &quick, &ch), -1, "so is who was there at the start");
    estate_touch(s, node);
    is_int(estate_changes(s, &quick, &ch), 1, "and goes on from there");
    is_int(ch.op, CHANGE_STATE, "with the next change");

    const struct condition *c;
    ok(estate_condition(s, node, "hot", SEV_WARNING, "test", 5, "31 C"), "a condition is set");
    ok(!estate_condition(s, node, "hot", SEV_WARNING, "test", 9, "31 C"), "the same again is no change");
    ok(estate_condition(s, node, "hot", SEV_ERROR, "test", 9, "35 C"), "a worse one is");
    ok(estate_conditions(s, node, &c) == 1 && c->since_us == 5, "and keeps its beginning");
    for (int i = 0; i < 7; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        estate_condition(s, node, name, SEV_NOTICE, "test", 1, "x");
    }
    ok(!estate_condition(s, node, "mild", SEV_INFO, "test", 1, "x"), "a full list refuses a milder one");
    ok(estate_condition(s, node, "fire", SEV_CRITICAL, "test", 1, "x"), "and makes room for a worse one");
    size_t n = estate_conditions(s, node, &c);
    bool hot = false, fire = false;
    for (size_t i = 0; i < n; i++) {
        hot |= !strcmp(c[i].name, "hot");
        fire |= !strcmp(c[i].name, "fire");
    }
    ok(n == 8 && hot && fire, "the worst are never hidden");
    ok(estate_condition(s, node, "hot", SEV_INFO, "test", 1, NULL), "cleared");
    ok(!estate_condition(s, node, "hot", SEV_INFO, "test", 1, NULL), "once");

    is_int(estate_move(s, node, NODE_DRAINED, &e), 0, "up to drained");
    is_int(estate_move(s, node, NODE_DRAINED, &e), E_STATE, "not to where it is");
    ok(strstr(e.hint, "up") && !strcmp(e.place, "node/c-a-r1-n1"), "the error says what it can become, and which node");
    estate_free(s);
}

/* Ids are not followed after death, and iteration is in order of creation. */
static void test_ids(void) {
    struct estate *s = fresh();
    struct err e = {0};
    oid first = 0, last = 0;
    for (int i = 0; i < 600; i++) {
        char name[16];
        struct txn *t = estate_begin(s);
        oid id = 0;
        snprintf(name, sizeof name, "t%d", i);
        int rc = txn_create(t, "tenant", name, 0, NULL, "test", &id, &e);
        if (rc || txn_commit(t, "test", "", NULL, &e) || id <= last)
            ok(false, "ids rise");
        first = first ? first : id;
        last = id;
    }
    for (int i = 0; i < 600; i += 2) {
        char name[16];
        struct txn *t = estate_begin(s);
        snprintf(name, sizeof name, "t%d", i);
        if (txn_delete(t, estate_find(s, "tenant", name), &e) || txn_commit(t, "test", "", NULL, &e))
            ok(false, "deleted");
    }
    size_t n = 0;
    bool rising = true;
    for (oid id = 0, before = 0; (id = estate_next(s, "tenant", id)); before = id, n++)
        rising &= id > before;
    ok(rising && n == 300, "half are left, in order of creation");
    ok(!estate_alive(s, first) && !*estate_name(s, first), "a dead id leads nowhere");
    for (int i = 1; i < 600; i += 2) {
        char name[16];
        struct txn *t = estate_begin(s);
        snprintf(name, sizeof name, "t%d", i);
        if (txn_delete(t, estate_find(s, "tenant", name), &e) || txn_commit(t, "test", "", NULL, &e))
            ok(false, "deleted");
    }
    is_int(estate_count(s, NULL), 0, "all have gone");
    ok(!load(s, small, &e) && estate_find(s, "centre", "c") > last, "a new object never has an old id");
    estate_free(s);
}

static void test_history(void) {
    struct estate *s = fresh();
    struct arena a = ARENA_INIT;
    struct err e = {0};
    ok(!load(s, "tenant: [{name: t}]", &e), "one tenant");
    oid id = estate_find(s, "tenant", "t");
    for (int i = 0; i < 1100; i++) {
        char yaml[40];
        struct txn *t = estate_begin(s);
        snprintf(yaml, sizeof yaml, "{quota_cores: %d}", i);
        if (set(t, id, yaml, &e) || txn_commit(t, "test", "step", NULL, &e))
            ok(false, "a step");
    }
    is_int(estate_revision(s), 1101, "1,101 revisions");
    is_int(estate_rollback(s, 10, "test", NULL, &e), E_NOTFOUND, "the first ones are forgotten");
    ok(!estate_rollback(s, 500, "test", NULL, &e), "a later one is not");
    is_int(estate_get(s, id, tenant)->quota_cores, 498, "and gives its value back");
    struct doc *h = estate_history(s, &a, 0, 3);
    is_int(h->list.n, 3, "three rows of history");
    is_int(doc_get_int(h->list.first, "revision", 0), 1102, "newest first");
    is_str(doc_get_str(h->list.first, "why", ""), "back to revision 500", "with its reason");
    arena_free(&a);
    estate_free(s);
}

int main(void) {
    test_one_transaction();
    test_mutual_references();
    for (uint64_t seed = 1; seed <= 4; seed++)
        test_random(seed);
    test_import_errors();
    test_feed_and_conditions();
    test_ids();
    test_history();
    return tap_done();
}
