/* Fuzzing, one convention for the whole house.
 *
 * A target is one file `fuzz_<name>.c` with one function
 *     int fuzz_<name>(const uint8_t *p, size_t n);      returns 0; keeps nothing between calls but what it may re-use
 * that feeds the bytes to a parser and checks what must hold whatever they are (FUZZ_CHECK). Two drivers run it:
 *  - run.c, always: the corpus of test/fuzz/corpus/<name>/, then mutations of it from a printed seed, in a child with a
 *    time limit an input; a crash or hang leaves the input in a file and prints the command that repeats it;
 *  - libFuzzer, when built with clang and -Dlibfuzzer=true: build/test/fuzz/lib_<name> test/fuzz/corpus/<name>
 * To add one: the file, a folder of small inputs (each under 4 KiB, at least one good and one bad), a line in
 * test/fuzz/meson.build. What libFuzzer finds goes into the corpus under a name that says what it was. */
#ifndef SUAN_TEST_FUZZ_H
#define SUAN_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECK(cond)                                                        \
    do {                                                                        \
        if (!(cond)) {                                                          \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                            \
        }                                                                       \
    } while (0)

/* The bytes as a NUL-terminated text, cut at the first NUL; free() it. Exactly as long as needed, so that the address
 * sanitizer sees one byte too many. */
static inline char *fuzz_text(const uint8_t *p, size_t n) {
    size_t len = n ? strnlen((const char *)p, n) : 0;
    char *s = malloc(len + 1);
    if (len)
        memcpy(s, p, len);
    s[len] = '\0';
    return s;
}

#endif
