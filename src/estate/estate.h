/* The estate: one typed graph of everything a compute centre owns.
 *
 * An object has a kind (a row of the kind list: its table of fields, its parents, its state machine), a name that
 * is unique within the kind ("rack/zjk-a-r01"), one parent, and a flat struct of fields. Other relations are
 * FIELD_REF fields. Ids are never reused, so a stale id is found out, never followed. Iteration is in id order, which
 * is creation order: deterministic.
 *
 * Two ways to change it:
 *  - configuration, by transaction: begin, set/create/delete, diff, check, commit or abort. A commit gets the next
 *    revision number, all or nothing; estate_rollback(rev) commits the inverse. The last 1,024 revisions are kept.
 *  - observation (F_STATE fields, conditions), directly by estate_touch/estate_condition: cheap, no revision,
 *    but seen in the change feed.
 *
 * The change feed is a ring with a sequence number; each consumer keeps its own cursor. One that falls behind the
 * ring gets ESTATE_RESYNC once and walks everything. Durable state, console events and indexes are consumers.
 *
 * Memory: headers lie in pages of 256 that never move, data is one block an object (a pointer is good until the object
 * goes; no pointer is kept across ticks). A node costs under 700 bytes with name and index.
 * Transactions apply at once and undo on abort; the feed and the revision come with the commit.
 * Not thread-safe: the control thread owns it; workers get copies. */
#ifndef SUAN_ESTATE_ESTATE_H
#define SUAN_ESTATE_ESTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/field.h"
#include "base/machine.h"

enum { ESTATE_NAME = 64, ESTATE_PATH = 96, ESTATE_KINDS_MAX = 128 };

enum kind_flags {
    KIND_DURABLE = 1 << 0, /* objects and their non-volatile state are kept in state.db */
    KIND_RUNTIME = 1 << 1, /* made by verbs (job, task), not by an estate file; exported separately */
    KIND_DEVICE = 1 << 2   /* has a `backend` and is driven through device/ */
};

struct kind {
    const char *name;  /* "rack" */
    const char *title; /* "Rack", for pages */
    const char *title_zh;
    const struct table *table;
    const char *const *parents;    /* NULL-terminated kinds a parent may have; NULL = root */
    const struct machine *states;  /* or NULL; then the field named `state` is checked against it */
    uint32_t flags;
    const char *doc;
};

struct estate;

/* `kinds` is the explicit list (estate/kinds.h plus what capabilities add); it must outlive the estate. */
struct estate *estate_new(const struct kind *const *kinds, size_t nkinds);
void estate_free(struct estate *s);
size_t estate_kind_count(const struct estate *s);
const struct kind *estate_kind_at(const struct estate *s, size_t i);
const struct kind *estate_kind(const struct estate *s, const char *name);
/* As `estate_kind`, with E_NOTFOUND and "did you mean". */
int estate_kind_find(const struct estate *s, const char *name, const struct kind **out, struct err *e);

/* -- read -- */
oid estate_find(const struct estate *s, const char *kind, const char *name);   /* 0 = none */
int estate_lookup(const struct estate *s, const char *kind, const char *name, oid *out, struct err *e);
int estate_lookup_path(const struct estate *s, const char *path, oid *out, struct err *e); /* "rack/r01" */
bool estate_alive(const struct estate *s, oid id);
const struct kind *estate_kind_of(const struct estate *s, oid id);
const char *estate_name(const struct estate *s, oid id);
void estate_path(const struct estate *s, oid id, char out[ESTATE_PATH]); /* "rack/r01" */
oid estate_parent(const struct estate *s, oid id);
oid estate_ancestor(const struct estate *s, oid id, const char *kind); /* nearest of that kind, itself included */
uint64_t estate_revision_of(const struct estate *s, oid id); /* of the object's last change (feed sequence) */
/* The struct; asserts that the id is alive and of that kind. */
const void *estate_data(const struct estate *s, oid id);
#define estate_get(s, id, type) ((const struct type *)estate_data_of((s), (id), #type))
const void *estate_data_of(const struct estate *s, oid id, const char *kind);

size_t estate_count(const struct estate *s, const char *kind); /* of one kind, or all with NULL */
/* Iterate in id order: for (oid i = 0; (i = estate_next(s, "rack", i));) … */
oid estate_next(const struct estate *s, const char *kind, oid after);
oid estate_child(const struct estate *s, oid parent, const char *kind, oid after); /* kind NULL = any */
struct field_env estate_env(const struct estate *s);

/* -- observe -- */
/* Writable struct of an object; the caller changes F_STATE fields only; the feed records one change. */
void *estate_touch(struct estate *s, oid id);
#define estate_observe(s, id, type) ((struct type *)estate_touch_of((s), (id), #type))
void *estate_touch_of(struct estate *s, oid id, const char *kind);
/* Move the object's `state` field along its machine; E_STATE when there is no such edge. */
int estate_move(struct estate *s, oid id, int to, struct err *e);

/* Conditions: why an object is not simply fine. Keyed by name; at most 8 an object. */
enum severity { SEV_INFO, SEV_NOTICE, SEV_WARNING, SEV_ERROR, SEV_CRITICAL };
extern const char *const severity_words[];
struct condition {
    char name[32]; /* "over-budget" */
    enum severity severity;
    int64_t since_us;
    char text[192];
    char by[32]; /* capability or part that set it */
};
/* Sets or clears (text NULL). Returns whether anything changed. */
bool estate_condition(struct estate *s, oid id, const char *name, enum severity sev, const char *by, int64_t now_us,
                      const char *text);
size_t estate_conditions(const struct estate *s, oid id, const struct condition **out);

/* -- change feed -- */
enum change_op { CHANGE_CREATE, CHANGE_CONFIG, CHANGE_STATE, CHANGE_CONDITION, CHANGE_DELETE };
struct change {
    uint64_t sequence;
    enum change_op op;
    oid id;
    uint64_t revision; /* of the transaction, 0 for observations */
    char name[ESTATE_NAME]; /* so that a delete can still be named */
    const struct kind *kind;
};
enum { ESTATE_RESYNC = 1 };
uint64_t estate_sequence(const struct estate *s); /* of the last change */
/* Next change after *cursor: 1 = got one, 0 = none, -1 = cursor fell off the ring (walk everything; cursor moved). */
int estate_changes(const struct estate *s, uint64_t *cursor, struct change *out);

/* -- transactions -- */
struct txn;
struct txn *estate_begin(struct estate *s);
/* All setters: on error nothing of the call is applied, the transaction stays usable. */
int txn_create(struct txn *t, const char *kind, const char *name, oid parent, const struct doc *fields,
               const char *source, oid *out, struct err *e);
/* As txn_create with a ready struct instead of a doc (must be the kind's struct, defaults included). */
int txn_insert(struct txn *t, const char *kind, const char *name, oid parent, const void *data, oid *out,
               struct err *e);
int txn_set(struct txn *t, oid id, const struct doc *fields, const char *source, struct err *e);
int txn_delete(struct txn *t, oid id, struct err *e); /* refused while it has children or is referred to */
int txn_delete_tree(struct txn *t, oid id, struct err *e);
/* A whole estate document (see estate/import.c for its form), merged into the transaction. */
int txn_import(struct txn *t, const struct doc *d, const char *source, struct err *e);
/* Seq of {op, object, field, old, new}. */
struct doc *txn_diff(const struct txn *t, struct arena *a);
int txn_check(struct txn *t, struct err *e); /* references, parents, checks of every touched object */
/* Checks, applies, numbers. `why` and `who` are kept with the revision. */
int txn_commit(struct txn *t, const char *who, const char *why, uint64_t *revision, struct err *e);
void txn_abort(struct txn *t);
uint64_t estate_revision(const struct estate *s); /* last committed */
int estate_rollback(struct estate *s, uint64_t to_revision, const char *who, uint64_t *revision, struct err *e);
/* Seq of {revision, who, why, changes}. */
struct doc *estate_history(const struct estate *s, struct arena *a, uint64_t from, size_t limit);

/* -- whole -- */
struct doc *estate_export(const struct estate *s, struct arena *a, bool with_state); /* txn_import reads it back */
struct doc *estate_object_doc(const struct estate *s, oid id, struct arena *a); /* kind, name, parent, fields, conditions */
/* Put an object back as stored (state included), bypassing revisions; used at start only. */
int estate_restore(struct estate *s, const char *kind, const char *name, const char *parent_path,
                   const struct doc *fields, struct err *e);
uint64_t estate_hash(const struct estate *s); /* of all non-volatile fields, in id order */

#endif
