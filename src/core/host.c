/* Setting up and taking down the organs of a controller. */
#include "core/host.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cycle.h"
#include "core/draft.h"
#include "core/telemetry.h"

static const char *const call_labels[] = {"on", "verb", "code", NULL}, *const cap_labels[] = {"cap", NULL};
static const double call_bounds[] = {0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, INFINITY};
static const double decide_bounds[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, INFINITY};
const struct metric house_metrics[] = {
    {"suan_verb_calls", METRIC_COUNTER, NULL, call_labels, NULL, 4000, "Calls by verb and outcome."},
    {"suan_verb_seconds", METRIC_HISTOGRAM, "seconds", NULL, call_bounds, 0, "How long calls took."},
    {"suan_decide_seconds", METRIC_HISTOGRAM, "seconds", cap_labels, decide_bounds, 0, "How long deciding took."},
    {"suan_plan_dropped", METRIC_COUNTER, NULL, cap_labels, NULL, 0, "Parts of plans over a limit."},
    {"suan_journal_pending", METRIC_GAUGE, NULL, NULL, NULL, 0, "Journal rows that wait for their commit."},
    {"suan_journal_dropped", METRIC_COUNTER, NULL, NULL, NULL, 0, "Journal rows over the limit while the store could not be written."},
};

enum { CONFIG_TEXT = 8192, JOURNAL_KEEP = 1000000 };

struct restore {
    struct host *h;
};

static int restore_object(void *ctx, const char *kind, const char *name, const char *parent, const char *json,
                          struct err *e) {
    struct restore *r = ctx;
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    if (!strcmp(kind, "token") || !estate_kind(r->h->estate, kind))
        return 0;
    int rc = json_parse(&a, "state.db", json, strlen(json), NULL, &d, e);
    /* References between objects of the store may point forward: first make all, then fill. */
    if (!rc)
        rc = estate_restore(r->h->estate, kind, name, parent, NULL, e);
    arena_free(&a);
    return rc;
}

static int refill_object(void *ctx, const char *kind, const char *name, const char *parent, const char *json,
                         struct err *e) {
    struct restore *r = ctx;
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    if (!strcmp(kind, "token") || !estate_kind(r->h->estate, kind))
        return 0;
    int rc = json_parse(&a, "state.db", json, strlen(json), NULL, &d, e);
    if (!rc)
        rc = estate_restore(r->h->estate, kind, name, parent, d, e);
    if (!rc)
        cycle_mark_stored(r->h, estate_find(r->h->estate, kind, name));
    arena_free(&a);
    return rc;
}

/* What was configured before; fields that this version does not know or accept any more are dropped, not fatal. */
static void config_load(struct host *h, size_t i) {
    const struct table *t = h->caps[i]->config;
    char key[96], json[CONFIG_TEXT];
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    snprintf(key, sizeof key, "config.%s", h->caps[i]->name);
    if (t && !store_get(h->store, key, json, sizeof json, NULL) &&
        !json_parse(&a, key, json, strlen(json), NULL, &d, NULL)) {
        doc_each(f, d) {
            struct doc one = {.type = DOC_MAP};
            doc_push(&one, arena_copy(&a, f, sizeof *f));
            table_read(t, h->cycle->caps[i].config, &one, key, NULL, TABLE_RESTORE, NULL);
        }
    }
    arena_free(&a);
}

static int modes_load(struct host *h) {
    for (size_t i = 0; i < h->cycle->n_caps; i++) {
        char key[96], word[24];
        config_load(h, i);
        snprintf(key, sizeof key, "mode.%s", h->caps[i]->name);
        if (store_get(h->store, key, word, sizeof word, NULL))
            continue;
        for (int m = 0; cap_mode_words[m]; m++)
            if (!strcmp(cap_mode_words[m], word))
                h->cycle->caps[i].mode = (enum cap_mode)m;
    }
    return 0;
}

static void token_write(struct host *h) {
    char secret[65], path[300];
    struct principal who;
    struct err e;
    snprintf(path, sizeof path, "%s/token", h->state_folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, secret, 64);
        close(fd);
        secret[n > 0 ? n : 0] = '\0';
        if (n == 64 && !auth_check(h->auth, secret, loop_wall_us(), &who, NULL))
            return;
    }
    auth_revoke(h->auth, "admin", NULL);
    if (auth_create(h->auth, "admin", ROLE_ADMIN, "", 0, secret, &e))
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (write(fd, secret, 64) != 64 || write(fd, "\n", 1) != 1)
        unlink(path);
    close(fd);
}

static int value_keep(struct host *h, const char *key, const char *value, struct err *e) {
    int rc = store_begin(h->store, e);
    return rc ? rc : store_end(h->store, store_put(h->store, key, value, e), e);
}

static void journal_keep_load(struct host *h) {
    char text[32];
    int64_t rows = store_get(h->store, "journal.keep", text, sizeof text, NULL) ? 0 : strtoll(text, NULL, 10);
    h->journal_keep = rows > 0 ? rows : JOURNAL_KEEP;
}

int host_journal_keep(struct host *h, int64_t rows, struct err *e) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)rows);
    int rc = value_keep(h, "journal.keep", text, e);
    if (!rc)
        h->journal_keep = rows;
    return rc;
}

static int seed_keep(struct host *h, uint64_t *seed, struct err *e) {
    char text[32];
    if (!store_get(h->store, "seed", text, sizeof text, NULL)) {
        *seed = strtoull(text, NULL, 10);
        return 0;
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)*seed);
    return value_keep(h, "seed", text, e);
}

int host_open(struct host *h, struct loop *loop, const struct kind *const *kinds, size_t nkinds,
              const struct cap *const *caps, const char *state_folder, uint64_t seed, struct err *e) {
    char path[300];
    memset(h, 0, sizeof *h);
    h->loop = loop;
    h->caps = caps;
    if (state_folder) {
        str_copy(h->state_folder, sizeof h->state_folder, state_folder);
        if (mkdir(state_folder, 0700) && errno != EEXIST)
            return err_errno(e, errno, "cannot make the state folder %s", state_folder);
        snprintf(path, sizeof path, "%s/state.db", state_folder);
    }
    h->estate = estate_new(kinds, nkinds);
    h->arbiter = arbiter_new();
    h->metrics = metrics_new();
    h->verbs = verbs_new();
    h->telemetry = telemetry_new(h);
    metrics_add_table(h->metrics, house_metrics, sizeof house_metrics / sizeof house_metrics[0]);
    verbs_add(h->verbs, house_verbs, house_nverbs);
    size_t n = 0;
    for (; caps && caps[n]; n++) {
        verbs_add(h->verbs, caps[n]->verbs, caps[n]->nverbs);
        metrics_add_table(h->metrics, caps[n]->metrics, caps[n]->nmetrics);
        arbiter_add_properties(h->arbiter, caps[n]->properties, caps[n]->nproperties);
    }
    h->cap_state = calloc(n + 1, sizeof *h->cap_state);
    cycle_init(h);
    int rc = store_open(state_folder ? path : NULL, &h->store, e);
    struct restore r = {h};
    if (!rc)
        rc = seed_keep(h, &seed, e);
    h->rng = rng_new(seed);
    if (!rc)
        journal_keep_load(h);
    if (!rc)
        rc = auth_open(h->store, &h->auth, e);
    if (!rc)
        rc = store_each_object(h->store, restore_object, &r, e);
    if (!rc)
        rc = store_each_object(h->store, refill_object, &r, e);
    if (rc)
        return err_context(e, "cannot start from %s", state_folder ? state_folder : "memory");
    if (state_folder)
        token_write(h);
    h->cycle->cursor_store = h->cycle->cursor_events = estate_sequence(h->estate);
    return modes_load(h);
}

int host_start(struct host *h, struct err *e) {
    for (size_t i = 0; i < h->cycle->n_caps; i++) {
        int rc = h->caps[i]->start ? h->caps[i]->start(h, h->cycle->caps[i].config, &h->cap_state[i], e) : 0;
        if (rc)
            return err_context(e, "capability %s cannot start", h->caps[i]->name);
    }
    cycle_start(h);
    return 0;
}

void host_close(struct host *h) {
    if (!h->cycle)
        return;
    for (size_t i = h->cycle->n_caps; i-- > 0;)
        if (h->caps[i]->stop && h->cap_state[i])
            h->caps[i]->stop(h, h->cap_state[i]);
    cycle_free(h);
    telemetry_free(h->telemetry);
    drafts_free(h->drafts);
    auth_close(h->auth);
    store_close(h->store);
    verbs_free(h->verbs);
    metrics_free(h->metrics);
    arbiter_free(h->arbiter);
    estate_free(h->estate);
    free(h->cap_state);
    memset(h, 0, sizeof *h);
}

void *host_cap_state(const struct host *h, const char *cap) {
    for (size_t i = 0; i < h->cycle->n_caps; i++)
        if (!strcmp(h->caps[i]->name, cap))
            return h->cap_state[i];
    return NULL;
}

enum cap_mode host_cap_mode(const struct host *h, size_t cap) { return h->cycle->caps[cap].mode; }

int host_cap_set_mode(struct host *h, const char *cap, enum cap_mode mode, struct err *e) {
    char key[96];
    size_t i = 0;
    while (i < h->cycle->n_caps && strcmp(h->caps[i]->name, cap))
        i++;
    if (i == h->cycle->n_caps)
        return err_set(e, E_NOTFOUND, "there is no capability '%.48s'", cap);
    snprintf(key, sizeof key, "mode.%s", cap);
    int rc = value_keep(h, key, cap_mode_words[mode], e);
    if (rc)
        return rc;
    h->cycle->caps[i].mode = mode;
    h->cycle->caps[i].due = true;
    host_kick(h);
    return 0;
}

struct doc *host_cap_config(const struct host *h, size_t cap, struct arena *a) {
    return table_write(h->caps[cap]->config, h->cycle->caps[cap].config, a, NULL, 0);
}

static int config_keep(struct host *h, const char *cap, const char *json, struct err *e) {
    char key[96];
    snprintf(key, sizeof key, "config.%s", cap);
    if (strlen(json) >= CONFIG_TEXT)
        return err_set(e, E_LIMIT, "the configuration of %s is longer than %d bytes", cap, CONFIG_TEXT - 1);
    return value_keep(h, key, json, e);
}

int host_cap_configure(struct host *h, const char *cap, const struct doc *fields, const char *source, bool dry_run,
                       struct err *e) {
    size_t i = 0;
    while (i < h->cycle->n_caps && strcmp(h->caps[i]->name, cap))
        i++;
    if (i == h->cycle->n_caps)
        return err_set(e, E_NOTFOUND, "there is no capability '%.48s'", cap);
    const struct table *t = h->caps[i]->config;
    if (!t)
        return err_set(e, E_INVAL, "capability %s has nothing to configure", cap);
    struct arena a = ARENA_INIT;
    struct text json = TEXT_INIT;
    void *wanted = arena_copy(&a, h->cycle->caps[i].config, t->size);
    int rc = table_read(t, wanted, fields, source, NULL, TABLE_SET, e);
    if (!rc)
        rc = table_check(t, wanted, e);
    if (!rc && !dry_run) {
        json_print(&json, table_write(t, wanted, &a, NULL, 0), 0);
        rc = config_keep(h, cap, text_str(&json), e);
    }
    if (!rc && !dry_run) {
        memcpy(h->cycle->caps[i].config, wanted, t->size); /* in place: the capability holds a pointer to it */
        h->cycle->caps[i].due = true;
        host_kick(h);
    }
    text_free(&json);
    arena_free(&a);
    return rc;
}

static int file_read(const char *path, struct text *out, struct err *e) {
    FILE *f = fopen(path, "re");
    char buffer[16384];
    size_t n;
    if (!f)
        return err_errno(e, errno, "cannot read %s", path);
    while ((n = fread(buffer, 1, sizeof buffer, f)) && out->n < 64u << 20)
        text_add_n(out, buffer, n);
    int bad = ferror(f);
    fclose(f);
    return bad ? err_set(e, E_IO, "cannot read %s", path) : 0;
}

int host_import(struct host *h, const char *path, struct err *e) {
    struct text t = TEXT_INIT;
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    uint64_t revision = 0;
    int rc = file_read(path, &t, e);
    if (!rc)
        rc = yaml_parse(&a, path, text_str(&t), t.n, NULL, &d, e);
    if (!rc) {
        struct txn *x = estate_begin(h->estate);
        rc = txn_import(x, d, path, e);
        if (rc)
            txn_abort(x);
        else
            rc = txn_commit(x, "import", path, &revision, e);
    }
    if (!rc)
        host_journal(h, "commit", "import", "", NULL, "import %s: revision %llu", path, (unsigned long long)revision);
    text_free(&t);
    arena_free(&a);
    return rc;
}

void host_acted(struct host *h, const struct command *c, int rc, const struct err *e) {
    char path[ESTATE_PATH];
    if (!estate_alive(h->estate, c->object))
        return;
    if (!rc) {
        estate_condition(h->estate, c->object, "command-failed", SEV_WARNING, "arbiter", 0, NULL);
        return;
    }
    estate_path(h->estate, c->object, path);
    arbiter_failed(h->arbiter, c->object, c->property->field);
    estate_condition(h->estate, c->object, "command-failed", SEV_WARNING, "arbiter", loop_now_us(h->loop), e->message);
    host_journal(h, "alarm", c->by, path, NULL, "setting %s of %s failed: %s", c->property->field, path, e->message);
}
