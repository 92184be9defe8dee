/* Log: structured lines to stderr (and syslog when asked). Only edges log: main, daemon, agent; libraries return errors.
 * One line: "2026-11-24T16:17:31Z info  agent/zjk: connected address=127.0.0.1:4000". JSON with --log json. */
#ifndef SUAN_CORE_LOG_H
#define SUAN_CORE_LOG_H

#include <stdbool.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
void log_setup(const char *who, enum log_level least, bool json);
void log_line(enum log_level level, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
void log_err(const char *what, const struct err *e); /* with detail and hint */

#define log_debug(what, ...) log_line(LOG_LEVEL_DEBUG, (what), __VA_ARGS__)
#define log_info(what, ...) log_line(LOG_LEVEL_INFO, (what), __VA_ARGS__)
#define log_warn(what, ...) log_line(LOG_LEVEL_WARN, (what), __VA_ARGS__)
#define log_error(what, ...) log_line(LOG_LEVEL_ERROR, (what), __VA_ARGS__)

#endif
