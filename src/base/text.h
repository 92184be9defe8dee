/* Text: a growable byte string, always NUL-terminated, and the few string helpers the house needs.
 * Owner: whoever declared the struct; text_free gives it back. text_take hands the buffer over. */
#ifndef SUAN_BASE_TEXT_H
#define SUAN_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *p; /* NULL only before the first byte */
    size_t n;
    size_t cap;
};

#define TEXT_INIT ((struct text){0})

void text_add(struct text *t, const char *s);
void text_add_n(struct text *t, const void *p, size_t n);
void text_add_char(struct text *t, char c);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_int(struct text *t, int64_t v);
/* Shortest decimal that reads back to the same double ("0.1", not "0.10000000000000001"). */
void text_add_real(struct text *t, double v);
/* With quotes and escapes of RFC 8259; bytes that are not UTF-8 become U+FFFD. */
void text_add_json(struct text *t, const char *s, size_t n);
void text_reset(struct text *t);
void text_free(struct text *t);
const char *text_str(const struct text *t); /* never NULL */
char *text_take(struct text *t);            /* caller frees with free() */

/* Copy with truncation; returns false when it did not fit (the result is still terminated). */
bool str_copy(char *to, size_t size, const char *from);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Glob with * and ?; at most |pattern| x |s| steps, no recursion. */
bool str_glob(const char *pattern, const char *s);
bool str_is_utf8(const char *s, size_t n);
/* Nearest of `n` words to `word` for "did you mean", or NULL when none is near (Damerau-Levenshtein, <= 2 or a third). */
const char *str_nearest(const char *word, const char *const *words, size_t n);
/* Object names: [a-z0-9]([a-z0-9._-]*[a-z0-9])?, at most 63 bytes. */
bool str_is_name(const char *s);
void hex_encode(char *to, const void *p, size_t n); /* to: 2n+1 bytes */
bool hex_decode(void *to, size_t n, const char *hex);

#endif
