/* suan ON VERB [NAME] [FIELD=VALUE…]: words into one call of the API, its answer onto the terminal.
 *
 * A word without "=" is the object's name where the verb wants one; the next ones fill the verb's input fields in
 * the order of its table (`suan explain job/weather`). For a field that is a document the word names a file, "-" is
 * standard input (`suan job submit share/jobs/hello.yaml`). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/client.h"
#include "core/loop.h"

enum { FILE_MAX = 4 << 20, WATCH_US = 1000000, LOG_CHUNK = 65536 };

struct command {
    const struct options *o;
    struct catalogue catalogue;
    struct arena a;
    const char *on, *name;
    const struct verb *verb;
    struct doc *body;
};

static int file_value(struct command *c, const char *path, struct doc **out, struct err *e) {
    struct text t = TEXT_INIT;
    int rc = file_read(path, FILE_MAX, &t, e);
    if (!rc)
        *out = doc_strn(&c->a, text_str(&t), t.n);
    text_free(&t);
    return rc;
}

/* A document given on the command line: JSON where it reads as JSON, else a text. */
static struct doc *document_value(struct command *c, const char *s) {
    struct doc *d = NULL;
    return json_parse(&c->a, "command line", s, strlen(s), NULL, &d, NULL) ? doc_str(&c->a, s) : d;
}

static struct doc *list_value(struct command *c, const char *s) {
    struct doc *d = doc_seq(&c->a);
    char *copy = arena_strdup(&c->a, s), *rest = copy;
    for (char *item; *s && (item = strsep(&rest, ","));)
        doc_push(d, doc_str(&c->a, item));
    return d;
}

static const struct table *input_of(const struct command *c) {
    if (c->verb->in)
        return c->verb->in;
    const struct kind *k = c->verb->flags & VERB_FREE_FORM ? estate_kind(c->catalogue.estate, c->on) : NULL;
    return k ? k->table : NULL;
}

static void pair_add(struct command *c, const char *word) {
    const char *eq = strchr(word, '=');
    const char *key = arena_strndup(&c->a, word, (size_t)(eq - word));
    const struct field *f = input_of(c) ? table_find(input_of(c), key) : NULL;
    struct doc *v = f && f->type == FIELD_DOC ? document_value(c, eq + 1)
                    : f && f->count_max       ? list_value(c, eq + 1)
                                              : doc_str(&c->a, eq + 1);
    doc_put(c->body, key, v);
}

/* The next field of the input that has no value yet. */
static int place_word(struct command *c, const char *word, struct err *e) {
    const struct table *t = c->verb->in;
    for (uint32_t i = 0; t && i < t->nfields; i++) {
        const struct field *f = &t->fields[i];
        if (doc_get(c->body, f->name))
            continue;
        if (f->type != FIELD_DOC) {
            doc_put_str(&c->a, c->body, f->name, word);
            return 0;
        }
        struct doc *v = NULL;
        int rc = file_value(c, word, &v, e);
        if (rc)
            return rc;
        doc_put(c->body, f->name, v);
        if (table_find(t, "source") && !doc_get(c->body, "source"))
            doc_put_str(&c->a, c->body, "source", word);
        return 0;
    }
    err_set(e, E_INVAL, "'%.64s' is one word too many for %s %s", word, c->on, c->verb->name);
    err_hint(e, "suan help %s %s", c->on, c->verb->name);
    return E_INVAL;
}

static int words_read(struct command *c, struct err *e) {
    const struct options *o = c->o;
    size_t i = 0;
    c->on = o->words[0];
    if (verbs_find(c->catalogue.verbs, "system", o->words[0])) {
        c->on = "system";
    } else {
        i = 1;
        if (o->n_words < 2) {
            const struct verb *any;
            if (estate_kind(c->catalogue.estate, c->on))
                err_set(e, E_INVAL, "what shall be done with %s?", c->on);
            else if (!catalogue_find(&c->catalogue, c->on, "", &any, e))
                return 0;
            if (!*e->hint)
                err_hint(e, "suan help %s", c->on);
            return E_INVAL;
        }
    }
    int rc = catalogue_find(&c->catalogue, c->on, o->words[i], &c->verb, e);
    if (rc)
        return rc;
    bool wants_name = c->verb->on_object || !strcmp(c->verb->name, "create");
    for (i++; i < o->n_words; i++) {
        const char *word = o->words[i], *eq = strchr(word, '=');
        bool is_pair = eq && eq != word && strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_") == (size_t)(eq - word);
        if (is_pair)
            pair_add(c, word);
        else if (wants_name && !c->name)
            c->name = word;
        else if ((rc = place_word(c, word, e)))
            return rc;
    }
    if (c->verb->on_object && !c->name) {
        err_set(e, E_INVAL, "%s %s wants the name of a %s", c->on, c->verb->name, c->on);
        err_hint(e, "suan %s list", c->on);
        return E_INVAL;
    }
    if (!c->verb->on_object && c->name && !doc_get(c->body, "name"))
        doc_put_str(&c->a, c->body, "name", c->name);
    return 0;
}

static void query_add(const struct command *c, struct text *path) {
    const char *mark = "?";
    doc_each(d, c->body) {
        text_add(path, mark);
        client_encode(path, d->key);
        text_add_char(path, '=');
        client_encode(path, d->type == DOC_STR ? d->str.p : "");
        mark = "&";
    }
}

static int call(struct command *c, struct client *cl, struct text *out, struct err *e) {
    struct text path = TEXT_INIT;
    bool is_list = !strcmp(c->verb->on, "*") && !strcmp(c->verb->name, "list");
    bool is_create = !strcmp(c->verb->on, "*") && !strcmp(c->verb->name, "create");
    client_encode(&path, c->on);
    if (c->verb->on_object) {
        text_add_char(&path, '/');
        client_encode(&path, c->name);
    }
    if (!is_list && !is_create) {
        text_add_char(&path, '/');
        client_encode(&path, c->verb->name);
    }
    if (is_list)
        query_add(c, &path);
    else if (c->o->dry_run)
        text_add(&path, "?dry_run=1");
    int rc = client_call(cl, text_str(&path), is_list ? NULL : c->body, out, e);
    text_free(&path);
    return rc;
}

static int confirm(const struct command *c, struct err *e) {
    char line[16] = "";
    if (!(c->verb->flags & VERB_DANGEROUS) || c->o->yes || c->o->dry_run)
        return 0;
    if (isatty(0) && isatty(2)) {
        fprintf(stderr, "%s %s %s: %s Go on? [y/N] ", c->on, c->verb->name, c->name ? c->name : "", c->verb->doc);
        if (fgets(line, sizeof line, stdin) && (*line == 'y' || *line == 'Y'))
            return 0;
        return err_set(e, E_CANCELLED, "nothing was done");
    }
    err_set(e, E_DENIED, "%s %s is dangerous, so it asks first, and there is nobody to ask", c->on, c->verb->name);
    err_hint(e, "add --yes");
    return E_DENIED;
}

static int answer_print(const struct command *c, const struct text *raw, struct text *shown, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    if (c->verb->flags & VERB_RAW) {
        text_add_n(shown, text_str(raw), raw->n);
        return 0;
    }
    int rc = json_parse(&a, "answer", text_str(raw), raw->n, NULL, &d, e);
    if (!rc && c->o->json) {
        json_print(shown, d, 2);
        text_add_char(shown, '\n');
    } else if (!rc) {
        print_answer(&c->catalogue, c->on, c->verb, d, shown);
    }
    arena_free(&a);
    return rc;
}

/* Until interrupted. */
static int watch(struct command *c, struct client *cl, struct err *e) {
    struct text before = TEXT_INIT;
    struct loop *l = loop_new(LOOP_REAL, 0);
    int rc = 0;
    while (!rc) {
        struct text raw = TEXT_INIT, shown = TEXT_INIT;
        rc = call(c, cl, &raw, e);
        if (!rc)
            rc = answer_print(c, &raw, &shown, e);
        if (!rc && strcmp(text_str(&shown), text_str(&before))) {
            printf("%s%s", isatty(1) ? "\033[H\033[2J" : before.n ? "\n" : "", text_str(&shown));
            fflush(stdout);
        }
        text_free(&before);
        text_free(&raw);
        before = shown;
        loop_turn(l, WATCH_US);
    }
    text_free(&before);
    loop_free(l);
    return rc;
}

/* Logs grow: ask for what is new until the object has ended. */
static int follow(struct command *c, struct client *cl, struct err *e) {
    struct loop *l = loop_new(LOOP_REAL, 0);
    int64_t offset = 0;
    int rc = 0;
    for (bool is_open = true; !rc;) {
        struct text raw = TEXT_INIT;
        struct doc *body = doc_map(&c->a), *object = NULL;
        struct arena a = ARENA_INIT;
        doc_put_int(&c->a, body, "offset_bytes", offset);
        doc_put_int(&c->a, body, "limit_bytes", LOG_CHUNK);
        c->body = body;
        rc = call(c, cl, &raw, e);
        fwrite(text_str(&raw), 1, raw.n, stdout);
        fflush(stdout);
        offset += (int64_t)raw.n;
        bool more = raw.n > 0;
        text_free(&raw);
        if (!is_open && !more)
            break;
        if (!rc && !more) {
            struct text path = TEXT_INIT;
            text_addf(&path, "%s/", c->on);
            client_encode(&path, c->name);
            rc = client_doc(cl, text_str(&path), NULL, &a, &object, e);
            const char *state = rc ? "" : doc_get_str(object, "state", "running");
            is_open = strcmp(state, "done") && strcmp(state, "failed") && strcmp(state, "cancelled");
            text_free(&path);
            if (is_open)
                loop_turn(l, WATCH_US / 4);
        }
        arena_free(&a);
    }
    loop_free(l);
    return rc;
}

int command_call(const struct options *o, struct err *e) {
    struct command c = {.o = o, .a = ARENA_INIT};
    struct client *cl = NULL;
    struct text raw = TEXT_INIT, shown = TEXT_INIT;
    catalogue_open(&c.catalogue);
    c.body = doc_map(&c.a);
    int rc = words_read(&c, e);
    if (!rc)
        rc = confirm(&c, e);
    if (!rc)
        rc = client_open(o, &cl, e);
    if (!rc && o->watch) {
        rc = watch(&c, cl, e);
    } else if (!rc && o->follow && !strcmp(c.verb->name, "logs")) {
        rc = follow(&c, cl, e);
    } else if (!rc) {
        rc = call(&c, cl, &raw, e);
        if (!rc)
            rc = answer_print(&c, &raw, &shown, e);
        fwrite(text_str(&shown), 1, shown.n, stdout);
    }
    text_free(&raw);
    text_free(&shown);
    client_close(cl);
    catalogue_close(&c.catalogue);
    arena_free(&c.a);
    return rc;
}
