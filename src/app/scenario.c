/* Reading a scenario, building its house, letting time pass, summing up. */
#include "app/scenario.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/scenario_private.h"
#include "base/civil.h"
#include "base/hash.h"
#include "device/wire/modbus.h"
#include "estate/kinds.h"

enum { FILE_BYTES_MAX = 1 << 20 };
#define RESIDUAL_MAX 1e-9 /* of the energy balance: rounding only */

int scenario_refuse(const struct scenario *s, struct err *e, const char *format, ...) {
    char message[256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    err_set(e, E_PARSE, "%s", message);
    err_place(e, "%s:%d", s->path, s->line);
    return E_PARSE;
}

char *word_next(char **rest) {
    char *p = *rest;
    while (*p == ' ' || *p == '\t')
        p++;
    if (!*p)
        return NULL;
    char *word = p;
    p += strcspn(p, " \t");
    if (*p)
        *p++ = '\0';
    *rest = p;
    return word;
}

int words_end(char *rest, struct err *e) {
    char *word = word_next(&rest);
    return word && *word != '#' ? err_set(e, E_INVAL, "'%.60s' is one word too many", word) : 0;
}

/* "share/estates/rack.yaml" lies in share/ of the sources, and beside scenarios/ where it is installed. */
int scenario_find(const struct scenario *s, const char *what, char out[512], struct err *e) {
    const char *names[] = {what, str_starts(what, "share/") ? what + 6 : what};
    char folder[512];
    for (int i = 0; i < 2 && *what != '/'; i++) {
        str_copy(folder, sizeof folder, s->path);
        for (bool is_top = false; !is_top;) {
            char *slash = strrchr(folder, '/');
            is_top = !slash;
            if (slash)
                *slash = '\0';
            if (snprintf(out, 512, "%s/%s", slash ? folder : ".", names[i]) < 512 && !access(out, R_OK))
                return 0;
        }
    }
    str_copy(out, 512, what);
    return !access(out, R_OK) || !place_shipped(what, out, NULL) ? 0
           : scenario_refuse(s, e, "there is no '%.200s' in the scenario's folder or above it", what);
}

void scenario_check(struct scenario *s, bool good, int line, const char *what, const char *why) {
    char now[CIVIL_TEXT];
    civil_print(now, s->loop ? loop_now_us(s->loop) : 0);
    const char *file = strrchr(s->path, '/');
    text_addf(s->report, "%s %d - %s:%d: %s\n", good ? "ok" : "not ok", s->o->checks_before + s->result->passed + s->result->failed + 1,
              file ? file + 1 : s->path, line, what);
    if (good) {
        s->result->passed++;
        return;
    }
    s->result->failed++;
    text_addf(s->report, "#   at %s: %s\n#   repeat: suan scenario %s --journal%s%s\n", now, why, s->path,
              s->o->seed ? " --seed " : "", s->o->seed ? s->o->seed : "");
}

/* -- the house -- */

static bool line_is_live(const char *line) {
    size_t n = strcspn(line, " \t");
    for (size_t i = 0; i < statement_count; i++)
        if (!strncmp(statements[i].word, line, n) && !statements[i].word[n])
            return statements[i].is_live;
    return false;
}

/* The caller's statements: those of configuration when the estate stands, the others when the house lives. */
static int extra_run(struct scenario *s, bool is_live, struct err *e) {
    char line[LINE_MAX_BYTES];
    for (const char *p = s->o->extra; p && *p;) {
        size_t n = strcspn(p, "\n");
        if (n >= sizeof line)
            return scenario_refuse(s, e, "an extra statement is longer than %d bytes", LINE_MAX_BYTES);
        memcpy(line, p, n);
        line[n] = '\0';
        int rc = line_is_live(line) == is_live ? scenario_line(s, line, s->line, e) : 0;
        if (rc)
            return rc;
        p += n + (p[n] == '\n');
    }
    return 0;
}

/* Without life yet: the estate stands, its configuration can be changed before anything acts on it. */
static int house_build(struct scenario *s, struct err *e) {
    if (s->is_open)
        return 0;
    if (!*s->estate)
        return scenario_refuse(s, e, "the scenario has no estate yet: write 'estate FILE' first");
    s->loop = loop_new(LOOP_VIRTUAL, s->start_us);
    s->is_open = true;
    int rc = house_open(&s->house, s->loop, NULL, s->seed, e);
    if (!rc)
        rc = host_import(&s->house.host, s->estate, e);
    return rc ? rc : extra_run(s, false, e);
}

/* The same world, but its PDUs are reached as real ones are. */
static int wires_lay(struct scenario *s, struct err *e) {
    struct host *h = &s->house.host;
    char spec[BACKEND_TEXT];
    int rc = twin_open(h, s->seed, &s->house.twin, e);
    if (!rc)
        rc = wire_modbus_open(h, &backend_twin_pdu, s->instrument, NULL, &s->wire, e);
    for (oid i = 0; !rc && (i = estate_next(h->estate, "pdu", i));)
        if (!(rc = wire_modbus_spec(s->wire, i, spec, e)))
            rc = scenario_set(s, i, "backend", spec, e);
    return rc;
}

int scenario_live(struct scenario *s, struct err *e) {
    if (s->is_live)
        return 0;
    int rc = house_build(s, e);
    s->is_live = true;
    if (!rc && s->is_wired)
        rc = wires_lay(s, e);
    if (!rc)
        rc = house_start(&s->house, s->seed, e);
    return rc ? rc : extra_run(s, true, e);
}

int scenario_line(struct scenario *s, char *text, int line, struct err *e) {
    char *rest = text, *word = word_next(&rest);
    const char *words[64];
    size_t n = 0;
    if (!word || *word == '#')
        return 0;
    s->line = line;
    for (size_t i = 0; i < statement_count; i++) {
        words[n++] = statements[i].word;
        if (strcmp(statements[i].word, word))
            continue;
        bool is_head = !strcmp(word, "title") || !strcmp(word, "estate") || !strcmp(word, "seed") || !strcmp(word, "start");
        int rc = is_head ? 0 : statements[i].is_live ? scenario_live(s, e) : house_build(s, e);
        s->line = line;
        if (rc) /* the house: its place may be in the estate's file */
            return *e->place ? rc : (err_place(e, "%s:%d", s->path, line), rc);
        *e = (struct err){0};
        rc = statements[i].fn(s, word, rest, e);
        if (rc && !*e->message)
            err_set(e, rc, "'%s' wants more than that", word);
        if (rc == E_INVAL && !*e->hint)
            err_hint(e, "the form is: %s", statements[i].form);
        if (rc && !s->later_rc) /* else it was an `at` while time passed, which has said its own line */
            err_place(e, "%s:%d", s->path, line);
        return rc;
    }
    scenario_refuse(s, e, "there is no statement '%.40s'", word);
    const char *near = str_nearest(word, words, n);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    return E_PARSE;
}

/* -- summing up -- */

static int row_print(void *ctx, const struct journal_row *row) {
    struct scenario *s = ctx;
    char at[CIVIL_TEXT];
    civil_print(at, row->time_us);
    if (!strcmp(row->kind, "decision") || !strcmp(row->kind, "advice") || !strcmp(row->kind, "alarm"))
        text_addf(s->report, "# %s %-8s %-10s %s\n", at, row->kind, row->by, row->text);
    return 0;
}

static void finish(struct scenario *s) {
    struct host *h = &s->house.host;
    struct err e = {0};
    int64_t rows = 0;
    struct journal_query all = {.limit = INT64_MAX};
    for (int i = 0; i < 64 && (loop_run_deferred(s->loop) || i < 2); i++)
        host_cycle(h);
    always_report(s);
    int rc = journal_verify(h->store, &rows, &e);
    scenario_check(s, !rc, s->line, "the journal's chain holds", e.message);
    char text[80];
    double off = world_energy_residual_ratio(twin_look(s->house.twin));
    snprintf(text, sizeof text, "the residual is %g", off);
    scenario_check(s, off < RESIDUAL_MAX, s->line, "the world's energy balance closes", text);
    struct hash x;
    s->result->rows = rows;
    s->result->decision_hash = journal_decision_hash(h->store);
    hash_begin(&x, 0);
    hash_u64(&x, s->result->decision_hash);
    hash_u64(&x, estate_hash(h->estate));
    hash_u64(&x, world_hash(twin_look(s->house.twin)));
    s->result->state_hash = hash_end(&x);
    if (s->o->journal)
        journal_read(h->store, &all, row_print, s, NULL);
    if (s->o->row)
        journal_read(h->store, &all, s->o->row, s->o->row_ctx, NULL);
    text_addf(s->report, "# state %016llx, decisions %016llx, %lld rows\n", (unsigned long long)s->result->state_hash,
              (unsigned long long)s->result->decision_hash, (long long)rows);
}

static void close_all(struct scenario *s) {
    if (s->loop)
        timer_cancel(s->loop, &s->always_timer);
    for (size_t i = 0; i < s->later.n; i++) {
        timer_cancel(s->loop, &s->later.p[i]->timer);
        free(s->later.p[i]);
    }
    vec_free(&s->later);
    if (s->wire) { /* between the drivers that use it and the world behind it */
        devices_close(s->house.host.devices);
        s->house.host.devices = NULL;
        wire_modbus_close(s->wire);
    }
    if (s->is_open)
        house_close(&s->house);
    loop_free(s->loop);
}

int scenario_run_text(const char *path, char *text, const struct scenario_options *o, struct scenario_result *result,
                      struct text *report, struct err *e) {
    struct scenario *s = calloc(1, sizeof *s);
    int rc = 0, line = 0;
    assert(s);
    *result = (struct scenario_result){0};
    *s = (struct scenario){.path = path, .o = o, .result = result, .report = report, .seed = 1, .e = e,
                           .start_us = 1767225600000000 /* 2026-01-01 */};
    if (o->seed)
        s->seed = strtoull(o->seed, NULL, 10);
    for (char *rest = text, *p; !rc && rest && (p = strsep(&rest, "\n"));) {
        s->line = ++line;
        if (strlen(p) >= LINE_MAX_BYTES || line > LINES_MAX)
            rc = scenario_refuse(s, e, "a line has at most %d bytes and a file %d lines", LINE_MAX_BYTES - 1, LINES_MAX);
        else
            rc = scenario_line(s, p, line, e);
        if (!rc)
            rc = s->later_rc;
    }
    if (!rc && (rc = scenario_live(s, e)) && !*e->place)
        err_place(e, "%s:%d", path, line);
    if (!rc)
        finish(s);
    close_all(s);
    free(s);
    return rc;
}

int scenario_run(const char *path, const struct scenario_options *o, struct scenario_result *result,
                 struct text *report, struct err *e) {
    struct text file = TEXT_INIT;
    *result = (struct scenario_result){0};
    int rc = file_read(path, FILE_BYTES_MAX, &file, e);
    if (!rc && file.p)
        rc = scenario_run_text(path, file.p, o, result, report, e);
    else if (!rc)
        rc = err_set_at(e, E_PARSE, path, "the scenario is empty");
    text_free(&file);
    return rc;
}

/* -- the command -- */

int command_scenario(const struct options *o, struct err *e) {
    int failed = 0, passed = 0, rc = 0;
    if (o->n_words < 2)
        return err_set(e, E_INVAL, "suan scenario FILE…: which scenario?");
    for (size_t i = 1; i < o->n_words && !rc; i++) {
        struct text report = TEXT_INIT;
        struct scenario_result r;
        struct scenario_options so = {.seed = o->seed, .journal = o->journal, .checks_before = passed + failed};
        rc = scenario_run(o->words[i], &so, &r, &report, e);
        fputs(text_str(&report), stdout);
        failed += r.failed;
        passed += r.passed;
        text_free(&report);
    }
    if (!rc)
        printf("1..%d\n", passed + failed);
    return rc ? rc : failed != 0;
}
