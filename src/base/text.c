#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

static void reserve(struct text *t, size_t more) {
    if (t->cap - t->n <= more)
        t->p = vec_grow_bytes(t->p, &t->cap, t->n + more + 1, 1);
}

void text_add_n(struct text *t, const void *p, size_t n) {
    reserve(t, n);
    if (n)
        memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = '\0';
}

void text_add(struct text *t, const char *s) { text_add_n(t, s, strlen(s)); }

void text_add_char(struct text *t, char c) {
    reserve(t, 1);
    t->p[t->n++] = c;
    t->p[t->n] = '\0';
}

void text_addf(struct text *t, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n > 0) {
        reserve(t, (size_t)n);
        vsnprintf(t->p + t->n, (size_t)n + 1, format, again);
        t->n += (size_t)n;
    }
    va_end(again);
}

void text_add_int(struct text *t, int64_t v) {
    char digits[24], *p = digits + sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--p = '-';
    text_add_n(t, p, (size_t)(digits + sizeof digits - p));
}

void text_add_real(struct text *t, double v) {
    char s[40];
    if (v == floor(v) && fabs(v) < 1e15) {
        text_add_int(t, (int64_t)v);
        return;
    }
    for (int digits = 6; digits <= 17; digits += digits < 15 ? 9 : 1) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v)
            break;
    }
    text_add(t, s);
}

/* Length of the valid UTF-8 sequence at p, or 0. */
static size_t utf8_length(const unsigned char *p, size_t n) {
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f, above = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || above ? 0 : len;
}

bool str_is_utf8(const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length((const unsigned char *)s + i, n - i);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

/* The code of a character that YAML, terminals and readers do not show as itself (C1 controls, line separators, byte
 * order marks): written as an escape, so that one text serves JSON and YAML. 0 = an ordinary one. */
static unsigned unseen(const unsigned char *p, size_t len) {
    unsigned code = len == 2   ? (p[0] & 31u) << 6 | (p[1] & 63u)
                    : len == 3 ? (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u)
                               : 0;
    bool is_unseen = (code >= 0x80 && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff || code >= 0xfffe;
    return is_unseen ? code : 0;
}

void text_add_json(struct text *t, const char *s, size_t n) {
    static const char hex[] = "0123456789abcdef";
    text_add_char(t, '"');
    size_t from = 0;
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t len = c >= 0x80 ? utf8_length((const unsigned char *)s + i, n - i) : 0;
        unsigned code = len ? unseen((const unsigned char *)s + i, len) : 0;
        if (len && !code) {
            i += len;
            continue;
        }
        text_add_n(t, s + from, i - from);
        if (code) {
            text_addf(t, "\\u%04x", code);
            from = i += len;
            continue;
        }
        char escape[6] = {'\\', (char)c, 0, 0, 0, 0};
        if (c >= 0x80)
            text_add(t, "\\ufffd");
        else if (c == '"' || c == '\\')
            text_add_n(t, escape, 2);
        else if (c == '\n')
            text_add(t, "\\n");
        else if (c == '\t')
            text_add(t, "\\t");
        else if (c == '\r')
            text_add(t, "\\r");
        else {
            memcpy(escape, "\\u00", 4);
            escape[4] = hex[c >> 4];
            escape[5] = hex[c & 15];
            text_add_n(t, escape, 6);
        }
        from = ++i;
    }
    text_add_n(t, s + from, n - from);
    text_add_char(t, '"');
}

void text_reset(struct text *t) {
    t->n = 0;
    if (t->p)
        t->p[0] = '\0';
}

void text_free(struct text *t) {
    free(t->p);
    *t = TEXT_INIT;
}

const char *text_str(const struct text *t) { return t->p ? t->p : ""; }

char *text_take(struct text *t) {
    reserve(t, 0);
    t->p[t->n] = '\0';
    char *p = t->p;
    *t = TEXT_INIT;
    return p;
}

bool str_copy(char *to, size_t size, const char *from) {
    size_t n = strlen(from);
    bool fits = n < size;
    if (!fits) {
        n = size - 1;
        /* Never cut a character in two. */
        while (n && ((unsigned char)from[n] & 0xc0) == 0x80)
            n--;
    }
    memmove(to, from, n);
    to[n] = '\0';
    return fits;
}

bool str_starts(const char *s, const char *prefix) { return !strncmp(s, prefix, strlen(prefix)); }

bool str_ends(const char *s, const char *suffix) {
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && !strcmp(s + n - k, suffix);
}

bool str_glob(const char *pattern, const char *s) {
    const char *star = NULL, *mark = s;
    while (*s) {
        if (*pattern == '*') {
            star = ++pattern;
            mark = s;
        } else if (*pattern == '?' || *pattern == *s) {
            pattern++;
            s++;
        } else if (star) {
            pattern = star;
            s = ++mark;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

enum { WORD_MAX = 64 };

/* Optimal string alignment distance, words up to 64 bytes. */
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
    size_t row[3][WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *str_nearest(const char *word, const char *const *words, size_t n) {
    size_t len = strlen(word), best = len / 3 > 2 ? len / 3 : 2;
    const char *found = NULL;
    if (!len || len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = words[i] ? strlen(words[i]) : 0;
        if (!other || other > WORD_MAX)
            continue;
        /* "budget" for "budget_w" is meant, whatever the length of the rest. */
        if (!found && (other > len ? !strncmp(words[i], word, len) : !strncmp(words[i], word, other)) && len > 2)
            found = words[i];
        size_t d = distance(word, len, words[i], other);
        if (d <= best && d < other) {
            if (d < best || !found)
                found = words[i];
            best = d;
        }
    }
    return found;
}

bool str_is_name(const char *s) {
    size_t n = strlen(s);
    if (!n || n > 63)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool alnum = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');
        bool inner = s[i] == '.' || s[i] == '_' || s[i] == '-';
        if (!alnum && !(inner && i && i + 1 < n))
            return false;
    }
    return true;
}

void hex_encode(char *to, const void *p, size_t n) {
    static const char hex[] = "0123456789abcdef";
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = hex[b[i] >> 4];
        to[2 * i + 1] = hex[b[i] & 15];
    }
    to[2 * n] = '\0';
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(void *to, size_t n, const char *hex) {
    unsigned char *b = to;
    if (strlen(hex) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int hi = digit(hex[2 * i]), lo = digit(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        b[i] = (unsigned char)(hi << 4 | lo);
    }
    return true;
}
