/* Errors: one list of codes, one struct that a person can act on.
 *
 * Every function that can fail returns 0 or a negative E_* code. User-visible paths take a
 * `struct err *` as the last argument and fill it through err_set(); the caller that knows more
 * adds context on the way up. Libraries never log; whoever answers the user (HTTP, CLI, log) prints
 * the struct once. HTTP shows it as RFC 9457 problem+json.
 *
 * A NULL `struct err *` is allowed everywhere and means "I only want the code".
 * Cost: fixed 900 bytes, no allocation, so errors work when memory does not. */
#ifndef SUAN_BASE_ERR_H
#define SUAN_BASE_ERR_H

#include <stdarg.h>

enum err_code {
    E_OK = 0,
    E_INVAL = -1,        /* a value is wrong: type, range, syntax of one field */
    E_PARSE = -2,        /* a document cannot be read: place is file:line:column */
    E_NOTFOUND = -3,     /* no such object, verb, file */
    E_EXISTS = -4,       /* already there */
    E_LIMIT = -5,        /* a declared limit was hit */
    E_STATE = -6,        /* the object's state does not permit this */
    E_DENIED = -7,       /* known caller, not allowed */
    E_AUTH = -8,         /* unknown caller */
    E_TIMEOUT = -9,      /* no answer in time */
    E_IO = -10,          /* the operating system said no */
    E_UNAVAIL = -11,     /* the other side is not there now; try again */
    E_CONFLICT = -12,    /* the object changed meanwhile */
    E_CANCELLED = -13,   /* asked to stop */
    E_UNSUPPORTED = -14, /* understood, not offered */
    E_INTERNAL = -15,    /* a bug of ours */
};

struct err {
    int code;
    char message[256]; /* one sentence: object, value, limit */
    char detail[256];  /* what lies behind it, e.g. the library's own words */
    char hint[192];    /* what to do next, e.g. "did you mean 'budget_w'?" */
    char place[192];   /* file:line:column, JSON path or object path */
};

/* Fill `e` and return `code`, so that `return err_set(e, E_INVAL, ...)` is the whole error path. */
int err_set(struct err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int err_set_at(struct err *e, int code, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* From errno: E_IO (or E_NOTFOUND, E_EXISTS, E_DENIED, E_TIMEOUT, E_LIMIT where errno says so); detail = strerror. */
int err_errno(struct err *e, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));
void err_hint(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_place(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Put "context: " before the message; returns e's code. */
int err_context(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_clear(struct err *e);
/* Stable lower-case word of a code ("not-found"), used in JSON and tests. */
const char *err_name(int code);

#endif
