/* job-verify EXPECTED FILE: compares a result with what an independent computation says it must be.
 *
 * $SUAN_SHARE/jobs/expected/EXPECTED.json:
 *   {"source": "…", "checks": [{"at": "beijing.p50_c", "want": 8.1, "within": 0.01},
 *                              {"at": "mae", "below": "naive_day_mae"}]}
 * Prints one line a check and the document itself as the result; exits 1 when one is wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc.h"
#include "folder.h"

static bool number(const struct doc *d, double *out) {
    if (!d || (d->type != DOC_INT && d->type != DOC_REAL))
        return false;
    *out = d->type == DOC_INT ? (double)d->integer : d->real;
    return true;
}

/* 0 = right, 1 = wrong, negative = the check itself cannot be read. */
static int check(const struct doc *c, const struct doc *got, struct err *e) {
    const char *at = doc_get_str(c, "at", NULL), *below = doc_get_str(c, "below", NULL);
    double value, want = 0, within = 0;
    if (!at || !(below || (number(doc_get(c, "want"), &want) && number(doc_get(c, "within"), &within))))
        return err_set(e, E_INVAL, "a check wants `at` and either `want` and `within`, or `below`");
    if (!number(doc_at(got, at), &value)) {
        printf("wrong %s: there is no such number\n", at);
        return 1;
    }
    if (below) {
        bool right = number(doc_at(got, below), &want) && value < want;
        printf("%s %s: %g below %s\n", right ? "right" : "wrong", at, value, below);
        return !right;
    }
    bool right = fabs(value - want) <= within;
    printf("%s %s: %g, expected %g within %g\n", right ? "right" : "wrong", at, value, want, within);
    return !right;
}

static int verify(struct arena *a, const char *expected, const char *path, size_t *wrong, struct err *e) {
    char name[128];
    struct text want = TEXT_INIT, have = TEXT_INIT, line = TEXT_INIT;
    struct doc *w = NULL, *got = NULL;
    if (!str_is_name(expected))
        return err_set(e, E_INVAL, "'%.40s' is no name of an expected result", expected);
    snprintf(name, sizeof name, "jobs/expected/%s.json", expected);
    int rc = folder_read_share(name, &want, e);
    rc = rc ? rc : json_parse(a, name, text_str(&want), want.n, NULL, &w, e);
    rc = rc ? rc : folder_read(path, &have, e);
    rc = rc ? rc : json_parse(a, path, text_str(&have), have.n, NULL, &got, e);
    const struct doc *checks = rc ? NULL : doc_get(w, "checks");
    if (!rc && (!checks || checks->type != DOC_SEQ || !checks->list.n))
        rc = err_set(e, E_INVAL, "%s has no list `checks`", name);
    for (const struct doc *c = rc ? NULL : checks->list.first; c && !rc; c = c->next) {
        int one = check(c, got, e);
        rc = one < 0 ? one : 0;
        *wrong += one > 0;
    }
    if (!rc) {
        json_print(&line, got, 0);
        printf("result %s\n", text_str(&line));
    }
    text_free(&want);
    text_free(&have);
    text_free(&line);
    return rc;
}

int main(int argc, char **argv) {
    struct arena a = ARENA_INIT;
    struct err e = {0};
    size_t wrong = 0;
    int rc = argc == 3 ? verify(&a, argv[1], argv[2], &wrong, &e)
                       : err_set(&e, E_INVAL, "usage: job-verify EXPECTED FILE");
    if (!rc && wrong)
        rc = err_set(&e, E_CONFLICT, "%zu of the checks of '%s' are wrong", wrong, argv[1]);
    arena_free(&a);
    return rc ? folder_fail("job-verify", &e) : 0;
}
