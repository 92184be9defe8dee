/* YAML through libyaml's events, scalars by the core schema of YAML 1.2. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/doc_build.h"
#include "base/map.h"

enum { ANCHORS_MAX = 256 };

struct anchor {
    const char *name;
    struct doc *node;
};

struct reader {
    struct doc_builder b;
    yaml_parser_t parser;
    struct anchor anchors[ANCHORS_MAX];
    size_t n_anchors, depth;
};

static int fail_at(struct reader *r, yaml_mark_t m, int code, const char *message) {
    return doc_builder_fail(&r->b, code, m.line + 1, m.column + 1, "%s", message);
}

static int next(struct reader *r, yaml_event_t *ev) {
    if (yaml_parser_parse(&r->parser, ev))
        return 0;
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t m = p->problem_mark;
    if (p->error == YAML_READER_ERROR)
        return doc_builder_fail(&r->b, E_PARSE, m.line + 1, m.column + 1, "%s at byte %zu",
                                p->problem ? p->problem : "unreadable", p->problem_offset);
    return doc_builder_fail(&r->b, E_PARSE, m.line + 1, m.column + 1, "%s%s%s", p->context ? p->context : "",
                            p->context ? ", " : "", p->problem ? p->problem : "not YAML");
}

static bool any_of(const char *s, const char *const *words) {
    for (; *words; words++)
        if (!strcmp(s, *words))
            return true;
    return false;
}

static bool all_digits(const char *s) {
    if (!*s)
        return false;
    while (*s >= '0' && *s <= '9')
        s++;
    return !*s;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_number(const char *s) {
    s += *s == '-' || *s == '+';
    const char *from = s;
    while (*s >= '0' && *s <= '9')
        s++;
    size_t digits = (size_t)(s - from);
    if (*s == '.') {
        from = ++s;
        while (*s >= '0' && *s <= '9')
            s++;
        digits += (size_t)(s - from);
    }
    if (!digits)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        return all_digits(s);
    }
    return !*s;
}

static void scalar(struct doc *d, const char *s, size_t n, bool plain) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL}, *const falses[] = {"false", "False", "FALSE", NULL};
    d->type = DOC_STR;
    d->str.p = s;
    d->str.n = n;
    if (!plain || strlen(s) != n)
        return;
    if (any_of(s, nulls)) {
        d->type = DOC_NULL;
    } else if (any_of(s, trues) || any_of(s, falses)) {
        d->type = DOC_BOOL;
        d->boolean = any_of(s, trues);
    } else if (n < 63 && all_digits(s + (*s == '-' || *s == '+'))) {
        /* "007" stays text-like in people's minds, but is the integer 7 in the core schema; 01..12 never gets here. */
        errno = 0;
        int64_t v = strtoll(s, NULL, 10);
        if (!errno) {
            d->type = DOC_INT;
            d->integer = v;
        }
    } else if (n < 63 && is_number(s)) {
        double v = strtod(s, NULL);
        if (isfinite(v)) {
            d->type = DOC_REAL;
            d->real = v;
        }
    }
}

static int node(struct reader *r, yaml_event_t *ev, struct doc **out);

static int anchor_add(struct reader *r, const yaml_event_t *ev, const char *name, struct doc *d) {
    if (!name)
        return 0;
    if (r->n_anchors == ANCHORS_MAX)
        return fail_at(r, ev->start_mark, E_LIMIT, "more than 256 anchors");
    r->anchors[r->n_anchors++] = (struct anchor){arena_strdup(r->b.a, name), d};
    return 0;
}

static size_t count(const struct doc *d, size_t *depth) {
    size_t n = 1, deepest = 0;
    if (d->type != DOC_SEQ && d->type != DOC_MAP)
        return n;
    doc_each(item, d) {
        size_t below = 0;
        n += count(item, &below);
        deepest = below > deepest ? below : deepest;
    }
    *depth = deepest + 1;
    return n;
}

static int alias(struct reader *r, const yaml_event_t *ev, struct doc **out) {
    const char *name = (const char *)ev->data.alias.anchor;
    for (size_t i = r->n_anchors; i-- > 0;) {
        if (strcmp(r->anchors[i].name, name))
            continue;
        /* The copy counts against the node budget and the depth: "billion laughs" ends here. */
        size_t depth = 0;
        r->b.nodes += count(r->anchors[i].node, &depth);
        if (r->b.nodes > r->b.limits.nodes_max)
            return fail_at(r, ev->start_mark, E_LIMIT, "aliases make more values than the limit");
        if (r->depth + depth > r->b.limits.depth_max)
            return fail_at(r, ev->start_mark, E_LIMIT, "aliases nest deeper than the limit");
        *out = doc_copy(r->b.a, r->anchors[i].node);
        (*out)->key = NULL;
        return 0;
    }
    return doc_builder_fail(&r->b, E_PARSE, ev->start_mark.line + 1, ev->start_mark.column + 1, "no anchor '%.64s'", name);
}

static int merge(struct reader *r, struct doc *map, const struct doc *from, yaml_mark_t m) {
    if (from->type == DOC_SEQ) {
        doc_each(item, from) {
            int rc = merge(r, map, item, m);
            if (rc)
                return rc;
        }
        return 0;
    }
    if (from->type != DOC_MAP)
        return fail_at(r, m, E_PARSE, "'<<' wants a map or a list of maps");
    doc_each(item, from) {
        if (!doc_get(map, item->key)) {
            struct doc *copy = doc_copy(r->b.a, item);
            int rc = doc_builder_put(&r->b, map, copy->key, copy, m.line + 1, m.column + 1);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int map_read(struct reader *r, struct doc *d) {
    struct doc *merges[8];
    yaml_mark_t marks[8];
    size_t n_merges = 0;
    for (;;) {
        yaml_event_t ev;
        int rc = next(r, &ev);
        if (rc)
            return rc;
        if (ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            break;
        }
        yaml_mark_t m = ev.start_mark;
        if (ev.type != YAML_SCALAR_EVENT || strlen((char *)ev.data.scalar.value) != ev.data.scalar.length) {
            yaml_event_delete(&ev);
            return fail_at(r, m, E_PARSE, "a key must be plain text");
        }
        const char *key = arena_strdup(r->b.a, (const char *)ev.data.scalar.value);
        yaml_event_delete(&ev);
        struct doc *item = NULL;
        if ((rc = next(r, &ev)))
            return rc;
        rc = node(r, &ev, &item);
        yaml_event_delete(&ev);
        if (rc)
            return rc;
        if (!strcmp(key, "<<")) {
            if (n_merges == 8)
                return fail_at(r, m, E_LIMIT, "more than 8 merge keys in one map");
            marks[n_merges] = m;
            merges[n_merges++] = item;
        } else if ((rc = doc_builder_put(&r->b, d, key, item, m.line + 1, m.column + 1))) {
            return rc;
        }
    }
    /* Own keys win over merged ones, wherever '<<' stands. */
    for (size_t i = 0; i < n_merges; i++) {
        int rc = merge(r, d, merges[i], marks[i]);
        if (rc)
            return rc;
    }
    return 0;
}

static int seq_read(struct reader *r, struct doc *d) {
    for (;;) {
        yaml_event_t ev;
        int rc = next(r, &ev);
        if (rc)
            return rc;
        if (ev.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&ev);
            return 0;
        }
        struct doc *item = NULL;
        rc = node(r, &ev, &item);
        yaml_event_delete(&ev);
        if (rc)
            return rc;
        doc_push(d, item);
    }
}

static int node(struct reader *r, yaml_event_t *ev, struct doc **out) {
    if (ev->type == YAML_ALIAS_EVENT)
        return alias(r, ev, out);
    yaml_mark_t m = ev->start_mark;
    struct doc *d = doc_builder_node(&r->b, DOC_NULL, m.line + 1, m.column + 1);
    if (!d)
        return E_LIMIT;
    *out = d;
    if (ev->type == YAML_SCALAR_EVENT) {
        size_t n = ev->data.scalar.length;
        if (n > r->b.limits.string_max)
            return fail_at(r, m, E_LIMIT, "a text is longer than the limit");
        const char *s = arena_strndup(r->b.a, (const char *)ev->data.scalar.value, n);
        /* A tag (!!str 5) takes the plain scalar's own meaning away: it is text. */
        scalar(d, s, n, ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && ev->data.scalar.plain_implicit);
        return anchor_add(r, ev, (const char *)ev->data.scalar.anchor, d);
    }
    if (++r->depth > r->b.limits.depth_max)
        return fail_at(r, m, E_LIMIT, "nested deeper than the limit");
    int rc;
    const char *name = NULL;
    if (ev->type == YAML_MAPPING_START_EVENT) {
        d->type = DOC_MAP;
        name = (const char *)ev->data.mapping_start.anchor;
        rc = map_read(r, d);
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        d->type = DOC_SEQ;
        name = (const char *)ev->data.sequence_start.anchor;
        rc = seq_read(r, d);
    } else {
        return fail_at(r, m, E_PARSE, "a value is wanted here");
    }
    r->depth--;
    return rc ? rc : anchor_add(r, ev, name, d);
}

/* Skip to the first node; E_OK with *ev at it, or at the stream's end for an empty file. */
static int begin(struct reader *r, yaml_event_t *ev) {
    for (;;) {
        int rc = next(r, ev);
        if (rc || (ev->type != YAML_STREAM_START_EVENT && ev->type != YAML_DOCUMENT_START_EVENT))
            return rc;
        yaml_event_delete(ev);
    }
}

static int finish(struct reader *r) {
    for (;;) {
        yaml_event_t ev;
        int rc = next(r, &ev);
        if (rc)
            return rc;
        yaml_event_type_t type = ev.type;
        yaml_mark_t m = ev.start_mark;
        yaml_event_delete(&ev);
        if (type == YAML_STREAM_END_EVENT)
            return 0;
        if (type != YAML_DOCUMENT_END_EVENT)
            return fail_at(r, m, E_PARSE, "a second document; one a file is wanted");
    }
}

int yaml_parse(struct arena *a, const char *name, const char *p, size_t n, const struct doc_limits *limits,
               struct doc **out, struct err *e) {
    struct reader *r = arena_new(a, struct reader);
    doc_builder_init(&r->b, a, name, limits, e);
    if (n > r->b.limits.bytes_max)
        return doc_builder_fail(&r->b, E_LIMIT, 1, 1, "%zu bytes, the limit is %zu", n, r->b.limits.bytes_max);
    if (!yaml_parser_initialize(&r->parser))
        return err_set(e, E_INTERNAL, "libyaml cannot start");
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)p, n);
    yaml_event_t ev;
    struct doc *root = NULL;
    int rc = begin(r, &ev);
    if (!rc) {
        if (ev.type == YAML_STREAM_END_EVENT)
            rc = fail_at(r, ev.start_mark, E_PARSE, "the file is empty");
        else
            rc = node(r, &ev, &root);
        yaml_event_delete(&ev);
    }
    if (!rc)
        rc = finish(r);
    yaml_parser_delete(&r->parser);
    doc_builder_settle(&r->b);
    if (!rc)
        *out = root;
    return rc;
}

/* -- print: block style, texts quoted when they would read back as something else -- */

static bool plain_is_safe(const struct doc *d) {
    struct doc back = {0};
    const char *s = d->str.p;
    if (!d->str.n || strlen(s) != d->str.n || strpbrk(s, "\n\t\r\"\\") || strchr("-?:,[]{}#&*!|>'\"%@` ", *s) ||
        s[d->str.n - 1] == ' ' || s[d->str.n - 1] == ':' || strstr(s, ": ") || strstr(s, " #") || !strcmp(s, "<<") || str_starts(s, "..."))
        return false;
    for (const char *c = s; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            return false;
    scalar(&back, s, d->str.n, true);
    return back.type == DOC_STR;
}

static void print_scalar(struct text *out, const struct doc *d) {
    if (d->type == DOC_STR && plain_is_safe(d)) {
        text_add(out, d->str.p);
        return;
    }
    size_t from = out->n;
    json_print(out, d, 0); /* JSON scalars are YAML scalars */
    if (d->type == DOC_REAL && !strpbrk(out->p + from, ".eEn"))
        text_add(out, ".0");
}

static void print(struct text *out, const struct doc *d, int depth, bool in_seq) {
    bool first = true;
    doc_each(item, d) {
        bool list = item->type == DOC_SEQ || item->type == DOC_MAP;
        if (!(first && in_seq))
            for (int i = 0; i < 2 * depth; i++)
                text_add_char(out, ' ');
        first = false;
        if (d->type == DOC_MAP) {
            struct doc key = {.type = DOC_STR, .str = {item->key, strlen(item->key)}};
            print_scalar(out, &key);
            text_add(out, ":");
        } else {
            text_add(out, "-");
        }
        if (!list || !item->list.n) {
            text_add_char(out, ' ');
            if (list)
                text_add(out, item->type == DOC_SEQ ? "[]" : "{}");
            else
                print_scalar(out, item);
            text_add_char(out, '\n');
        } else if (d->type == DOC_SEQ) {
            text_add_char(out, ' ');
            print(out, item, depth + 1, true);
        } else {
            text_add_char(out, '\n');
            print(out, item, depth + 1, false);
        }
    }
}

void yaml_print(struct text *out, const struct doc *d) {
    if ((d->type == DOC_SEQ || d->type == DOC_MAP) && d->list.n) {
        print(out, d, 0, false);
    } else {
        if (d->type == DOC_SEQ || d->type == DOC_MAP)
            text_add(out, d->type == DOC_SEQ ? "[]" : "{}");
        else
            print_scalar(out, d);
        text_add_char(out, '\n');
    }
}
