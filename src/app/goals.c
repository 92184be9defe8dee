/* Every goal with its target, and what bench/run last measured: value, peer, machine, date, commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cli.h"
#include "app/list.h"

enum { RESULTS_MAX = 16 << 20 };

/* One JSON object a line, oldest first; a row that cannot be read is an error with its line, not skipped. */
int goals_measured(struct arena *a, struct doc **out, struct err *e) {
    char path[APP_PATH];
    struct text t = TEXT_INIT;
    *out = doc_map(a);
    if (place_shipped("bench/results.jsonl", path, NULL))
        return 0;
    int rc = file_read(path, RESULTS_MAX, &t, e), line = 0;
    char *rest = t.p;
    for (char *s; !rc && rest && (s = strsep(&rest, "\n"));) {
        struct doc *d = NULL;
        line++;
        if (!*s)
            continue;
        if ((rc = json_parse(a, path, s, strlen(s), NULL, &d, e))) {
            err_place(e, "%s:%d", path, line);
            break;
        }
        const char *goal = doc_get_str(d, "goal", NULL);
        struct doc *last = goal ? doc_get(*out, goal) : NULL;
        if (last)
            last->list = d->list;
        else if (goal)
            doc_put(*out, goal, d);
    }
    text_free(&t);
    return rc;
}

static void row_add(struct arena *a, struct doc *rows, const char *name, const char *cap, const struct goal *g,
                    const struct doc *last) {
    struct doc *r = doc_map(a), *value = doc_get(last, "value"), *target = doc_get(last, "target");
    doc_put_str(a, r, "goal", name);
    doc_put_str(a, r, "of", cap);
    if (g)
        doc_put_real(a, r, "target", g->target);
    else if (target)
        doc_put(r, "target", doc_copy(a, target));
    if (value)
        doc_put(r, "value", doc_copy(a, value));
    doc_put_str(a, r, "unit", g ? g->unit : doc_get_str(last, "unit", ""));
    doc_put_str(a, r, "ok", !last ? "not measured" : doc_get_bool(last, "ok", false) ? "yes" : "no");
    const struct doc *peer = doc_get(last, "peer");
    struct text t = TEXT_INIT;
    if (peer && peer->type == DOC_STR)
        text_add(&t, peer->str.p);
    else if (peer && peer->type != DOC_NULL)
        json_print(&t, peer, 0);
    doc_put_str(a, r, "peer", text_str(&t));
    text_free(&t);
    doc_put_str(a, r, "date", doc_get_str(last, "date", ""));
    doc_put_str(a, r, "commit", doc_get_str(last, "commit", ""));
    doc_put_str(a, r, "measured_by", g ? g->measured_by : arena_printf(a, "bench/run %s", doc_get_str(last, "row", name)));
    doc_push(rows, r);
}

static bool is_of_cap(const char *name) {
    for (size_t i = 0; app_caps[i]; i++)
        for (size_t k = 0; k < app_caps[i]->ngoals; k++)
            if (!strcmp(app_caps[i]->goals[k].name, name))
                return true;
    return false;
}

int command_goals(const struct options *o, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *results, *rows = doc_seq(&a);
    struct text out = TEXT_INIT;
    int rc = goals_measured(&a, &results, e);
    for (size_t i = 0; !rc && app_caps[i]; i++)
        for (size_t k = 0; k < app_caps[i]->ngoals; k++)
            row_add(&a, rows, app_caps[i]->goals[k].name, app_caps[i]->name, &app_caps[i]->goals[k],
                    doc_get(results, app_caps[i]->goals[k].name));
    doc_each(last, rc ? NULL : results) {
        if (!is_of_cap(last->key))
            row_add(&a, rows, last->key, "house", NULL, last);
    }
    if (!rc && o->json)
        json_print(&out, rows, 2);
    else if (!rc)
        print_rows(rows, NULL, NULL, &out);
    if (!rc)
        printf("%s%s", text_str(&out), o->json ? "\n" : "");
    text_free(&out);
    arena_free(&a);
    return rc;
}
