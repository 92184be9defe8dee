#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/civil.h"
#include "base/text.h"
#include "core/loop.h"

static struct {
    char who[48];
    enum log_level least;
    bool json;
} config = {"suan", LOG_LEVEL_INFO, false};

void log_setup(const char *who, enum log_level least, bool json) {
    str_copy(config.who, sizeof config.who, who);
    config.least = least;
    config.json = json;
}

static const char *const words[] = {"debug", "info", "warn", "error"};

void log_line(enum log_level level, const char *what, const char *format, ...) {
    if (level < config.least)
        return;
    char message[1024], when[CIVIL_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    civil_print(when, loop_wall_us() / 1000 * 1000);
    struct text t = TEXT_INIT;
    if (config.json) {
        text_addf(&t, "{\"time\":\"%s\",\"level\":\"%s\",\"who\":", when, words[level]);
        text_add_json(&t, config.who, strlen(config.who));
        text_add(&t, ",\"what\":");
        text_add_json(&t, what, strlen(what));
        text_add(&t, ",\"message\":");
        text_add_json(&t, message, strlen(message));
        text_add(&t, "}\n");
    } else {
        /* A message never breaks out of its line. */
        for (char *c = message; *c; c++)
            if ((unsigned char)*c < 0x20)
                *c = ' ';
        text_addf(&t, "%s %-5s %s: %s: %s\n", when, words[level], config.who, what, message);
    }
    /* One write, so that lines of several processes do not mix. A log that cannot be written is no reason to stop. */
    if (write(STDERR_FILENO, t.p, t.n) < 0) {
    }
    text_free(&t);
}

void log_err(const char *what, const struct err *e) {
    log_line(LOG_LEVEL_ERROR, what, "%s%s%s%s%s%s%s", *e->place ? e->place : "", *e->place ? ": " : "", e->message,
             *e->detail ? ": " : "", e->detail, *e->hint ? "; hint: " : "", e->hint);
}
