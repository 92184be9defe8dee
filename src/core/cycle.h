/* The cycle's own state. Private to core. */
#ifndef SUAN_CORE_CYCLE_H
#define SUAN_CORE_CYCLE_H

#include "base/map.h"
#include "base/vec.h"
#include "core/host.h"

/* PENDING_MAX: journal rows that wait while the store cannot be written. Changes are refused meanwhile (core/verb.c), but each
 * refusal is a row, and so is each event: what is over the limit is counted, and the count is journaled afterwards. */
enum { CAPS_MAX = 64, COMMANDS_MAX = 4096, PENDING_MAX = 10000 };

struct pending_row { /* a journal row waiting for the commit */
    int64_t sequence, time_us;
    char *kind, *by, *object, *text, *json;
};
struct listener {
    uint64_t id;
    event_fn *fn;
    void *ctx;
};
struct later {
    void (*fn)(void *ctx);
    void *ctx;
};
struct cap_slot {
    enum cap_mode mode;
    bool due;
    int64_t next_us;
    void *config;
    uint64_t watch_mask[2]; /* kinds whose change makes it due */
    struct plan plan;
    struct arena arena;
    bool has_plan;
};

struct cycle {
    bool is_scheduled, is_running, is_started;
    struct timer timer, due_timer, retry_timer;
    int64_t last_mono_us;
    uint64_t number, cursor_watch, cursor_store, cursor_events;
    struct cap_slot caps[CAPS_MAX];
    size_t n_caps;
    VEC(struct pending_row) rows;
    uint64_t rows_dropped; /* since the store failed */
    VEC(struct later) after;
    VEC(struct call *) answers; /* of changing calls, which wait for the commit */
    VEC(struct listener) listeners;
    uint64_t last_listener;
    struct command commands[COMMANDS_MAX];
    size_t n_commands;
    struct map stored; /* path of a durable object -> hash of what is in the store */
};

void cycle_init(struct host *h);
void cycle_start(struct host *h);
void cycle_free(struct host *h);
/* Remember that the store holds this object as it now is (after restore). */
void cycle_mark_stored(struct host *h, oid id);
void events_send(struct host *h, const char *event, const struct doc *data);
bool events_changes(struct host *h);

#endif
