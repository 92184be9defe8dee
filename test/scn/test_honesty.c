/* The honesty test: one seeded scenario through the twin in process, and through the same world served over Modbus TCP
 * and read by the live driver, must give the same decisions, row by row; with losses and faults too. And the comparison
 * must be able to fail: a run that is a little different has to be found out.
 *
 *   test_honesty FOLDER [FIRST [COUNT]]      repeats seeds of the rack's scenario */
#include "app/scenario.h"
#include "base/vec.h"
#include "tap.h"

struct row {
    char text[400];
};
struct journal { /* the decisions of one run */
    VEC(struct row) rows;
    struct scenario_result result;
};

static int row_keep(void *ctx, const struct journal_row *row) {
    struct journal *j = ctx;
    struct row r;
    if (strcmp(row->kind, "decision"))
        return 0;
    snprintf(r.text, sizeof r.text, "+%lld us %s %s: %s %s", (long long)(row->time_us - 1767225600000000), row->by,
             row->object, row->text, row->json);
    vec_push(&j->rows, r);
    return 0;
}

static void run(const char *folder, const char *file, uint64_t seed, const char *extra, struct journal *out) {
    char path[512], number[24];
    struct text report = TEXT_INIT;
    struct err e = {0};
    memset(out, 0, sizeof *out);
    snprintf(path, sizeof path, "%s/test/scn/%s", folder, file);
    snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    struct scenario_options o = {.seed = number, .extra = extra, .row = row_keep, .row_ctx = out};
    int rc = scenario_run(path, &o, &out->result, &report, &e);
    out->result.failed += rc != 0;
    if (out->result.failed)
        printf("# %s: %s\n# %s\n", path, rc ? e.message : "", text_str(&report));
    text_free(&report);
}

static void rows_free(struct journal *j) { vec_free(&j->rows); }

static int rows_different(const struct journal *a, const struct journal *b) {
    size_t most = a->rows.n > b->rows.n ? a->rows.n : b->rows.n;
    int n = 0;
    for (size_t i = 0; i < most; i++) {
        const char *x = i < a->rows.n ? a->rows.p[i].text : "(nothing)", *y = i < b->rows.n ? b->rows.p[i].text : "(nothing)";
        n += strcmp(x, y) != 0;
    }
    return n;
}

static void rows_show(const struct journal *a, const struct journal *b) {
    size_t most = a->rows.n > b->rows.n ? a->rows.n : b->rows.n;
    for (size_t i = 0, shown = 0; i < most && shown < 5; i++) {
        const char *x = i < a->rows.n ? a->rows.p[i].text : "(nothing)", *y = i < b->rows.n ? b->rows.p[i].text : "(nothing)";
        if (strcmp(x, y)) {
            printf("#   row %zu\n#     %s\n#     %s\n", i, x, y);
            shown++;
        }
    }
}

static int total_rows, total_different;

static void same(const char *folder, const char *file, uint64_t seed, const char *here, const char *there, const char *what) {
    struct journal a, b;
    char name[160];
    run(folder, file, seed, here, &a);
    run(folder, file, seed, there, &b);
    int different = rows_different(&a, &b);
    total_rows += (int)a.rows.n;
    total_different += different;
    snprintf(name, sizeof name, "%s, seed %llu, %s: the same %zu decisions in process and through Modbus", file,
             (unsigned long long)seed, what, a.rows.n);
    if (!ok(!a.result.failed && !b.result.failed && a.rows.n > 3 && !different &&
                a.result.decision_hash == b.result.decision_hash,
            name)) {
        printf("#   %d rows differ; repeat: test_honesty %s %llu 1\n", different, folder, (unsigned long long)seed);
        rows_show(&a, &b);
    }
    rows_free(&a);
    rows_free(&b);
}

/* Something is not the same behind the wire: the comparison has to see it. */
static void differs(const char *folder, const char *there, const char *what) {
    struct journal a, b;
    run(folder, "honesty-rack.scn", 1, NULL, &a);
    run(folder, "honesty-rack.scn", 1, there, &b);
    ok(rows_different(&a, &b) > 0 && a.result.decision_hash != b.result.decision_hash, what);
    rows_free(&a);
    rows_free(&b);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        printf("Bail out! test_honesty FOLDER [FIRST [COUNT]]\n");
        return 1;
    }
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1, count = argc > 3 ? strtoull(argv[3], NULL, 10) : 16;
    for (uint64_t seed = first; seed < first + count; seed++)
        same(argv[1], "honesty-rack.scn", seed, NULL, "backend pdu modbus", "as it is");
    for (uint64_t seed = first; seed < first + count / 4; seed++)
        same(argv[1], "honesty-rack.scn", seed, "backend pdu twin:loss_ratio=0.1",
             "backend pdu modbus twin:loss_ratio=0.1", "every tenth answer lost");
    for (uint64_t seed = first; seed < first + count / 4; seed++)
        same(argv[1], "honesty-rack.scn", seed, "filter pdu fault:rate_ratio=0.2", "backend pdu modbus\nfilter pdu fault:rate_ratio=0.2",
             "every fifth request fails");
    for (uint64_t seed = first; seed < first + count / 8; seed++)
        same(argv[1], "honesty-centre.scn", seed, NULL, "backend pdu modbus", "six racks");
    if (argc <= 2) {
        differs(argv[1], "backend pdu modbus twin:loss_ratio=0.3", "a wire that loses more is found out");
        differs(argv[1], "backend pdu modbus twin:latency_us=1500ms", "a wire that is slower is found out");
        differs(argv[1], "backend pdu modbus\nload node/c1-h1-r1-n1 0.5", "a world that is loaded otherwise is found out");
    }
    printf("# %d rows compared, %d differ\n", total_rows, total_different);
    return tap_done();
}
