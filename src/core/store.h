/* Store: what must outlive a crash, in one SQLite file (state.db, WAL, synchronous=FULL).
 *
 * Everything that belongs together is written in one SQLite transaction: changed objects and the journal rows that
 * explain them. So state and journal cannot disagree after kill -9 or a full disk: both are there or neither.
 * The daemon collects changes during a cycle and writes once at its end (group commit); an answer is sent, and a
 * device commanded, only after that commit. One fsync a cycle, whatever the number of jobs in it.
 * Journal rows carry SHA-256(previous hash, row): a removed or edited row is found by `suan journal verify`.
 * On ENOSPC the transaction is rolled back, store_ok turns false with E_LIMIT, the daemon refuses changes and says so
 * as a condition, and tries again each second; nothing acknowledged is lost. */
#ifndef SUAN_CORE_STORE_H
#define SUAN_CORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"

struct store;
/* NULL path = in memory (tests, virtual runs). Refuses a newer schema; migrates an older one. Holds an flock: a second
 * daemon on the same folder gets E_EXISTS with the other's pid. */
int store_open(const char *path, struct store **out, struct err *e);
void store_close(struct store *s);
bool store_ok(const struct store *s, struct err *why);

int store_begin(struct store *s, struct err *e);
int store_commit(struct store *s, struct err *e); /* on failure rolled back; the caller keeps its changes for the next try */
void store_rollback(struct store *s);
/* Commit when rc is 0, else roll back; returns the first error. */
int store_end(struct store *s, int rc, struct err *e);

int store_put_object(struct store *s, const char *kind, const char *name, const char *parent, uint64_t revision,
                     const char *json, struct err *e);
int store_delete_object(struct store *s, const char *kind, const char *name, struct err *e);
typedef int store_object_fn(void *ctx, const char *kind, const char *name, const char *parent, const char *json,
                            struct err *e);
int store_each_object(struct store *s, store_object_fn *fn, void *ctx, struct err *e); /* in creation order */

/* Small named values: "epoch", "world.seed", "clean-shutdown" … */
int store_put(struct store *s, const char *key, const char *value, struct err *e);
int store_get(struct store *s, const char *key, char *value, size_t size, struct err *e); /* E_NOTFOUND */

/* -- journal -- */
struct journal_row {
    int64_t sequence; /* set by append: 1, 2, 3 … without holes */
    int64_t time_us;  /* plant time */
    const char *kind; /* "decision", "verb", "commit", "event", "alarm", "pruned" */
    const char *by;   /* capability or user */
    const char *object; /* "task/…" or "" */
    const char *text;   /* one sentence */
    const char *json;   /* reasons, inputs: machine-readable */
    char hash[65];
};
/* The sequence is known at once; the row is durable after store_commit. */
int journal_append(struct store *s, struct journal_row *row, struct err *e);
typedef int journal_fn(void *ctx, const struct journal_row *row);
struct journal_query {
    int64_t after;      /* sequences above this (or below `before`, newest first, when newest_first) */
    int64_t before;
    bool newest_first;
    const char *kind, *by, *object; /* NULL = any */
    int64_t limit;      /* 0 = 1,000 */
};
int journal_read(struct store *s, const struct journal_query *q, journal_fn *fn, void *ctx, struct err *e);
int journal_verify(struct store *s, int64_t *rows, struct err *e); /* E_CONFLICT names the first bad sequence */
/* Inside a transaction: drop the oldest rows so that about `keep` stay, a bounded number a call. The hash of the last
 * row that went is kept, and a row of kind "pruned" says it: so the chain still begins somewhere that it attests. */
int journal_prune(struct store *s, int64_t keep, int64_t now_us, struct err *e);
int64_t journal_first(const struct store *s); /* sequence of the oldest row */
int64_t journal_last(const struct store *s);
/* Hash over all rows without times: the same decisions give the same hash (replay, honesty test). */
uint64_t journal_decision_hash(struct store *s);

#endif
