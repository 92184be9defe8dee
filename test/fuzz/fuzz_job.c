/* Job documents: a refused one says why and leaves nothing; an accepted one is a graph without circles whose inputs come
 * from tasks that it waits for. */
#include "cap/placement/placement.h"
#include "fuzz.h"

int fuzz_job(const uint8_t *p, size_t n);

static struct host host;
static struct placement placement = {.host = &host};

static void open_host(void) {
    size_t kinds = 0;
    uint64_t revision;
    oid id;
    while (kinds_foundation[kinds])
        kinds++;
    host.estate = estate_new(kinds_foundation, kinds);
    host.loop = loop_new(LOOP_VIRTUAL, 1767225600000000);
    struct txn *t = estate_begin(host.estate);
    txn_create(t, "tenant", "met", 0, NULL, "fuzz", &id, NULL);
    txn_commit(t, "fuzz", "fuzz", &revision, NULL);
}

static bool waits_for(const struct task *t, oid before) {
    for (uint32_t i = 0; i < t->n_after; i++)
        if (t->after[i] == before)
            return true;
    return false;
}

static void graph_holds(const struct estate *s, oid job) {
    int64_t tasks = 0;
    for (oid i = 0; (i = estate_child(s, job, "task", i)); tasks++) {
        const struct task *t = estate_get(s, i, task);
        FUZZ_CHECK(t->n_argv > 0 && t->n_argv <= TASK_ARGV && t->n_inputs <= TASK_INPUTS && t->n_outputs <= TASK_OUTPUTS);
        for (uint32_t k = 0; k < t->n_after; k++)
            FUZZ_CHECK(t->after[k] < i && estate_parent(s, t->after[k]) == job);
        for (uint32_t k = 0; k < t->n_inputs; k++)
            FUZZ_CHECK(waits_for(t, t->inputs[k].task) && *t->inputs[k].name && !strchr(t->inputs[k].name, '/'));
    }
    FUZZ_CHECK(tasks == estate_get(s, job, job)->tasks);
}

int fuzz_job(const uint8_t *p, size_t n) {
    static const struct doc_limits limits = {.bytes_max = 65536, .depth_max = 16, .nodes_max = 20000};
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    struct err e = {0};
    if (!host.estate)
        open_host();
    if (!yaml_parse(&a, "input", (const char *)p, n, &limits, &d, &e)) {
        struct estate *s = host.estate;
        size_t before = estate_count(s, NULL);
        oid job = 0;
        struct txn *t = estate_begin(s);
        int rc = job_build(&placement, t, d, "input", "fuzz", &job, &e);
        if (rc)
            FUZZ_CHECK(*e.message && *e.place);
        else if (!txn_check(t, &e))
            graph_holds(s, job);
        txn_abort(t);
        FUZZ_CHECK(estate_count(s, NULL) == before);
    }
    arena_free(&a);
    return 0;
}
