/* RFC 8259, strict, with places. A reader of our own because a refusal must name line and column of every node,
 * which the C libraries of the distribution do not keep (doc/adr/002-own-json-reader.md). */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc_build.h"
#include "base/map.h"

/* -- shared with yaml.c -- */

void doc_builder_init(struct doc_builder *b, struct arena *a, const char *name, const struct doc_limits *limits,
                      struct err *e) {
    *b = (struct doc_builder){.a = a, .name = name, .e = e};
    if (limits)
        b->limits = *limits;
    struct doc_limits *l = &b->limits;
    l->bytes_max = l->bytes_max ? l->bytes_max : 64u << 20;
    l->depth_max = l->depth_max ? l->depth_max : 64;
    l->nodes_max = l->nodes_max ? l->nodes_max : 4000000;
    l->string_max = l->string_max ? l->string_max : 1u << 20;
}

int doc_builder_fail(const struct doc_builder *b, int code, size_t line, size_t column, const char *format, ...) {
    char message[200];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    err_set(b->e, code, "%s", message);
    err_place(b->e, "%s:%zu:%zu", b->name, line, column);
    return code;
}

struct doc *doc_builder_node(struct doc_builder *b, enum doc_type type, size_t line, size_t column) {
    if (++b->nodes > b->limits.nodes_max) {
        doc_builder_fail(b, E_LIMIT, line, column, "more than %zu values, which is the limit", b->limits.nodes_max);
        return NULL;
    }
    struct doc *d = arena_new(b->a, struct doc);
    d->type = type;
    d->line = (uint32_t)line;
    d->column = (uint32_t)column;
    return d;
}

enum { INDEX_FROM = 16 };

static void index_add(struct doc *map, struct doc *item) {
    bool is_new;
    map_put(map->list.index, item->key, &is_new)->value.ptr = item;
}

int doc_builder_put(struct doc_builder *b, struct doc *map, const char *key, struct doc *value, size_t line,
                    size_t column) {
    if (doc_get(map, key))
        return doc_builder_fail(b, E_PARSE, line, column, "the key '%.64s' stands twice", key);
    doc_put(map, key, value);
    if (map->list.index) {
        index_add(map, value);
    } else if (map->list.n > INDEX_FROM) {
        struct doc_index *x = arena_new(b->a, struct doc_index);
        map_seed(&x->map);
        x->next = b->indexes;
        b->indexes = x;
        map->list.index = &x->map;
        doc_each(item, map)
            index_add(map, item);
    }
    return 0;
}

/* Indexes hang on the heap while parsing; move them into the arena so that nobody has to free a doc. Also those of maps
 * that an error cut off from the root. */
void doc_builder_settle(struct doc_builder *b) {
    for (struct doc_index *x = b->indexes; x; x = x->next) {
        void *entries = arena_copy(b->a, x->map.entries, x->map.n * sizeof *x->map.entries);
        void *slots = arena_copy(b->a, x->map.slots, x->map.nslots * sizeof *x->map.slots);
        free(x->map.entries);
        free(x->map.slots);
        x->map.entries = entries;
        x->map.slots = slots;
        x->map.cap = x->map.n;
    }
    b->indexes = NULL;
}

/* -- JSON -- */

struct reader {
    struct doc_builder b;
    const char *p, *end, *start;
    size_t depth;
};

static void place(const struct reader *r, const char *at, size_t *line, size_t *column) {
    *line = 1;
    const char *from = r->start;
    for (const char *p = r->start; p < at; p++)
        if (*p == '\n') {
            ++*line;
            from = p + 1;
        }
    *column = (size_t)(at - from) + 1;
}

static int fail(struct reader *r, const char *at, int code, const char *message) {
    size_t line, column;
    place(r, at, &line, &column);
    return doc_builder_fail(&r->b, code, line, column, "%s", message);
}

static void skip_space(struct reader *r) {
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

static int hex4(struct reader *r, unsigned *out) {
    *out = 0;
    if (r->end - r->p < 4)
        return fail(r, r->p, E_PARSE, "\\u wants four hex digits");
    for (int i = 0; i < 4; i++) {
        char c = *r->p++;
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : 16u;
        if (d == 16)
            return fail(r, r->p - 1, E_PARSE, "\\u wants four hex digits");
        *out = *out << 4 | d;
    }
    return 0;
}

static char *utf8_put(char *to, unsigned c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

static int escape(struct reader *r, char **to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *at = r->p - 1;
    if (r->p == r->end)
        return fail(r, at, E_PARSE, "the text has no end");
    char c = *r->p++;
    const char *k = c ? strchr(from, c) : NULL;
    if (k) {
        *(*to)++ = into[k - from];
        return 0;
    }
    if (c != 'u')
        return fail(r, at, E_PARSE, "unknown escape");
    unsigned hi, lo;
    int rc = hex4(r, &hi);
    if (rc)
        return rc;
    if (hi >= 0xdc00 && hi < 0xe000)
        return fail(r, at, E_PARSE, "half of a surrogate pair");
    if (hi >= 0xd800 && hi < 0xdc00) {
        if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
            return fail(r, at, E_PARSE, "half of a surrogate pair");
        r->p += 2;
        if ((rc = hex4(r, &lo)))
            return rc;
        if (lo < 0xdc00 || lo >= 0xe000)
            return fail(r, at, E_PARSE, "half of a surrogate pair");
        hi = 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
    }
    *to = utf8_put(*to, hi);
    return 0;
}

static int string(struct reader *r, char **out, size_t *n) {
    const char *begin = ++r->p, *p = begin;
    while (p < r->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    const char *stop = p; /* the closing quote, if the text is plain */
    if (p == r->end || *p != '"') {
        for (; p < r->end && *p != '"'; p++)
            if (*p == '\\' && p + 1 < r->end)
                p++;
        if (p >= r->end)
            return fail(r, begin - 1, E_PARSE, "the text has no end");
    }
    if ((size_t)(p - begin) > r->b.limits.string_max)
        return fail(r, begin - 1, E_LIMIT, "a text is longer than the limit");
    char *to = *out = arena_alloc(r->b.a, (size_t)(p - begin) + 1);
    if (stop == p) {
        memcpy(to, begin, (size_t)(p - begin));
        to += p - begin;
        r->p = p;
    } else {
        for (r->p = begin; *r->p != '"';) {
            char c = *r->p++;
            if ((unsigned char)c < 0x20)
                return fail(r, r->p - 1, E_PARSE, "a control character stands unescaped in a text");
            int rc = 0;
            if (c == '\\')
                rc = escape(r, &to);
            else
                *to++ = c;
            if (rc)
                return rc;
        }
    }
    r->p++;
    *to = '\0';
    *n = (size_t)(to - *out);
    return str_is_utf8(*out, *n) ? 0 : fail(r, begin, E_PARSE, "a text is not UTF-8");
}

static int number(struct reader *r, struct doc *d) {
    const char *begin = r->p, *p = begin;
    bool real = false;
    p += *p == '-';
    if (p < r->end && *p == '0')
        p++;
    else if (p < r->end && *p >= '1' && *p <= '9')
        while (p < r->end && *p >= '0' && *p <= '9')
            p++;
    else
        return fail(r, begin, E_PARSE, "a value is wanted here");
    if (p < r->end && *p == '.') {
        real = true;
        const char *dot = ++p;
        while (p < r->end && *p >= '0' && *p <= '9')
            p++;
        if (p == dot)
            return fail(r, begin, E_PARSE, "a number needs digits after the point");
    }
    if (p < r->end && (*p == 'e' || *p == 'E')) {
        real = true;
        p++;
        p += p < r->end && (*p == '+' || *p == '-');
        const char *digits = p;
        while (p < r->end && *p >= '0' && *p <= '9')
            p++;
        if (p == digits)
            return fail(r, begin, E_PARSE, "an exponent needs digits");
    }
    char text[64];
    size_t n = (size_t)(p - begin);
    if (n >= sizeof text)
        return fail(r, begin, E_LIMIT, "a number has more than 63 characters");
    memcpy(text, begin, n);
    text[n] = '\0';
    r->p = p;
    errno = 0;
    if (!real) {
        d->type = DOC_INT;
        d->integer = strtoll(text, NULL, 10);
        if (!errno)
            return 0;
    }
    d->type = DOC_REAL;
    d->real = strtod(text, NULL);
    return isfinite(d->real) ? 0 : fail(r, begin, E_PARSE, "a number is too large");
}

static int value(struct reader *r, struct doc **out);

static int list(struct reader *r, struct doc *d, char close) {
    const char *open = r->p++;
    if (++r->depth > r->b.limits.depth_max)
        return fail(r, open, E_LIMIT, "nested deeper than the limit");
    skip_space(r);
    for (bool first = true; r->p < r->end && *r->p != close; first = false) {
        if (!first) {
            if (*r->p != ',')
                return fail(r, r->p, E_PARSE, close == '}' ? "',' or '}' is wanted here" : "',' or ']' is wanted here");
            r->p++;
            skip_space(r);
        }
        const char *at = r->p;
        char *key = NULL;
        size_t n;
        int rc = 0;
        if (close == '}') {
            if (r->p == r->end || *r->p != '"')
                return fail(r, r->p, E_PARSE, "a key in quotes is wanted here");
            if ((rc = string(r, &key, &n)))
                return rc;
            if (strlen(key) != n)
                return fail(r, at, E_PARSE, "a key holds a NUL");
            skip_space(r);
            if (r->p == r->end || *r->p != ':')
                return fail(r, r->p, E_PARSE, "':' is wanted here");
            r->p++;
        }
        struct doc *item;
        if ((rc = value(r, &item)))
            return rc;
        if (key) {
            size_t line = 0, column = 0;
            if (doc_get(d, key))
                place(r, at, &line, &column);
            if ((rc = doc_builder_put(&r->b, d, key, item, line, column)))
                return rc;
        } else {
            doc_push(d, item);
        }
        skip_space(r);
    }
    if (r->p == r->end)
        return fail(r, open, E_PARSE, close == '}' ? "this '{' is not closed" : "this '[' is not closed");
    r->p++;
    r->depth--;
    return 0;
}

static bool literal(struct reader *r, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n))
        return false;
    r->p += n;
    return true;
}

/* While reading, a node's `line` holds its offset; places() turns it into line and column at the end. */
static int value(struct reader *r, struct doc **out) {
    skip_space(r);
    if (r->p == r->end)
        return fail(r, r->p, E_PARSE, "a value is wanted here, but the text ends");
    struct doc *d = doc_builder_node(&r->b, DOC_NULL, (size_t)(r->p - r->start), 0);
    if (!d)
        return fail(r, r->p, E_LIMIT, "more values than the limit");
    *out = d;
    switch (*r->p) {
    case '{':
        d->type = DOC_MAP;
        return list(r, d, '}');
    case '[':
        d->type = DOC_SEQ;
        return list(r, d, ']');
    case '"': {
        char *s;
        size_t n;
        int rc = string(r, &s, &n);
        d->type = DOC_STR;
        d->str.p = rc ? "" : s;
        d->str.n = rc ? 0 : n;
        return rc;
    }
    case 't':
        d->type = DOC_BOOL;
        d->boolean = true;
        return literal(r, "true") ? 0 : fail(r, r->p, E_PARSE, "a value is wanted here");
    case 'f':
        d->type = DOC_BOOL;
        d->boolean = false;
        return literal(r, "false") ? 0 : fail(r, r->p, E_PARSE, "a value is wanted here");
    case 'n':
        return literal(r, "null") ? 0 : fail(r, r->p, E_PARSE, "a value is wanted here");
    default:
        return number(r, d);
    }
}

struct walk {
    const char *start;
    size_t at, line, line_start;
};

/* Nodes stand in document order, so one pass over the text places them all. */
static void places(struct walk *w, struct doc *d) {
    for (; w->at < d->line; w->at++)
        if (w->start[w->at] == '\n') {
            w->line++;
            w->line_start = w->at + 1;
        }
    d->column = (uint32_t)(d->line - w->line_start + 1);
    d->line = (uint32_t)w->line;
    if (d->type == DOC_SEQ || d->type == DOC_MAP)
        doc_each(item, d)
            places(w, item);
}

int json_parse(struct arena *a, const char *name, const char *p, size_t n, const struct doc_limits *limits,
               struct doc **out, struct err *e) {
    struct reader r = {.p = p, .end = p + n, .start = p};
    doc_builder_init(&r.b, a, name, limits, e);
    if (n > r.b.limits.bytes_max || n > UINT32_MAX)
        return doc_builder_fail(&r.b, E_LIMIT, 1, 1, "%zu bytes, the limit is %zu", n, r.b.limits.bytes_max);
    struct doc *root = NULL;
    int rc = value(&r, &root);
    skip_space(&r);
    if (!rc && r.p < r.end)
        rc = fail(&r, r.p, E_PARSE, "something stands after the value");
    doc_builder_settle(&r.b);
    if (rc)
        return rc;
    struct walk w = {.start = p, .line = 1};
    places(&w, root);
    *out = root;
    return 0;
}

/* -- print -- */

static void newline(struct text *out, int indent, int depth) {
    if (!indent)
        return;
    text_add_char(out, '\n');
    for (int i = 0; i < indent * depth; i++)
        text_add_char(out, ' ');
}

static void print(struct text *out, const struct doc *d, int indent, int depth) {
    switch (d->type) {
    case DOC_NULL:
        text_add(out, "null");
        break;
    case DOC_BOOL:
        text_add(out, d->boolean ? "true" : "false");
        break;
    case DOC_INT:
        text_add_int(out, d->integer);
        break;
    case DOC_REAL:
        if (isfinite(d->real))
            text_add_real(out, d->real);
        else
            text_add(out, "null");
        break;
    case DOC_STR:
        text_add_json(out, d->str.p, d->str.n);
        break;
    case DOC_SEQ:
    case DOC_MAP:
        text_add_char(out, d->type == DOC_SEQ ? '[' : '{');
        doc_each(item, d) {
            if (item != d->list.first)
                text_add_char(out, ',');
            newline(out, indent, depth + 1);
            if (d->type == DOC_MAP) {
                text_add_json(out, item->key, strlen(item->key));
                text_add(out, indent ? ": " : ":");
            }
            print(out, item, indent, depth + 1);
        }
        if (d->list.n)
            newline(out, indent, depth);
        text_add_char(out, d->type == DOC_SEQ ? ']' : '}');
        break;
    }
}

void json_print(struct text *out, const struct doc *d, int indent) { print(out, d, indent, 0); }
