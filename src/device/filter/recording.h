/* The file of record and replay: one JSON object a line, appended in the order of the answers.
 *   {"us":…, "object":"pdu/p1", "verb":"read", "in":{…}, "took_us":…, "rc":0, "error":"", "out":{…}}
 * us: plant time of the request. `in` and `out` are written by the verb's own tables, absent when it has none. Requests
 * that their asker gave up are written with the reason. Private to this folder. */
#ifndef SUAN_DEVICE_FILTER_RECORDING_H
#define SUAN_DEVICE_FILTER_RECORDING_H

#include "device/filter/filter.h"

enum { RECORDING_PATH = 112 };

/* What a request is known by: object, verb and input, as one line of text. */
static inline void recording_key(struct text *t, const struct filter *f, const char *verb, const struct doc *in) {
    char path[ESTATE_PATH];
    estate_path(f->b.host->estate, f->b.id, path);
    text_addf(t, "%s %s ", path, verb);
    if (in)
        json_print(t, in, 0);
}

#endif
