/* The console's files, made by web/embed.py from web/dist and linked as library `console` (web/meson.build). */
#ifndef SUAN_APP_CONSOLE_H
#define SUAN_APP_CONSOLE_H

#include "core/http.h"

extern const struct asset console_assets[];
extern const size_t console_nassets;

#endif
