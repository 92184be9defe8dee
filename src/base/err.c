#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    "ok",       "invalid", "parse",       "not-found", "exists",    "limit",       "state",   "denied",
    "auth",     "timeout", "io",          "unavailable", "conflict", "cancelled",  "unsupported", "internal",
};

const char *err_name(int code) {
    int i = -code;
    return i >= 0 && i < (int)(sizeof names / sizeof names[0]) ? names[i] : "unknown";
}

void err_clear(struct err *e) {
    if (e)
        memset(e, 0, sizeof *e);
}

static void put(char *to, size_t size, const char *format, va_list args) {
    vsnprintf(to, size, format, args);
}

int err_set(struct err *e, int code, const char *format, ...) {
    if (!e)
        return code;
    err_clear(e);
    e->code = code;
    va_list args;
    va_start(args, format);
    put(e->message, sizeof e->message, format, args);
    va_end(args);
    return code;
}

int err_set_at(struct err *e, int code, const char *place, const char *format, ...) {
    if (!e)
        return code;
    err_clear(e);
    e->code = code;
    snprintf(e->place, sizeof e->place, "%s", place);
    va_list args;
    va_start(args, format);
    put(e->message, sizeof e->message, format, args);
    va_end(args);
    return code;
}

static int code_of_errno(int errnum) {
    switch (errnum) {
    case ENOENT:
        return E_NOTFOUND;
    case EEXIST:
        return E_EXISTS;
    case EACCES:
    case EPERM:
        return E_DENIED;
    case ETIMEDOUT:
        return E_TIMEOUT;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EFBIG:
        return E_LIMIT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return E_UNAVAIL;
    default:
        return E_IO;
    }
}

int err_errno(struct err *e, int errnum, const char *format, ...) {
    int code = code_of_errno(errnum);
    if (!e)
        return code;
    err_clear(e);
    e->code = code;
    va_list args;
    va_start(args, format);
    put(e->message, sizeof e->message, format, args);
    va_end(args);
    snprintf(e->detail, sizeof e->detail, "%s", strerror(errnum));
    return code;
}

void err_hint(struct err *e, const char *format, ...) {
    if (!e)
        return;
    va_list args;
    va_start(args, format);
    put(e->hint, sizeof e->hint, format, args);
    va_end(args);
}

void err_place(struct err *e, const char *format, ...) {
    if (!e)
        return;
    va_list args;
    va_start(args, format);
    put(e->place, sizeof e->place, format, args);
    va_end(args);
}

int err_context(struct err *e, const char *format, ...) {
    if (!e)
        return E_INTERNAL;
    char context[sizeof e->message], message[sizeof e->message];
    va_list args;
    va_start(args, format);
    put(context, sizeof context, format, args);
    va_end(args);
    memcpy(message, e->message, sizeof message);
    size_t n = strlen(context);
    if (n + 3 > sizeof e->message)
        n = sizeof e->message - 3;
    memcpy(e->message, context, n);
    snprintf(e->message + n, sizeof e->message - n, ": %s", message);
    return e->code;
}
