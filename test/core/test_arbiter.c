/* Who may set what: priorities, leases, interlocks, slew, and that a quarrel does not keep the house busy. */
#include "tap.h"

#include "core/arbiter.h"
#include "estate/kinds.h"

static int least(const struct estate *s, oid id, double *value, char *why) {
    (void)s, (void)id;
    if (*value < 0) {
        strcpy(why, "below zero");
        return E_DENIED;
    }
    if (*value < 50) {
        strcpy(why, "raised to 50");
        *value = 50;
    }
    return 0;
}
static const struct property rows[] = {
    {.kind = "rack", .field = "cap_w", .safe = 7},
    {.kind = "node", .field = "cap_w", .safe = 0, .min_step = 1, .interlock = least},
    {.kind = "node", .field = "speed", .safe = 0, .slew_per_s = 10},
};
static struct estate *s;
static struct arbiter *a;
static oid node;
static struct command out[8];

static int claim(const char *field, double value, enum claim_class cls, const char *by, int order, int64_t until) {
    struct claim c = {.object = node, .kind = "node", .field = field, .value = value, .cls = cls, .by = by, .order = order, .until_us = until};
    struct err e;
    return arbiter_claim(a, &c, &e);
}

static void begin(void) {
    size_t n = 0;
    struct err e = {0};
    struct arena ar = ARENA_INIT;
    struct doc *d = NULL;
    static const char text[] = "model: [{name: m}]\ncentre: [{name: c, hall: [{name: h, rack: [{name: r, node: [{name: n, model: m}]}]}]}]";
    while (kinds_foundation[n])
        n++;
    s = estate_new(kinds_foundation, n);
    a = arbiter_new();
    arbiter_add_properties(a, rows, 3);
    yaml_parse(&ar, "test", text, sizeof text - 1, NULL, &d, &e);
    struct txn *t = estate_begin(s);
    ok(!txn_import(t, d, "test", &e) && !txn_commit(t, "test", "", NULL, &e), "a node");
    node = estate_find(s, "node", "c-h-r-n");
    arena_free(&ar);
}

int main(void) {
    struct arena ar = ARENA_INIT;
    begin();
    const int64_t S = 1000000;

    is_int(claim("nothing", 1, CLAIM_MANUAL, "x", 0, S), E_NOTFOUND, "an unknown property is refused");
    claim("cap_w", 300, CLAIM_EFFICIENCY, "eff", 2, 100 * S);
    is_int(arbiter_settle(a, s, 0, out, 8), 1, "a claim is a command");
    is_near(out[0].value, 300, 0, "of its value");
    is_str(out[0].property->kind, "node", "by the property of the object's own kind");
    is_int(arbiter_settle(a, s, 1, out, 8), 0, "once");
    claim("cap_w", 200, CLAIM_MANUAL, "hand", -1, 10 * S);
    is_int(arbiter_settle(a, s, 2, out, 8), 1, "a stronger one wins");
    is_near(out[0].value, 200, 0, "with its value");
    const struct condition *c;
    ok(estate_conditions(s, node, &c) == 1 && strstr(c->text, "hand") && strstr(c->text, "eff"), "the loser is told by whom");

    /* Renewed leases are no news. */
    claim("speed", 0, CLAIM_EFFICIENCY, "eff", 2, 100 * S);
    arbiter_settle(a, s, 3, out, 8);
    uint64_t before = estate_sequence(s);
    for (int i = 0; i < 100; i++) {
        claim("cap_w", 300, CLAIM_EFFICIENCY, "eff", 2, 100 * S + i);
        claim("cap_w", 200, CLAIM_MANUAL, "hand", -1, 10 * S + i);
        arbiter_settle(a, s, 4 + i, out, 8);
    }
    is_int(estate_sequence(s), before, "a hundred renewed leases change nothing that anybody watches");
    is_int(arbiter_next_us(a), 10 * S + 99, "the next lease to end is known");
    is_int(arbiter_settle(a, s, 11 * S, out, 8), 1, "when it ends …");
    is_near(out[0].value, 300, 0, "… the weaker one holds");
    is_int(estate_conditions(s, node, &c), 0, "and the condition has gone");
    claim("cap_w", 20, CLAIM_SAFETY, "safe", 0, 100 * S);
    arbiter_settle(a, s, 12 * S, out, 8);
    ok(out[0].value == 50 && strstr(out[0].why, "raised"), "an interlock clamps, and says so");
    claim("cap_w", -1, CLAIM_SAFETY, "safe", 0, 100 * S);
    is_int(arbiter_settle(a, s, 13 * S, out, 8), 0, "or refuses");
    bool told = false;
    for (size_t i = 0, k = estate_conditions(s, node, &c); i < k; i++)
        told |= !strcmp(c[i].name, "interlocked");
    ok(told, "as a condition");
    arbiter_release(a, node, "cap_w", "safe");
    arbiter_settle(a, s, 14 * S, out, 8);

    /* Slew: 10 a second, also after a long rest. */
    claim("speed", 35, CLAIM_EFFICIENCY, "eff", 2, 500 * S);
    double last = 0, most = 0;
    int steps = 0;
    for (int64_t now = 80 * S; now < 90 * S; now += S / 5)
        if (arbiter_settle(a, s, now, out, 8)) {
            most = out[0].value - last > most ? out[0].value - last : most;
            last = out[0].value;
            steps++;
        }
    ok(last == 35 && most <= 10 && steps == 4, "a slew goes in steps of a second, none too large, to its end");

    arbiter_release(a, node, "speed", "eff");
    arbiter_release(a, node, "cap_w", "eff");
    double safe = -1;
    for (int64_t now = 90 * S; now < 100 * S; now += S)
        for (size_t i = arbiter_settle(a, s, now, out, 8); i-- > 0;)
            if (!strcmp(out[i].property->field, "speed"))
                safe = out[i].value;
    ok(safe == 0, "without a claim it goes back to the safe value");
    is_int(arbiter_next_us(a), 0, "and nothing is left to do");
    arbiter_free(a);
    estate_free(s);
    arena_free(&ar);
    return tap_done();
}
