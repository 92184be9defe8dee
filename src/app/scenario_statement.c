/* The statements of a scenario, a row each. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/scenario_private.h"
#include "base/civil.h"
#include "device/twin/executor.h"

enum { FILE_BYTES_MAX = 1 << 20, ANSWER_US = 120000000 };
static const int64_t SPAN_MAX_US = 315576000000000; /* ten years */

struct span {
    int64_t span_us;
};
static const struct field span_fields[] = {FIELD_SPAN(struct span, span_us, .doc = "A time.")};

static int span_read(const char *text, int64_t *out, struct err *e) {
    struct span v = {0};
    int rc = field_read_text(&span_fields[0], &v, text ? text : "", NULL, e);
    *out = v.span_us;
    return rc ? rc : v.span_us < 0 ? err_set(e, E_INVAL, "'%s' is below zero", text) : 0;
}

/* -- the head -- */

static int statement_title(struct scenario *s, const char *word, char *rest, struct err *e) {
    (void)word, (void)e;
    text_addf(s->report, "# %s%s\n", rest, s->o->extra ? " (changed by the caller)" : "");
    return 0;
}

static int statement_estate(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *file = word_next(&rest);
    (void)word;
    if (!file || s->is_open)
        return file ? scenario_refuse(s, e, "one estate a scenario, before anything else") : E_INVAL;
    return scenario_find(s, file, s->estate, e);
}

static int statement_seed(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *number = word_next(&rest), *end;
    (void)word;
    if (!number || s->is_open)
        return number ? scenario_refuse(s, e, "the seed stands before the estate is used") : E_INVAL;
    uint64_t seed = strtoull(number, &end, 10);
    if (*end || end == number)
        return scenario_refuse(s, e, "seed '%s' is not a number", number);
    s->seed = s->o->seed ? s->seed : seed;
    return 0;
}

static int statement_start(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *at = word_next(&rest);
    (void)word;
    if (!at || s->is_open)
        return at ? scenario_refuse(s, e, "the start stands before the estate is used") : E_INVAL;
    return civil_parse(at, &s->start_us) ? 0 : scenario_refuse(s, e, "'%s' is not a time like 2026-01-01T00:00:00Z", at);
}

/* -- configuration -- */

int scenario_set(struct scenario *s, oid id, const char *name, const char *value, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *d = doc_map(&a), *list = NULL;
    const struct field *f = table_find(estate_kind_of(s->house.host.estate, id)->table, name);
    uint64_t revision;
    if (f && f->count_max) {
        list = doc_seq(&a);
        char *copy = arena_strdup(&a, value);
        for (char *item; (item = strsep(&copy, ","));)
            doc_push(list, doc_str(&a, item));
    }
    doc_put(d, name, list ? list : doc_str(&a, value));
    struct txn *t = estate_begin(s->house.host.estate);
    int rc = txn_set(t, id, d, s->path, e);
    if (rc)
        txn_abort(t);
    else
        rc = txn_commit(t, "scenario", "set", &revision, e);
    arena_free(&a);
    if (!rc && s->is_live)
        host_kick(&s->house.host);
    return rc;
}

static int statement_set(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *path = word_next(&rest), *eq = strchr(rest, '=');
    oid id;
    (void)word;
    if (!path || !eq)
        return err_set(e, E_INVAL, "set wants an object and field=value");
    *eq = '\0';
    int rc = estate_lookup_path(s->house.host.estate, path, &id, e);
    return rc ? rc : scenario_set(s, id, rest + strspn(rest, " \t"), eq + 1, e);
}

/* "pdu" is every pdu, "pdu/c1-p1" one. */
static int each_object(struct scenario *s, const char *what, const char *value,
                       int (*fn)(struct scenario *s, oid id, const char *value, struct err *e), struct err *e) {
    const struct kind *k;
    oid id;
    const struct estate *es = s->house.host.estate;
    if (strchr(what, '/')) {
        int rc = estate_lookup_path(es, what, &id, e);
        return rc ? rc : fn(s, id, value, e);
    }
    int rc = estate_kind_find(es, what, &k, e);
    for (id = 0; !rc && (id = estate_next(es, what, id));)
        rc = fn(s, id, value, e);
    return rc;
}

static int one_backend(struct scenario *s, oid id, const char *spec, struct err *e) {
    return scenario_set(s, id, "backend", spec, e);
}

static int statement_backend(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *what = word_next(&rest), *spec = word_next(&rest), *instrument = word_next(&rest);
    (void)word;
    if (!what || !spec)
        return err_set(e, E_INVAL, "backend wants a class and a backend");
    if (words_end(rest, e))
        return E_INVAL;
    if (s->is_live)
        return scenario_refuse(s, e, "backends are chosen before time passes");
    if (!strcmp(spec, "modbus") && strcmp(what, "pdu"))
        return scenario_refuse(s, e, "modbus serves all of class pdu: backend pdu modbus");
    if (!strcmp(what, "pdu"))
        s->is_wired = !strcmp(spec, "modbus");
    if (!strcmp(spec, "modbus")) {
        str_copy(s->instrument, sizeof s->instrument, instrument ? instrument : "twin");
        return 0;
    }
    return each_object(s, what, spec, one_backend, e);
}

static int one_filter(struct scenario *s, oid id, const char *spec, struct err *e) {
    return device_filter(s->house.host.devices, id, spec, e);
}
static int one_unfilter(struct scenario *s, oid id, const char *name, struct err *e) {
    return device_unfilter(s->house.host.devices, id, name, e);
}

static int statement_filter(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *what = word_next(&rest), *spec = word_next(&rest);
    if (!what || !spec)
        return err_set(e, E_INVAL, "%s wants a device and a filter", word);
    if (words_end(rest, e))
        return E_INVAL;
    return each_object(s, what, spec, strcmp(word, "filter") ? one_unfilter : one_filter, e);
}

/* -- verbs -- */

struct asking { /* a call on its way; freed by whichever ends last: the answer, or the one that waits */
    struct call c;
    struct scenario *s;
    int line, rc;
    bool is_refusal, is_answered, is_waited;
    char text[LINE_MAX_BYTES];
};

static void asking_judge(struct asking *a) {
    if ((a->rc != 0) == a->is_refusal) {
        if (a->is_refusal)
            scenario_check(a->s, true, a->line, a->text, "");
    } else {
        scenario_check(a->s, false, a->line, a->text, a->rc ? a->c.err.message : "it was not refused");
    }
}

static void asking_free(struct asking *a) {
    text_free(&a->c.raw);
    arena_free(&a->c.arena);
    free(a);
}

static void asking_answered(struct call *c, int rc) {
    struct asking *a = c->transport_ctx;
    a->rc = rc;
    a->is_answered = true;
    if (!a->is_waited) {
        asking_judge(a);
        asking_free(a);
    }
}

/* The CLI's words: pairs are fields, a file is a document where the field is one, other words fill what is next. */
static int body_add(struct asking *a, const struct verb *v, struct doc *body, char *w, struct err *e) {
    struct arena *ar = &a->c.arena;
    char *eq = strchr(w, '=');
    const struct field *f = NULL;
    if (eq) {
        *eq = '\0';
        f = v->in ? table_find(v->in, w) : NULL;
        struct doc *d = NULL;
        if (!f || f->type != FIELD_DOC || json_parse(ar, "scenario", eq + 1, strlen(eq + 1), NULL, &d, NULL))
            d = doc_str(ar, eq + 1);
        doc_put(body, arena_strdup(ar, w), d);
        return 0;
    }
    for (uint32_t i = 0; v->in && i < v->in->nfields && !f; i++)
        f = doc_get(body, v->in->fields[i].name) ? NULL : &v->in->fields[i];
    if (!f)
        return scenario_refuse(a->s, e, "'%.60s' is one word too many for %s %s", w, v->on, v->name);
    if (f->type != FIELD_DOC) {
        doc_put_str(ar, body, f->name, w);
        return 0;
    }
    char path[512];
    struct text t = TEXT_INIT;
    int rc = scenario_find(a->s, w, path, e);
    if (!rc)
        rc = file_read(path, FILE_BYTES_MAX, &t, e);
    if (!rc)
        doc_put(body, f->name, doc_strn(ar, text_str(&t), t.n));
    if (!rc && table_find(v->in, "source"))
        doc_put_str(ar, body, "source", w);
    text_free(&t);
    return rc;
}

static int statement_verb(struct scenario *s, const char *word, char *rest, struct err *e) {
    struct host *h = &s->house.host;
    struct asking *a = calloc(1, sizeof *a);
    assert(a);
    *a = (struct asking){.s = s, .line = s->line, .is_refusal = !strcmp(word, "refuse"), .is_waited = !s->is_timed};
    snprintf(a->text, sizeof a->text, "%s %s", word, rest);
    char *on = a->is_refusal ? (word_next(&rest), word_next(&rest)) : word_next(&rest), *name = word_next(&rest), *object = NULL;
    const struct verb *v = on && name ? verbs_find(h->verbs, on, name) : NULL;
    if (!v && on && name && estate_kind(h->estate, on))
        v = verbs_find(h->verbs, "*", name);
    int rc = 0;
    if (!on || !name)
        rc = err_set(e, E_INVAL, "%s wants a noun and a verb", word);
    else if (!v)
        rc = verbs_lookup(h->verbs, on, name, &v, e);
    struct doc *body = doc_map(&a->c.arena);
    if (!rc && v->on_object)
        object = word_next(&rest);
    for (char *w; !rc && (w = word_next(&rest));)
        rc = body_add(a, v, body, w, e);
    if (rc) {
        asking_free(a);
        return rc;
    }
    a->c.host = h;
    a->c.who.role = ROLE_ADMIN;
    str_copy(a->c.who.name, sizeof a->c.who.name, "scenario");
    a->c.answer = asking_answered;
    a->c.transport_ctx = a;
    int64_t until = loop_now_us(s->loop) + ANSWER_US;
    bool is_waited = a->is_waited;
    call_start(&a->c, on, object, name, body, "scenario");
    if (!is_waited)
        return 0;
    while (!a->is_answered && loop_now_us(s->loop) < until)
        loop_turn(s->loop, 1000000);
    assert(a->is_answered); /* the dispatcher ends every call at its deadline */
    asking_judge(a);
    asking_free(a);
    return 0;
}

/* -- the world -- */

static int statement_poke(struct scenario *s, const char *word, char *rest, struct err *e) {
    char command[LINE_MAX_BYTES + 32];
    snprintf(command, sizeof command, "%s %s", word, rest);
    return world_poke(twin_world(s->house.twin), command, e);
}

static int statement_cut(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *path = word_next(&rest);
    oid id;
    int rc = words_end(rest, e);
    if (!rc)
        rc = estate_lookup_path(s->house.host.estate, path ? path : "", &id, e);
    return rc ? rc : twin_executor_cut(&s->house.host, id, !strcmp(word, "cut"), e);
}

/* -- time -- */

static int statement_warp(struct scenario *s, const char *word, char *rest, struct err *e) {
    int64_t us;
    (void)word;
    if (s->is_timed)
        return scenario_refuse(s, e, "time cannot be moved inside an 'at'");
    int rc = span_read(word_next(&rest), &us, e);
    if (!rc)
        rc = words_end(rest, e);
    int64_t most = s->o->span_max_us ? s->o->span_max_us : SPAN_MAX_US;
    if (!rc && us > s->start_us + most - loop_now_us(s->loop))
        return err_set(e, E_LIMIT, "a scenario takes at most %lld s of plant time", (long long)(most / 1000000));
    if (!rc)
        loop_run_until(s->loop, loop_now_us(s->loop) + us);
    return rc ? rc : s->later_rc;
}

static void later_now(void *ctx) {
    struct later *l = ctx;
    struct scenario *s = l->s;
    int line = s->line;
    if (s->later_rc)
        return;
    s->is_timed = true;
    s->later_rc = scenario_line(s, l->text, l->line, s->e);
    s->is_timed = false;
    s->line = line;
}

static int statement_at(struct scenario *s, const char *word, char *rest, struct err *e) {
    char *colon = strchr(rest, ':');
    int64_t us;
    (void)word;
    rest += strspn(rest, " \t");
    if (!colon || *rest != '+')
        return err_set(e, E_INVAL, "at wants a time after the start and a statement");
    *colon = '\0';
    int rc = span_read(rest + 1, &us, e);
    if (rc)
        return rc;
    if (us > SPAN_MAX_US)
        return err_set(e, E_LIMIT, "'+%s' is beyond ten years", rest + 1);
    if (s->start_us + us < loop_now_us(s->loop))
        return scenario_refuse(s, e, "+%s is past already", rest + 1);
    struct later *l = calloc(1, sizeof *l);
    assert(l);
    *l = (struct later){.s = s, .line = s->line};
    str_copy(l->text, sizeof l->text, colon + 1);
    vec_push(&s->later, l);
    timer_at(s->loop, &l->timer, s->start_us + us, 0, later_now, l);
    return 0;
}

const struct statement statements[] = {
    {"title", false, statement_title, "title WORDS"},
    {"estate", false, statement_estate, "estate FILE"},
    {"seed", false, statement_seed, "seed NUMBER"},
    {"start", false, statement_start, "start 2026-01-01T00:00:00Z"},
    {"set", false, statement_set, "set rack/NAME field=value"},
    {"backend", false, statement_backend, "backend pdu|pdu/NAME twin|modbus [twin:OPTIONS]"},
    {"filter", true, statement_filter, "filter pdu|pdu/NAME fault:rate_ratio=0.1"},
    {"unfilter", true, statement_filter, "unfilter pdu/NAME fault"},
    {"verb", true, statement_verb, "verb ON VERB [NAME] [field=value …]"},
    {"refuse", true, statement_verb, "refuse verb ON VERB [NAME] [field=value …]"},
    {"load", true, statement_poke, "load node/NAME|rack/NAME 0..1"},
    {"unload", true, statement_poke, "unload node/NAME"},
    {"fail", true, statement_poke, "fail node/NAME"},
    {"repair", true, statement_poke, "repair node/NAME"},
    {"trip", true, statement_poke, "trip pdu/NAME"},
    {"reset", true, statement_poke, "reset pdu/NAME"},
    {"supply", true, statement_poke, "supply rack/NAME -20..60"},
    {"cut", true, statement_cut, "cut agent/NAME"},
    {"join", true, statement_cut, "join agent/NAME"},
    {"warp", true, statement_warp, "warp 15m"},
    {"at", true, statement_at, "at +5m: STATEMENT"},
    {"expect", true, statement_expect, "expect [no] PATH FIELD OP VALUE | condition PATH NAME | journal \"TEXT\""},
    {"always", true, statement_always, "always PATH FIELD OP VALUE"},
};
const size_t statement_count = sizeof statements / sizeof statements[0];
