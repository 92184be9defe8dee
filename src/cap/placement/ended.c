/* Ended jobs: looked at, repeated, counted, and one day in the way. So many of their tasks are kept; what is above goes
 * with the jobs that ended first. What they decided and spent stays in the journal. */
#include "cap/placement/placement.h"

#include <stdlib.h>

enum { DROP_TASKS = 5000 }; /* at most about so many at once: one commit carries them all */

static bool is_ended(const struct job *j) { return j->state != JOB_QUEUED && j->state != JOB_RUNNING; }

static int64_t weight(const struct job *j) { return j->tasks > 0 ? j->tasks : 1; }

/* With its tasks, and the function of its name. */
static int job_drop(struct placement *p, oid id, const char *who, struct err *e) {
    struct estate *s = p->host->estate;
    uint64_t revision;
    oid function = estate_find(s, "function", estate_name(s, id));
    function_end(p, estate_name(s, id));
    struct txn *t = estate_begin(s);
    int rc = txn_delete_tree(t, id, e);
    if (!rc && function)
        rc = txn_delete(t, function, e);
    if (!rc)
        return txn_commit(t, who, "drop an ended job", &revision, e);
    txn_abort(t);
    return rc;
}

struct ended {
    oid id;
    int64_t ended_us, weight;
};

static int first_ended(const void *x, const void *y) {
    const struct ended *a = x, *b = y;
    if (a->ended_us != b->ended_us)
        return a->ended_us < b->ended_us ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

void jobs_prune(struct placement *p) {
    struct estate *s = p->host->estate;
    VEC(struct ended) all = {0};
    int64_t kept = 0, dropped = 0;
    for (oid i = 0; (i = estate_next(s, "job", i));) {
        const struct job *j = estate_get(s, i, job);
        if (!is_ended(j))
            continue;
        kept += weight(j);
        vec_push(&all, (struct ended){i, j->ended_us, weight(j)});
    }
    if (kept > p->config->tasks_kept)
        qsort(all.p, all.n, sizeof *all.p, first_ended);
    for (size_t i = 0; i < all.n && kept > p->config->tasks_kept && dropped < DROP_TASKS; i++) {
        char path[ESTATE_PATH];
        estate_path(s, all.p[i].id, path);
        if (job_drop(p, all.p[i].id, "placement", NULL))
            continue;
        host_journal(p->host, "decision", "placement", path, NULL,
                     "drop %s, which has ended: %lld tasks of ended jobs are more than tasks_kept (%lld)", path,
                     (long long)kept, (long long)p->config->tasks_kept);
        kept -= all.p[i].weight;
        dropped += all.p[i].weight;
    }
    vec_free(&all);
}

int verb_job_delete(struct call *c) {
    return c->dry_run ? 0 : job_drop(host_cap_state(c->host, "placement"), c->object, c->who.name, &c->err);
}
