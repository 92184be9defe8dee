/* Every estate that is shipped: imports, refers to what exists, comes back from its export unchanged, is complete. */
#include "app/estate_generate.h"
#include "estate/kinds.h"
#include "tap.h"

#include <dirent.h>

static struct estate *import(const char *name, const char *text, size_t n, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *d;
    uint64_t revision;
    size_t kinds = 0;
    while (kinds_foundation[kinds])
        kinds++;
    struct estate *s = estate_new(kinds_foundation, kinds);
    int rc = yaml_parse(&a, name, text, n, NULL, &d, e);
    if (!rc) {
        struct txn *t = estate_begin(s);
        rc = txn_import(t, d, name, e);
        if (rc)
            txn_abort(t);
        else
            rc = txn_commit(t, "test", "test", &revision, e);
    }
    arena_free(&a);
    if (!rc)
        return s;
    printf("#   %s: %s\n", e->place, e->message);
    estate_free(s);
    return NULL;
}

static struct estate *import_file(const char *path) {
    struct text t = TEXT_INIT;
    struct err e = {0};
    char piece[4096];
    size_t n;
    FILE *f = fopen(path, "r");
    while (f && (n = fread(piece, 1, sizeof piece, f)))
        text_add_n(&t, piece, n);
    if (f)
        fclose(f);
    struct estate *s = import(path, text_str(&t), t.n, &e);
    text_free(&t);
    return s;
}

/* What every estate needs so that work can be placed and accounted in it. */
static void usable(const struct estate *s, const char *file, const char *backend) {
    char name[160];
    bool agents = true, grids = true, curves = true, feeds = true;
    for (oid c = 0; (c = estate_next(s, "centre", c));) {
        const struct centre *d = estate_get(s, c, centre);
        oid a = estate_child(s, c, "agent", 0);
        agents &= a && !estate_child(s, c, "agent", a) && estate_get(s, a, agent)->centre == c &&
                  !strcmp(estate_get(s, a, agent)->backend, backend);
        const struct grid *g = estate_alive(s, d->grid) ? estate_get(s, d->grid, grid) : NULL;
        grids &= g && g->factor_kg_per_kwh > 0 && *g->factor_source && *g->price_source &&
                 (g->n_price_per_kwh == 1 || g->n_price_per_kwh == 24);
    }
    for (oid m = 0; (m = estate_next(s, "model", m));) {
        const struct model *d = estate_get(s, m, model);
        curves &= d->n_power_curve_w >= 2 && d->cap_min_w > d->power_curve_w[0] &&
                  d->cap_min_w < d->power_curve_w[d->n_power_curve_w - 1] && d->price_per_core_h > 0 &&
                  (strstr(d->power_source, "SPECpower_ssj2008") || strstr(d->power_source, "nameplate"));
    }
    for (oid r = 0; (r = estate_next(s, "rack", r));) {
        oid p = estate_child(s, r, "pdu", 0);
        double full_w = 0;
        int64_t nodes = 0;
        for (oid n = 0; (n = estate_child(s, r, "node", n)); nodes++)
            full_w += model_power_w(estate_get(s, estate_get(s, n, node)->model, model), 1);
        feeds &= p && nodes && nodes <= estate_get(s, p, pdu)->outlets && full_w * 1.02 < estate_get(s, p, pdu)->limit_w;
    }
    snprintf(name, sizeof name, "%s: one agent in each centre", file);
    ok(agents, name);
    snprintf(name, sizeof name, "%s: each centre has a grid with factor, price and their sources", file);
    ok(grids, name);
    snprintf(name, sizeof name, "%s: each model has a power curve with its source, and a cap within it", file);
    ok(curves, name);
    snprintf(name, sizeof name, "%s: each rack has a PDU that bears its nodes at full load", file);
    ok(feeds, name);
}

static void round_trip(const struct estate *s, const char *file) {
    struct arena a = ARENA_INIT;
    struct text t = TEXT_INIT;
    struct err e = {0};
    char name[160];
    yaml_print(&t, estate_export(s, &a, false));
    struct estate *again = import("export", text_str(&t), t.n, &e);
    snprintf(name, sizeof name, "%s: export and import give the same hash", file);
    ok(again && estate_hash(again) == estate_hash(s), name);
    snprintf(name, sizeof name, "%s: and the same number of objects", file);
    is_int(again ? estate_count(again, NULL) : 0, estate_count(s, NULL), name);
    if (again)
        estate_free(again);
    text_free(&t);
    arena_free(&a);
}

static double distance_km(const struct centre *a, const struct centre *b) {
    const double r = 3.14159265358979323846 / 180;
    double x = sin(r * (b->latitude_deg - a->latitude_deg) / 2), y = sin(r * (b->longitude_deg - a->longitude_deg) / 2);
    return 2 * 6371 * asin(sqrt(x * x + cos(r * a->latitude_deg) * cos(r * b->latitude_deg) * y * y));
}

static void hubs(const struct estate *s) {
    static const char *const names[] = {"zhangjiakou", "wuhu",  "shaoguan", "chongqing",
                                        "horinger",    "guian", "qingyang", "zhongwei"};
    static const char *const families[] = {"none", "nvidia", "ascend", "cambricon", "hygon"};
    int found = 0, seen = 0;
    for (size_t i = 0; i < 8; i++) {
        oid c = estate_find(s, "centre", names[i]);
        found += c && *estate_get(s, c, centre)->title && *estate_get(s, c, centre)->title_zh;
    }
    is_int(found, 8, "the eight hubs are there, with names in two languages");
    is_int(estate_count(s, "centre"), 8, "and no other");
    for (size_t i = 0; i < 5; i++) {
        bool used = false;
        for (oid n = 0; !used && (n = estate_next(s, "node", n));)
            used = !strcmp(estate_get(s, estate_get(s, n, node)->model, model)->accelerator_family, families[i]);
        seen += used;
    }
    is_int(seen, 5, "nodes of five families stand in racks");
    int pairs = 0, direct = 0, delay = 0;
    for (oid l = 0; (l = estate_next(s, "link", l)); pairs++) {
        const struct link *d = estate_get(s, l, link);
        double km = distance_km(estate_get(s, d->from, centre), estate_get(s, d->to, centre));
        delay += fabs(d->delay_us - km * 1.5 / 200000 * 1e6) < 10;
        direct += d->bandwidth_bps > 0 && d->price_per_gb > 0;
    }
    is_int(pairs, 28, "every pair of hubs has a link");
    is_int(direct, 28, "with bandwidth and price");
    is_int(delay, 28, "and the delay of the stated fibre route");
    is_int(estate_count(s, "rack") >= 16 && estate_count(s, "node") >= 250, 1, "16 racks and 250 nodes at least");
}

static void generated(int64_t nodes, uint64_t seed) {
    char name[64];
    struct text one = TEXT_INIT, two = TEXT_INIT, other = TEXT_INIT;
    struct err e = {0};
    snprintf(name, sizeof name, "generated, %lld nodes", (long long)nodes);
    is_int(estate_generate(nodes, seed, &one, &e), 0, name);
    struct estate *s = import(name, text_str(&one), one.n, &e);
    if (ok(s != NULL, "a generated estate imports")) {
        is_int(estate_count(s, "node"), nodes, "with exactly the nodes asked for");
        size_t centres = estate_count(s, "centre");
        is_int(estate_count(s, "link"), centres * (centres - 1) / 2, "and a link between every two centres");
        usable(s, name, "twin");
        if (nodes < 5000)
            round_trip(s, name);
        estate_free(s);
    }
    estate_generate(nodes, seed, &two, NULL);
    estate_generate(nodes, seed + 1, &other, NULL);
    ok(!strcmp(text_str(&one), text_str(&two)), "the same seed gives the same bytes");
    ok(strcmp(text_str(&one), text_str(&other)) != 0, "another seed gives others");
    text_free(&one);
    text_free(&two);
    text_free(&other);
}

int main(void) {
    struct err e = {0};
    struct text none = TEXT_INIT;
    char path[512];
    int files = 0;
    DIR *d = opendir(SUAN_SOURCE "/share/estates");
    for (struct dirent *f; d && (f = readdir(d));) {
        if (!str_ends(f->d_name, ".yaml"))
            continue;
        snprintf(path, sizeof path, SUAN_SOURCE "/share/estates/%.200s", f->d_name);
        struct estate *s = import_file(path);
        files++;
        if (!ok(s != NULL, f->d_name))
            continue;
        usable(s, f->d_name, "agent");
        round_trip(s, f->d_name);
        if (!strcmp(f->d_name, "national-hubs.yaml"))
            hubs(s);
        if (!strcmp(f->d_name, "rack.yaml")) {
            is_int(estate_find(s, "pdu", "c1-h1-r1-p1") != 0, 1, "rack.yaml: the PDU has its known name");
            is_int(estate_find(s, "node", "c1-h1-r1-n8") != 0, 1, "rack.yaml: and the eighth node");
            is_int(estate_count(s, "node"), 8, "rack.yaml: eight nodes");
        }
        estate_free(s);
    }
    if (d)
        closedir(d);
    is_int(files, 3, "three estates are shipped");
    generated(1, 1);
    generated(1281, 7);
    generated(10000, 1);
    is_int(estate_generate(0, 1, &none, &e), E_INVAL, "an estate without nodes is refused");
    is_int(estate_generate(GENERATE_NODES_MAX + 1, 1, &none, &e), E_INVAL, "and one beyond the limit");
    ok(strstr(e.message, "150000") && !none.n, "with the limit in the message, and nothing written");
    return tap_done();
}
