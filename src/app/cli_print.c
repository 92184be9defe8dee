#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app/cli.h"

enum { COLUMNS_MAX = 24, CELL_MAX = 60 };

/* The blocks whose characters are two columns wide (UAX #11, East Asian Width W and F), as far as we print them. */
static bool is_wide(uint32_t c) {
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
           (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x20000 && c <= 0x3fffd);
}

size_t text_columns(const char *s) {
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        uint32_t c = *p++;
        int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
        c = more == 3 ? c & 7 : more == 2 ? c & 15 : more ? c & 31 : c;
        for (; more && (*p & 0xc0) == 0x80; more--)
            c = c << 6 | (*p++ & 0x3f);
        n += is_wide(c) ? 2 : 1;
    }
    return n;
}

static size_t terminal_columns(void) {
    struct winsize w;
    const char *given = getenv("COLUMNS");
    if (given && atoi(given) > 20)
        return (size_t)atoi(given);
    return isatty(1) && !ioctl(1, TIOCGWINSZ, &w) && w.ws_col > 20 ? w.ws_col : 160;
}

/* Control characters of a stranger's text must not steer the terminal. */
static void add_plain(struct text *out, const char *s) {
    for (; *s; s++)
        text_add_char(out, (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s);
}

void print_value(const struct field *f, const struct doc *d, struct text *out) {
    switch (d ? d->type : DOC_NULL) {
    case DOC_NULL:
        return;
    case DOC_BOOL:
        text_add(out, d->boolean ? "yes" : "no");
        return;
    case DOC_INT:
    case DOC_REAL: {
        double v = d->type == DOC_INT ? (double)d->integer : d->real;
        if (f && f->type == FIELD_SPAN)
            unit_print(v, "s", out);
        else if (f && f->unit && strcmp(f->unit, "1"))
            unit_print(v, f->unit, out);
        else if (d->type == DOC_INT)
            text_add_int(out, d->integer);
        else
            text_addf(out, "%.6g", v);
        return;
    }
    case DOC_STR:
        add_plain(out, d->str.p);
        return;
    case DOC_SEQ: {
        const char *between = "";
        doc_each(item, d) {
            text_add(out, between);
            print_value(f && f->type != FIELD_GROUP ? f : NULL, item, out);
            between = ", ";
        }
        return;
    }
    case DOC_MAP:
        json_print(out, d, 0);
    }
}

struct column {
    const char *key;
    const struct field *field;
    size_t width;
    bool is_number, is_used;
};

static size_t columns_of(const struct doc *rows, const char *const *keys, const struct table *t, struct column *cols) {
    size_t n = 0;
    for (; keys && keys[n] && n < COLUMNS_MAX; n++)
        cols[n] = (struct column){.key = keys[n], .field = t ? table_find(t, keys[n]) : NULL};
    doc_each(row, keys ? NULL : rows) {
        doc_each(cell, row) {
            size_t k = 0;
            while (k < n && strcmp(cols[k].key, cell->key))
                k++;
            if (k == n && n < COLUMNS_MAX && cell->type != DOC_MAP && cell->type != DOC_SEQ)
                cols[n++] = (struct column){.key = cell->key, .field = t ? table_find(t, cell->key) : NULL};
        }
    }
    return n;
}

static void cell_text(const struct column *c, const struct doc *row, bool is_last, struct text *out) {
    print_value(c->field, doc_get(row, c->key), out);
    if (is_last || text_columns(text_str(out)) <= CELL_MAX)
        return;
    size_t n = CELL_MAX - 1;
    while (n && ((unsigned char)out->p[n] & 0xc0) == 0x80)
        n--;
    out->n = n;
    out->p[n] = '\0';
    text_add(out, "…");
}

static void pad(struct text *out, size_t have, size_t want) {
    for (; have < want; have++)
        text_add_char(out, ' ');
}

static void row_print(const struct column *cols, size_t n, size_t last, const struct doc *row, struct text *out) {
    const char *between = "";
    for (size_t k = 0; k < n; k++) {
        if (!cols[k].is_used)
            continue;
        struct text t = TEXT_INIT;
        if (row)
            cell_text(&cols[k], row, k == last, &t);
        else
            text_add(&t, cols[k].key);
        size_t have = text_columns(text_str(&t));
        text_add(out, between);
        if (cols[k].is_number)
            pad(out, have, cols[k].width);
        text_add(out, text_str(&t));
        if (!cols[k].is_number && k != last)
            pad(out, have, cols[k].width);
        text_free(&t);
        between = "  ";
    }
    text_add_char(out, '\n');
}

void print_rows(const struct doc *rows, const char *const *keys, const struct table *t, struct text *out) {
    struct column cols[COLUMNS_MAX] = {{0}};
    size_t n = columns_of(rows, keys, t, cols), room = terminal_columns(), last = 0;
    for (size_t k = 0; k < n; k++) {
        bool any = false;
        cols[k].is_number = true;
        cols[k].width = strlen(cols[k].key);
        doc_each(row, rows) {
            const struct doc *d = doc_get(row, cols[k].key);
            struct text cell = TEXT_INIT;
            cell_text(&cols[k], row, false, &cell);
            size_t w = text_columns(text_str(&cell));
            any |= w > 0;
            cols[k].is_number &= !d || d->type == DOC_INT || d->type == DOC_REAL;
            cols[k].width = w > cols[k].width ? w : cols[k].width;
            text_free(&cell);
        }
        /* Columns that are empty everywhere, or no longer fit, are left out: --json has them all. */
        cols[k].is_used = any && (k == 0 || keys || cols[k].width + 2 <= room);
        if (cols[k].is_used) {
            room -= cols[k].width + 2 < room ? cols[k].width + 2 : room;
            last = k;
        }
    }
    row_print(cols, n, last, NULL, out);
    doc_each(row, rows) { row_print(cols, n, last, row, out); }
}

static bool is_listed(const struct field *f) {
    bool long_text = f->type == FIELD_TEXT && f->size > 128 && strcmp(f->name, "reason");
    return f->type != FIELD_GROUP && f->type != FIELD_DOC && !f->count_max && !long_text && strcmp(f->name, "state") &&
           !strstr(f->name, "_zh") && !strstr(f->name, "_source") && !strstr(f->name, "fingerprint");
}

/* Which fields of a kind a list shows: short ones; the state and what is observed first, then what is configured. */
static size_t list_keys(const struct kind *k, const char **keys, size_t max) {
    size_t n = 0;
    keys[n++] = "name";
    if (table_find(k->table, "state"))
        keys[n++] = "state";
    for (int observed = 1; observed >= 0; observed--)
        for (uint32_t i = 0; i < k->table->nfields && n + 1 < max; i++) {
            const struct field *f = &k->table->fields[i];
            if (is_listed(f) && ((f->flags & F_STATE) != 0) == observed)
                keys[n++] = f->name;
        }
    return n;
}

static void list_print(const struct kind *k, const struct doc *d, struct text *out) {
    const struct doc *items = doc_get(d, "items");
    const char *keys[COLUMNS_MAX + 1], *own[COLUMNS_MAX + 1];
    if (!items || !items->list.n) {
        text_addf(out, "no %s\n", k ? k->name : "rows");
        return;
    }
    size_t n = k ? list_keys(k, keys, COLUMNS_MAX) : 0, m = 0;
    for (size_t i = 0; i < n; i++)
        doc_each(item, items) {
            const struct doc *v = doc_get(item, keys[i]);
            bool empty = !v || (v->type == DOC_STR && !v->str.n) || (v->type == DOC_INT && !v->integer) ||
                         (v->type == DOC_REAL && v->real == 0);
            if (!empty) {
                own[m++] = keys[i];
                break;
            }
        }
    /* As many as fit the terminal: print_rows drops from the right when it chooses itself, so give it an order. */
    own[m] = NULL;
    struct text all = TEXT_INIT;
    while (m > 2) {
        text_reset(&all);
        print_rows(items, own, k->table, &all);
        const char *end = strchr(text_str(&all), '\n');
        char *head = strndup(all.p, (size_t)(end - all.p));
        size_t wide = text_columns(head);
        free(head);
        if (wide <= terminal_columns())
            break;
        own[--m] = NULL;
    }
    text_reset(&all);
    print_rows(items, m ? own : NULL, k ? k->table : NULL, out);
    text_free(&all);
    const char *next = doc_get_str(d, "next", NULL);
    if (next)
        text_addf(out, "… %lld in all; go on with after=%s\n", (long long)doc_get_int(d, "total", 0), next);
}

static void field_line(const char *key, const struct field *f, const struct doc *d, struct text *out, size_t indent) {
    if (!d || d->type == DOC_NULL || (d->type == DOC_STR && !d->str.n) || ((d->type == DOC_SEQ || d->type == DOC_MAP) && !d->list.n))
        return;
    pad(out, 0, indent);
    text_add(out, key);
    bool rows = d->type == DOC_SEQ && d->list.first->type == DOC_MAP;
    if (rows) {
        text_add_char(out, '\n');
        print_rows(d, NULL, f && f->type == FIELD_GROUP ? f->group : NULL, out);
    } else if (d->type == DOC_MAP) {
        text_add_char(out, '\n');
        doc_each(item, d) {
            field_line(item->key, f && f->type == FIELD_GROUP ? table_find(f->group, item->key) : NULL, item, out, indent + 2);
        }
    } else {
        pad(out, strlen(key) + indent, 24);
        text_add_char(out, ' ');
        print_value(f, d, out);
        text_add_char(out, '\n');
    }
}

static void object_print(const struct table *t, const struct doc *d, struct text *out) {
    if (d->type != DOC_MAP) {
        yaml_print(out, d);
        return;
    }
    doc_each(item, d) { field_line(item->key, t ? table_find(t, item->key) : NULL, item, out, 0); }
}

/* The chain of reasons, newest first, each with what was weighed. */
static void explain_print(const struct doc *d, struct text *out) {
    doc_each(row, doc_get(d, "chain")) {
        text_addf(out, "#%lld  %s  %s by %s  %s\n    ", (long long)doc_get_int(row, "sequence", 0),
                  doc_get_str(row, "time", ""), doc_get_str(row, "kind", ""), doc_get_str(row, "by", ""),
                  doc_get_str(row, "object", ""));
        add_plain(out, doc_get_str(row, "text", ""));
        text_add_char(out, '\n');
        doc_each(reason, doc_get(row, "reasons")) { field_line(reason->key, NULL, reason, out, 4); }
    }
}

void print_answer(const struct catalogue *c, const char *on, const struct verb *v, const struct doc *d,
                  struct text *out) {
    const struct kind *k = estate_kind(c->estate, on);
    const struct doc *rows = doc_get(d, "rows");
    if (!strcmp(v->name, "explain"))
        explain_print(d, out);
    else if (doc_get(d, "items"))
        list_print(!strcmp(v->on, "*") ? k : NULL, d, out);
    else if (rows && rows->type == DOC_SEQ && rows->list.n && rows->list.first->type == DOC_MAP)
        print_rows(rows, NULL, NULL, out);
    else
        object_print(!strcmp(v->name, "show") && k ? k->table : v->out, d, out);
}
