/* Job documents: the task graph, its ranges and its globs, into objects of one transaction.
 *
 *   job: weather                        name; made unique by a suffix when taken
 *   type: batch | function | train
 *   tenant, priority, retries_max, policy
 *   tasks:
 *     - name: map-{city}-{month}        one task for each combination of `for`
 *       for: {city: [beijing, shanghai], month: 01..12}
 *       argv: [weather-map, "{city}", "{month}"]
 *       outputs: [part.csv]
 *     - name: reduce-{city}
 *       for: {city: [beijing, shanghai]}
 *       inputs: ["map-{city}-*\/part.csv"]    files of other tasks, by glob; arrives as in/<task>.<file>
 *       after: [prepare]                      order without data
 *   function: {argv: […], instances_max: 4, idle_us: 2s}   for type: function */
#include "cap/placement/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOB_TASKS_MAX = 4096, FOR_VARS_MAX = 4, FOR_VALUES_MAX = 512 };

struct variable {
    const char *name;
    const char **values;
    uint32_t n, at;
};

struct graph_task {
    char name[ESTATE_NAME]; /* without the job's */
    const struct doc *doc;
    struct task *task;
    oid id;
    const struct doc *inputs, *after; /* still with {variables} */
    struct variable vars[FOR_VARS_MAX];
    uint32_t n_vars;
};

struct graph {
    struct arena *a;
    const char *source, *job;
    struct graph_task *tasks;
    uint32_t n;
};

static int fail(const struct graph *g, const struct doc *at, struct err *e, const char *what, const char *value) {
    err_set(e, E_INVAL, "job %s: %s '%s'", g->job, what, value);
    if (at && at->line)
        err_place(e, "%s:%u:%u", g->source, at->line, at->column);
    else
        err_place(e, "%s", g->source);
    return E_INVAL;
}

static const char *scalar(struct graph *g, const struct doc *d) {
    switch (d->type) {
    case DOC_STR:
        return d->str.p;
    case DOC_INT:
        return arena_printf(g->a, "%lld", (long long)d->integer);
    case DOC_REAL:
        return arena_printf(g->a, "%.17g", d->real);
    case DOC_BOOL:
        return d->boolean ? "true" : "false";
    default:
        return NULL;
    }
}

/* Length of "{name}" at `p`, or 0: other braces (JSON, shell) are plain text. */
static size_t variable_form(const char *p) {
    size_t n = *p == '{' ? 1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyz0123456789_-") : 0;
    return n > 1 && p[n] == '}' ? n + 1 : 0;
}

static int unknown_variable(const struct graph *g, const struct graph_task *gt, const char *p, size_t form,
                            const struct doc *at, struct err *e) {
    const char *names[FOR_VARS_MAX];
    char word[ESTATE_NAME];
    for (uint32_t i = 0; i < gt->n_vars; i++)
        names[i] = gt->vars[i].name;
    snprintf(word, sizeof word, "%.*s", (int)(form - 2), p + 1);
    const char *near = str_nearest(word, names, gt->n_vars);
    fail(g, at, e, "`for` has no variable", word);
    if (near)
        err_hint(e, "did you mean '{%s}'?", near);
    else
        err_hint(e, "name it in the task's `for`");
    return E_INVAL;
}

/* "{city}" -> its present value. */
static int expand(struct graph *g, const struct graph_task *gt, const char *in, char *out, size_t size,
                  const struct doc *at, struct err *e) {
    size_t n = 0;
    for (const char *p = in; *p;) {
        const char *piece = p;
        size_t len = 1, form = variable_form(p);
        if (form) {
            piece = NULL;
            for (uint32_t i = 0; i < gt->n_vars; i++)
                if (strlen(gt->vars[i].name) == form - 2 && !strncmp(gt->vars[i].name, p + 1, form - 2))
                    piece = gt->vars[i].values[gt->vars[i].at];
            if (!piece)
                return unknown_variable(g, gt, p, form, at, e);
            len = strlen(piece);
        }
        p += form ? form : 1;
        if (n + len >= size)
            return fail(g, at, e, "too long:", in);
        memcpy(out + n, piece, len);
        n += len;
    }
    out[n] = '\0';
    return 0;
}

/* A list, or "01..12" with the width of its first number. */
static int variable_read(struct graph *g, const struct doc *d, struct variable *v, struct err *e) {
    v->name = d->key;
    v->n = v->at = 0;
    v->values = arena_alloc(g->a, sizeof *v->values * FOR_VALUES_MAX);
    if (d->type == DOC_SEQ) {
        doc_each(item, d) {
            const char *s = scalar(g, item);
            if (!s || v->n == FOR_VALUES_MAX)
                return fail(g, item, e, "`for` wants at most 512 plain values in", d->key);
            v->values[v->n++] = s;
        }
        return v->n ? 0 : fail(g, d, e, "`for` has no value for", d->key);
    }
    long lo = 0, hi = 0;
    int width = 0, end = 0;
    if (d->type != DOC_STR || sscanf(d->str.p, "%ld%n..%ld%n", &lo, &width, &hi, &end) != 2 || d->str.p[end] || lo < 0 ||
        hi < lo || hi - lo >= FOR_VALUES_MAX)
        return fail(g, d, e, "`for` wants a list or a range such as 01..12, of at most 512 values, in", d->key);
    for (long i = lo; i <= hi; i++)
        v->values[v->n++] = arena_printf(g->a, "%0*ld", width, i);
    return 0;
}

static bool next_combination(struct graph_task *t) {
    for (uint32_t i = t->n_vars; i-- > 0;) {
        if (++t->vars[i].at < t->vars[i].n)
            return true;
        t->vars[i].at = 0;
    }
    return false;
}

/* Every text below `d` with its variables filled in; keys of the graph itself are left out. */
static struct doc *instance(struct graph *g, const struct graph_task *gt, const struct doc *d, struct err *e, int *rc) {
    if (d->type == DOC_STR) {
        char text[1024];
        if (!*rc)
            *rc = expand(g, gt, d->str.p, text, sizeof text, d, e);
        struct doc *s = doc_str(g->a, *rc ? "" : text);
        s->line = d->line;
        s->column = d->column;
        return s;
    }
    if (d->type != DOC_SEQ && d->type != DOC_MAP)
        return doc_copy(g->a, d);
    struct doc *out = d->type == DOC_SEQ ? doc_seq(g->a) : doc_map(g->a);
    out->line = d->line;
    out->column = d->column;
    doc_each(item, d) {
        if (d->type == DOC_SEQ) {
            doc_push(out, instance(g, gt, item, e, rc));
            continue;
        }
        static const char *const own[] = {"name", "for", "inputs", "outputs", "after"};
        bool skip = false;
        for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
            skip |= !strcmp(item->key, own[i]);
        if (!skip)
            doc_put(out, item->key, instance(g, gt, item, e, rc));
    }
    return out;
}

static int outputs_read(struct graph *g, const struct doc *d, struct task *t, struct err *e) {
    const struct doc *outs = doc_get(d, "outputs");
    if (outs && outs->type != DOC_SEQ)
        return fail(g, outs, e, "a list of file names is wanted, not a", doc_type_name(outs->type));
    doc_each(item, outs) {
        const char *s = scalar(g, item);
        if (!s || !*s || strchr(s, '/') || s[0] == '.' || strlen(s) >= sizeof t->outputs[0].name)
            return fail(g, item, e, "an output is a plain file name of at most 63 bytes, not", s ? s : "?");
        if (t->n_outputs == TASK_OUTPUTS)
            return fail(g, item, e, "more than 8 outputs:", s);
        for (uint32_t i = 0; i < t->n_outputs; i++)
            if (!strcmp(t->outputs[i].name, s))
                return fail(g, item, e, "the output stands twice:", s);
        str_copy(t->outputs[t->n_outputs++].name, sizeof t->outputs[0].name, s);
    }
    return 0;
}

static int task_add(struct graph *g, const struct doc *d, const struct graph_task *form, const struct field_env *env,
                    struct err *e) {
    const struct doc *name = doc_get(d, "name");
    if (g->n == JOB_TASKS_MAX)
        return fail(g, d, e, "more than 4,096 tasks at", name->str.p);
    struct graph_task *gt = &g->tasks[g->n];
    *gt = *form;
    gt->doc = d;
    int rc = expand(g, gt, name->str.p, gt->name, sizeof gt->name, name, e);
    if (rc)
        return rc;
    if (!str_is_name(gt->name) || strlen(gt->name) + strlen(g->job) + 1 >= ESTATE_NAME)
        return fail(g, name, e, "a task name is [a-z0-9._-], at most 63 bytes with the job's:", gt->name);
    for (uint32_t i = 0; i < g->n; i++)
        if (!strcmp(g->tasks[i].name, gt->name))
            return fail(g, name, e, "two tasks are called", gt->name);
    struct doc *own = instance(g, gt, d, e, &rc);
    if (rc)
        return rc;
    gt->task = arena_new(g->a, struct task);
    table_defaults(kind_task.table, gt->task);
    if ((rc = table_read(kind_task.table, gt->task, own, g->source, env, TABLE_CREATE, e)))
        return err_context(e, "job %s, task %s", g->job, gt->name);
    if (!gt->task->n_argv)
        return fail(g, d, e, "no argv in task", gt->name);
    gt->inputs = doc_get(d, "inputs");
    gt->after = doc_get(d, "after");
    if (gt->inputs && gt->inputs->type != DOC_SEQ)
        return fail(g, gt->inputs, e, "`inputs` is a list of task/file, not a", doc_type_name(gt->inputs->type));
    if (gt->after && gt->after->type != DOC_SEQ)
        return fail(g, gt->after, e, "`after` is a list of task names, not a", doc_type_name(gt->after->type));
    if ((rc = outputs_read(g, d, gt->task, e)))
        return rc;
    g->n++;
    return 0;
}

static int tasks_read(struct graph *g, const struct doc *list, const struct field_env *env, struct err *e) {
    if (!list || list->type != DOC_SEQ || !list->list.n)
        return fail(g, list, e, "a list `tasks` with at least one task is wanted in", g->job);
    g->tasks = arena_alloc(g->a, sizeof *g->tasks * JOB_TASKS_MAX);
    struct graph_task *form = arena_alloc(g->a, sizeof *form);
    doc_each(d, list) {
        const struct doc *name = doc_get(d, "name"), *loop = doc_get(d, "for");
        if (d->type != DOC_MAP || !name || name->type != DOC_STR)
            return fail(g, d, e, "every task wants a text `name` in", g->job);
        memset(form, 0, sizeof *form);
        if (loop && (loop->type != DOC_MAP || loop->list.n > FOR_VARS_MAX))
            return fail(g, loop, e, "`for` is a map of at most 4 variables in", name->str.p);
        doc_each(v, loop) {
            int rc = variable_read(g, v, &form->vars[form->n_vars++], e);
            if (rc)
                return rc;
        }
        do {
            int rc = task_add(g, d, form, env, e);
            if (rc)
                return rc;
        } while (next_combination(form));
    }
    return 0;
}

static int after_add(struct graph *g, struct graph_task *gt, const struct graph_task *before, const struct doc *at,
                     struct err *e) {
    for (uint32_t i = 0; i < gt->task->n_after; i++)
        if (gt->task->after[i] == before->id)
            return 0;
    if (gt->task->n_after == TASK_AFTER)
        return fail(g, at, e, "a task comes after at most 64 others:", gt->name);
    gt->task->after[gt->task->n_after++] = before->id;
    return 0;
}

/* Why no earlier task is meant by `want`: one that stands below (so a circle cannot be written), or a slip of the pen. */
static void hint_task(const struct graph *g, const struct graph_task *gt, const char *want, struct err *e) {
    const char **names = arena_alloc(g->a, sizeof *names * JOB_TASKS_MAX);
    for (uint32_t i = 0; i < g->n; i++)
        names[i] = g->tasks[i].name;
    for (const struct graph_task *t = gt; t < g->tasks + g->n; t++)
        if (str_glob(want, t->name)) {
            err_hint(e, "'%s' is not above this task: a task comes after tasks above it in the list only", t->name);
            return;
        }
    const char *near = str_nearest(want, names, (size_t)(gt - g->tasks));
    if (near && strcmp(near, want))
        err_hint(e, "did you mean '%s'?", near);
    else
        err_hint(e, "list the producing task above this one, with the file among its `outputs`");
}

/* "map-{city}-*\/part.csv": the output of every earlier task that matches. */
static int input_add(struct graph *g, struct graph_task *gt, const struct doc *d, struct err *e) {
    char want[256];
    int rc = d->type == DOC_STR ? expand(g, gt, d->str.p, want, sizeof want, d, e)
                                : fail(g, d, e, "an input is task/file, not a", doc_type_name(d->type));
    if (rc)
        return rc;
    char *slash = strchr(want, '/');
    if (!slash)
        return fail(g, d, e, "an input is task/file, not", want);
    *slash = '\0';
    uint32_t found = 0;
    for (struct graph_task *t = g->tasks; t < gt; t++) {
        if (!str_glob(want, t->name))
            continue;
        for (uint32_t i = 0; i < t->task->n_outputs; i++) {
            if (strcmp(t->task->outputs[i].name, slash + 1))
                continue;
            if (gt->task->n_inputs == TASK_INPUTS)
                return fail(g, d, e, "more than 64 inputs in", gt->name);
            struct artifact_ref *in = &gt->task->inputs[gt->task->n_inputs++];
            in->task = t->id;
            if (snprintf(in->name, sizeof in->name, "%s.%s", t->name, slash + 1) >= (int)sizeof in->name)
                return fail(g, d, e, "the input's file name is longer than 63 bytes:", t->name);
            if ((rc = after_add(g, gt, t, d, e)))
                return rc;
            found++;
        }
    }
    if (!found) {
        *slash = '/';
        fail(g, d, e, "no earlier task has the output", want);
        *slash = '\0';
        hint_task(g, gt, want, e);
        return E_INVAL;
    }
    return 0;
}

static int edges_read(struct graph *g, struct graph_task *gt, struct err *e) {
    int rc = 0;
    doc_each(d, gt->inputs) {
        if ((rc = input_add(g, gt, d, e)))
            return rc;
    }
    doc_each(d, gt->after) {
        char want[ESTATE_NAME];
        if ((rc = d->type == DOC_STR ? expand(g, gt, d->str.p, want, sizeof want, d, e)
                                     : fail(g, d, e, "`after` lists task names, not a", doc_type_name(d->type))))
            return rc;
        uint32_t found = 0;
        for (struct graph_task *t = g->tasks; t < gt; t++)
            if (str_glob(want, t->name)) {
                found++;
                if ((rc = after_add(g, gt, t, d, e)))
                    return rc;
            }
        if (!found) {
            fail(g, d, e, "no earlier task is called", want);
            hint_task(g, gt, want, e);
            return E_INVAL;
        }
    }
    return rc;
}

/* weather, weather-2, weather-3 … */
static const char *free_name(struct graph *g, const struct estate *s, const char *wish) {
    const char *name = wish;
    for (int i = 2; estate_find(s, "job", name) || estate_find(s, "function", name); i++)
        name = arena_printf(g->a, "%s-%d", wish, i);
    return name;
}

static int function_build(struct graph *g, struct placement *p, struct txn *t, const struct doc *d, oid tenant,
                          struct err *e) {
    const struct doc *f = doc_get(d, "function");
    struct field_env env = estate_env(p->host->estate);
    struct function *fn = arena_new(g->a, struct function);
    table_defaults(kind_function.table, fn);
    if (!f || f->type != DOC_MAP)
        return fail(g, d, e, "a map `function` with argv is wanted in", g->job);
    int rc = table_read(kind_function.table, fn, f, g->source, &env, TABLE_CREATE, e);
    if (rc)
        return err_context(e, "function %s", g->job);
    if (!fn->n_argv)
        return fail(g, f, e, "no argv in function", g->job);
    fn->tenant = tenant;
    oid id;
    return txn_insert(t, "function", g->job, 0, fn, &id, e);
}

static int job_read(struct graph *g, struct placement *p, const struct doc *d, struct job *job, struct err *e) {
    struct field_env env = estate_env(p->host->estate);
    struct doc *own = doc_map(g->a);
    own->line = d->line;
    own->column = d->column;
    doc_each(item, d) {
        if (strcmp(item->key, "job") && strcmp(item->key, "tasks") && strcmp(item->key, "function"))
            doc_put(own, item->key, doc_copy(g->a, item));
    }
    table_defaults(kind_job.table, job);
    int rc = table_read(kind_job.table, job, own, g->source, &env, TABLE_CREATE, e);
    if (rc)
        return err_context(e, "job %s", g->job);
    if (*job->policy) {
        const char *const *names = sched_policies();
        size_t n = 0;
        while (names[n] && strcmp(names[n], job->policy))
            n++;
        if (!names[n]) {
            fail(g, doc_get(d, "policy"), e, "no scheduling policy", job->policy);
            const char *near = str_nearest(job->policy, names, n);
            if (near)
                err_hint(e, "did you mean '%s'?", near);
            return E_INVAL;
        }
    }
    return 0;
}

static int tasks_insert(struct graph *g, struct txn *t, oid job, struct err *e) {
    for (uint32_t i = 0; i < g->n; i++) {
        struct graph_task *gt = &g->tasks[i];
        char full[ESTATE_NAME];
        int rc = edges_read(g, gt, e);
        if (rc)
            return rc;
        snprintf(full, sizeof full, "%s", arena_printf(g->a, "%s-%s", g->job, gt->name));
        if ((rc = txn_insert(t, "task", full, job, gt->task, &gt->id, e)))
            return rc;
    }
    return 0;
}

int job_build(struct placement *p, struct txn *t, const struct doc *d, const char *source, const char *user, oid *job_id,
              struct err *e) {
    struct arena a = ARENA_INIT;
    struct graph g = {.a = &a, .source = source, .job = "?"};
    struct field_env env = estate_env(p->host->estate);
    struct job *job = arena_new(&a, struct job);
    const char *wish = doc_get_str(d, "job", NULL);
    int rc = 0;
    if (d->type != DOC_MAP)
        rc = fail(&g, d, e, "a map with `job: NAME` is wanted, not a", doc_type_name(d->type));
    else if (!wish)
        rc = fail(&g, doc_get(d, "job") ? doc_get(d, "job") : d, e, "a text `job` is wanted, not a",
                  doc_get(d, "job") ? doc_type_name(doc_get(d, "job")->type) : "document without it");
    else if (!str_is_name(wish) || strlen(wish) > 31)
        rc = fail(&g, doc_get(d, "job"), e, "a job name is [a-z0-9._-], at most 31 bytes:", wish);
    if (!rc) {
        g.job = free_name(&g, p->host->estate, wish);
        rc = job_read(&g, p, d, job, e);
    }
    bool is_function = !rc && job->type == JOB_FUNCTION;
    if (!rc && !is_function && doc_get(d, "function"))
        rc = fail(&g, doc_get(d, "function"), e, "`function` wants type: function in", g.job);
    if (!rc && is_function)
        rc = function_build(&g, p, t, d, job->tenant, e);
    if (!rc && (!is_function || doc_get(d, "tasks")))
        rc = tasks_read(&g, doc_get(d, "tasks"), &env, e);
    if (!rc) {
        str_copy(job->user, sizeof job->user, user);
        job->submitted_us = loop_now_us(p->host->loop);
        job->tasks = g.n;
        rc = txn_insert(t, "job", g.job, 0, job, job_id, e);
    }
    if (!rc)
        rc = tasks_insert(&g, t, *job_id, e);
    arena_free(&a);
    return rc;
}
