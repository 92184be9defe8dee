/* `suan once`: the three sample jobs on a running region, what they cost, and whether their results are right. It is a
 * client like any other: the public API and nothing else. `suan up ESTATE --once` starts it as a child of the region.
 *
 * Results are judged twice. Each batch job ends with a task that compares its result with one computed by another program
 * and fails the job when it is wrong; its log says how many comparisons there were. The function's answers are compared
 * here, each with the row of share/jobs/expected/wetbulb.jsonl it was asked for. */
#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/client.h"
#include "core/loop.h"
#include "estate/kinds.h"

enum { INVOCATIONS = 2000, POLL_US = 200000, READY_US = 60000000, DONE_US = 1200000000, FILE_MAX = 4 << 20 };

static const struct sample {
    const char *name, *file;
    const char *shows[3]; /* what of its comparison the table shows; none = a function job */
} samples[] = {
    {"weather", "share/jobs/weather.yaml", {"beijing.full_hours", "shanghai.full_hours", "guangzhou.full_hours"}},
    {"wetbulb", "share/jobs/wetbulb.yaml", {NULL}},
    {"forecast", "share/jobs/forecast.yaml", {"mae", NULL}},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

struct once_row { /* in the order of the table's columns; the last may be long */
    char job[16], centre[64];
    double wall_s, cpu_s, energy_kwh, carbon_kg, cost_cny;
    char result[256], why[512];
};
static const struct field once_fields[] = {
    FIELD_TEXT(struct once_row, job, .doc = "Which."),
    FIELD_TEXT(struct once_row, centre, .doc = "Where most of its tasks ran, and how many other centres had some."),
    FIELD_REAL(struct once_row, wall_s, .unit = "s", .doc = "From submission to end."),
    FIELD_REAL(struct once_row, cpu_s, .unit = "s", .doc = "CPU time of its tasks."),
    FIELD_REAL(struct once_row, energy_kwh, .unit = "kWh", .doc = "Energy of that."),
    FIELD_REAL(struct once_row, carbon_kg, .unit = "kg", .doc = "CO2e of that."),
    FIELD_REAL(struct once_row, cost_cny, .unit = "CNY", .doc = "Price of that."),
    FIELD_TEXT(struct once_row, result, .doc = "Whether it is right."),
    FIELD_TEXT(struct once_row, why, .doc = "Why there, for the last task placed there."),
};
static const char *const once_columns[] = {"job", "centre", "wall_s", "cpu_s", "energy_kwh", "carbon_kg", "cost_cny", "result", "why", NULL};
static const struct table once_table = TABLE(once_row, once_fields, "What a sample job was.");

struct once {
    const struct options *o;
    struct client *client;
    struct loop *loop;
    struct arena arena, kept; /* of one step; of the table */
    struct doc *rows;
    int64_t asked, wrong_answers, cold;
    size_t wrong;      /* jobs whose result is not right */
    struct text picks; /* a few of the numbers that were compared */
    struct err *e;
};

/* -- small talk with the controller -- */

static int ask(struct once *x, struct doc **out, const struct doc *body, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int ask(struct once *x, struct doc **out, const struct doc *body, const char *format, ...) {
    char path[256];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    return client_doc(x->client, path, body, &x->arena, out, x->e);
}

static void woken(void *ctx) { *(bool *)ctx = true; }

static void wait_us(struct once *x, int64_t us) {
    struct timer t = {0};
    bool done = false;
    timer_mono_in(x->loop, &t, us, woken, &done);
    while (!done)
        loop_turn(x->loop, us);
}

static int shipped(struct once *x, const char *what, struct text *out) {
    char path[APP_PATH];
    int rc = place_shipped(what, path, x->e);
    return rc ? rc : file_read(path, FILE_MAX, out, x->e);
}

/* -- the steps -- */

/* Placement works with one centre, too; but then the table would say little about eight. */
static int agents_wait(struct once *x) {
    int64_t until = loop_mono_fresh_us() + READY_US;
    for (;;) {
        struct doc *d = NULL;
        size_t all = 0, there = 0;
        int rc = ask(x, &d, NULL, "agent");
        if (rc)
            return rc;
        doc_each(a, doc_get(d, "items")) {
            all++;
            there += !strcmp(doc_get_str(a, "state", ""), "connected") || str_starts(doc_get_str(a, "backend", ""), "twin");
        }
        if (all && there == all)
            return 0;
        if (loop_mono_fresh_us() > until)
            return err_set(x->e, E_TIMEOUT, "only %zu of %zu agents have come within %d s", there, all, READY_US / 1000000);
        arena_reset(&x->arena);
        wait_us(x, POLL_US);
    }
}

static int submit(struct once *x, const struct sample *s) {
    struct text job = TEXT_INIT;
    struct doc *body = doc_map(&x->arena), *d = NULL;
    int rc = shipped(x, s->file, &job);
    if (!rc) {
        doc_put_str(&x->arena, body, "job", text_str(&job));
        doc_put_str(&x->arena, body, "source", s->file);
        rc = ask(x, &d, body, "job/submit");
    }
    if (rc == E_EXISTS)
        err_hint(x->e, "it has run here before: suan job delete %s, or give a new state folder", s->name);
    text_free(&job);
    return rc;
}

/* A function is deployed after its job is accepted, so the very first call may come too early: once more, for a while. */
static int invoke(struct once *x, const struct doc *input, struct doc **out) {
    struct doc *body = doc_map(&x->arena);
    int64_t until = loop_mono_fresh_us() + READY_US;
    doc_put(body, "input", doc_copy(&x->arena, input));
    for (;;) {
        int rc = ask(x, out, body, "function/wetbulb/invoke");
        bool early = !x->asked && (rc == E_UNAVAIL || rc == E_NOTFOUND || rc == E_STATE);
        if (!early || loop_mono_fresh_us() > until)
            return rc;
        wait_us(x, POLL_US);
    }
}

static int invoke_row(struct once *x, const struct doc *row) {
    struct doc *d = NULL;
    const double nothing = 1e9;
    int rc = invoke(x, doc_get(row, "in"), &d);
    if (rc)
        return err_context(x->e, "call %lld of the function", (long long)x->asked + 1);
    double got = doc_get_real(doc_get(d, "output"), "wet_bulb_c", nothing), want = doc_get_real(row, "wet_bulb_c", -nothing);
    bool right = fabs(got - want) <= doc_get_real(row, "within", 0);
    if (!right && x->wrong_answers++ < 5)
        fprintf(stderr, "once: wetbulb call %lld answered %g, %g was expected\n", (long long)x->asked + 1, got, want);
    x->asked++;
    x->cold += doc_get_bool(d, "cold", false);
    return 0;
}

/* Row after row of the expected answers, round and round, until all calls are made. */
static int invoke_all(struct once *x) {
    struct text lines = TEXT_INIT;
    int rc = shipped(x, "share/jobs/expected/wetbulb.jsonl", &lines);
    const char *p = text_str(&lines);
    while (!rc && x->asked < INVOCATIONS) {
        size_t n = strcspn(p, "\n");
        struct arena a = ARENA_INIT;
        struct doc *row = NULL;
        if (n)
            rc = json_parse(&a, "share/jobs/expected/wetbulb.jsonl", p, n, NULL, &row, x->e);
        if (n && !rc)
            rc = invoke_row(x, row);
        arena_free(&a);
        arena_reset(&x->arena);
        p = p[n] && p[n + 1] ? p + n + 1 : text_str(&lines);
        if (!n && !lines.n)
            rc = err_set(x->e, E_INVAL, "share/jobs/expected/wetbulb.jsonl is empty");
    }
    text_free(&lines);
    return rc;
}

static int job_wait(struct once *x, const struct sample *s, struct doc **job) {
    int64_t until = loop_mono_fresh_us() + DONE_US;
    for (;;) {
        int rc = ask(x, job, NULL, "job/%s", s->name);
        const char *state = rc ? "" : doc_get_str(*job, "state", "");
        if (rc || (strcmp(state, "queued") && strcmp(state, "running")))
            return rc;
        if (loop_mono_fresh_us() > until)
            return err_set(x->e, E_TIMEOUT, "job %s is %s after %d s", s->name, state, DONE_US / 1000000);
        arena_reset(&x->arena);
        wait_us(x, POLL_US);
    }
}

/* -- the table -- */

struct tally {
    const char *name;
    size_t n;
};

/* "wuhu 5 of 14, and 3 more": where the tasks ran; `why` is that of a task in the first of them. */
static void places(const struct doc *tasks, struct once_row *row) {
    struct tally t[32] = {{0}};
    size_t n = 0, all = 0, most = 0;
    doc_each(task, tasks) {
        const char *centre = doc_get_str(task, "centre", "");
        size_t k = 0;
        while (k < n && strcmp(t[k].name, centre))
            k++;
        if (k == 32 || !*centre)
            continue;
        if (k == n)
            t[n++].name = centre;
        t[k].n++;
        all++;
        most = t[k].n > t[most].n ? k : most;
    }
    if (!n)
        return;
    if (n == 1)
        str_copy(row->centre, sizeof row->centre, t[0].name);
    else
        snprintf(row->centre, sizeof row->centre, "%.30s %zu of %zu, and %zu more", t[most].name, t[most].n, all, n - 1);
    doc_each(task, tasks) {
        if (!strcmp(doc_get_str(task, "centre", ""), t[most].name))
            str_copy(row->why, sizeof row->why, doc_get_str(task, "why", ""));
    }
}

/* The verifying task's own words: "right beijing.full_hours: 14861, expected …". */
static size_t comparisons(struct once *x, const struct sample *s, const char *log, struct once_row *row) {
    size_t right = 0, wrong = 0;
    for (const char *p = log; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        right += str_starts(p, "right ");
        wrong += str_starts(p, "wrong ");
        for (size_t i = 0; i < 3 && s->shows[i] && str_starts(p, "right "); i++) {
            size_t n = strlen(s->shows[i]);
            if (!strncmp(p + 6, s->shows[i], n) && p[6 + n] == ':')
                text_addf(&x->picks, "  %s: %.*s\n", s->name, (int)strcspn(p, "\n"), p);
        }
    }
    if (wrong || !right)
        fprintf(stderr, "once: job %s, what its comparison said:\n%s\n", s->name, log);
    snprintf(row->result, sizeof row->result, "%s: %zu of %zu comparisons", wrong || !right ? "WRONG" : "right", right,
             right + wrong);
    return right && !wrong ? 0 : 1;
}

static void spent(const struct doc *job, struct once_row *row) {
    const struct doc *a = doc_get(job, "account");
    row->wall_s = doc_get_real(a, "wall_s", 0);
    row->cpu_s = doc_get_real(a, "cpu_s", 0);
    row->energy_kwh = doc_get_real(a, "energy_kwh", 0);
    row->carbon_kg = doc_get_real(a, "carbon_kg", 0);
    row->cost_cny = doc_get_real(a, "cost_cny", 0);
}

static int function_row(struct once *x, struct once_row *row, size_t *wrong) {
    struct doc *f = NULL;
    int rc = ask(x, &f, NULL, "function/wetbulb");
    if (rc)
        return rc;
    str_copy(row->centre, sizeof row->centre, doc_get_str(f, "centre", ""));
    str_copy(row->why, sizeof row->why, doc_get_str(f, "why", ""));
    spent(f, row);
    *wrong = x->wrong_answers != 0;
    snprintf(row->result, sizeof row->result, "%s: %lld of %lld answers; %lld cold start%s", *wrong ? "WRONG" : "right",
             (long long)(x->asked - x->wrong_answers), (long long)x->asked, (long long)x->cold, x->cold == 1 ? "" : "s");
    return 0;
}

static int batch_row(struct once *x, const struct sample *s, struct once_row *row, size_t *wrong) {
    struct doc *tasks = NULL;
    struct text log = TEXT_INIT;
    char path[128];
    int rc = ask(x, &tasks, NULL, "task?parent=job/%s&limit=1000", s->name);
    snprintf(path, sizeof path, "task/%s-verify/logs?limit_bytes=262144", s->name);
    if (!rc)
        rc = client_call(x->client, path, NULL, &log, x->e);
    if (!rc) {
        places(doc_get(tasks, "items"), row);
        *wrong = comparisons(x, s, text_str(&log), row);
    }
    text_free(&log);
    return rc;
}

static int row_add(struct once *x, const struct sample *s) {
    struct once_row row = {0};
    struct doc *job = NULL;
    size_t wrong = 0;
    arena_reset(&x->arena);
    int rc = job_wait(x, s, &job);
    if (rc)
        return rc;
    bool done = !strcmp(doc_get_str(job, "state", ""), "done");
    str_copy(row.job, sizeof row.job, s->name);
    spent(job, &row);
    char reason[192];
    str_copy(reason, sizeof reason, doc_get_str(job, "reason", ""));
    rc = s->shows[0] ? batch_row(x, s, &row, &wrong) : function_row(x, &row, &wrong);
    if (!done) /* a job that failed early has no comparison to read: its reason says more */
        rc = 0;
    row.wall_s = doc_get_real(doc_get(job, "account"), "wall_s", row.wall_s);
    if (!done)
        snprintf(row.result, sizeof row.result, "FAILED: %.180s", reason);
    else if (!rc && (row.cpu_s <= 0 || row.energy_kwh <= 0))
        snprintf(row.result, sizeof row.result, "WRONG: it was done, yet nothing was accounted");
    x->wrong += !done || wrong || row.cpu_s <= 0 || row.energy_kwh <= 0;
    doc_push(x->rows, table_write(&once_table, &row, &x->kept, NULL, 0));
    return rc;
}

static int once_all(struct once *x) {
    struct text table = TEXT_INIT;
    int rc = agents_wait(x);
    for (size_t i = 0; !rc && i < SAMPLES; i++)
        rc = submit(x, &samples[i]);
    if (!rc)
        printf("once: three jobs are submitted; the function is called %d times beside the others\n", INVOCATIONS);
    fflush(stdout);
    if (!rc)
        rc = invoke_all(x);
    for (size_t i = 0; !rc && i < SAMPLES; i++)
        rc = row_add(x, &samples[i]);
    if (rc)
        return rc;
    print_rows(x->rows, once_columns, &once_table, &table);
    printf("\n%s\n%s\n", text_str(&table), text_str(&x->picks));
    text_free(&table);
    return x->wrong ? 1 : 0;
}

int command_once(const struct options *o, struct err *e) {
    struct once x = {.o = o, .e = e};
    int rc = client_open(o, &x.client, e);
    if (rc)
        return rc;
    x.loop = loop_new(LOOP_REAL, 0);
    x.rows = doc_seq(&x.kept);
    rc = once_all(&x);
    client_close(x.client);
    loop_free(x.loop);
    arena_free(&x.arena);
    arena_free(&x.kept);
    text_free(&x.picks);
    return rc;
}

/* -- a state folder for one run -- */

int once_state_make(char out[APP_PATH], struct err *e) {
    const char *tmp = getenv("TMPDIR");
    snprintf(out, APP_PATH, "%.400s/suan-once-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(out) ? 0 : err_errno(e, errno, "cannot make a state folder %s", out);
}

static int forget(const char *path, const struct stat *st, int type, struct FTW *at) { return remove(path) && false; }

/* Never across a mount: what an agent might have left mounted is not ours to empty. */
void once_state_remove(const char *path) { nftw(path, forget, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); }
