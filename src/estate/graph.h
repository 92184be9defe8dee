/* Inside the estate: object headers, lists, indexes. Private to src/estate. */
#ifndef SUAN_ESTATE_GRAPH_H
#define SUAN_ESTATE_GRAPH_H

#include "base/map.h"
#include "base/vec.h"
#include "estate/estate.h"

enum { PAGE = 256, RING = 65536, HISTORY = 1024, CONDITIONS = 8 };

struct object {
    oid id;
    const struct kind *kind; /* NULL = free or dead */
    struct object *parent, *first_child, *last_child, *sibling_next, *sibling_prev, *kind_next, *kind_prev;
    void *data;
    struct condition *conditions;
    uint32_t n_conditions;
    uint64_t sequence; /* of its last change */
    char name[ESTATE_NAME];
};

struct kind_list {
    const struct kind *kind;
    struct object *first, *last;
    size_t n;
    struct map by_name;
    struct machine_field {
        const struct field *state; /* the field named `state`, for kinds with a machine */
    } machine;
};

struct past { /* one committed revision, kept for history and rollback */
    uint64_t revision;
    char who[64], why[128];
    struct past_op {
        enum change_op op;
        const struct kind *kind;
        char name[ESTATE_NAME], parent[ESTATE_PATH];
        char *before; /* JSON of the configured fields, NULL = was not there */
    } *ops;
    size_t n_ops;
};

struct undo {
    enum change_op op;
    struct object *o;
    void *before; /* CHANGE_CONFIG: copy of the data */
};

struct txn {
    struct estate *s;
    VEC(struct undo) log;
};

struct estate {
    struct kind_list kinds[ESTATE_KINDS_MAX];
    size_t n_kinds;
    struct object **pages;
    uint32_t *alive_in_page;
    size_t n_pages, cap_pages;
    uint64_t last_id;
    size_t n_objects;
    struct change ring[RING];
    uint64_t sequence;
    uint64_t revision;
    struct past past[HISTORY];
    size_t n_past; /* ever */
    bool in_txn;
};

struct kind_list *graph_kind(const struct estate *s, const char *name);
struct object *graph_object(const struct estate *s, oid id); /* NULL when dead */
struct object *graph_insert(struct estate *s, const struct kind *kind, const char *name, struct object *parent);
void graph_unlink(struct estate *s, struct object *o); /* out of lists and index; the object stays for undo */
void graph_relink(struct estate *s, struct object *o, const struct kind *kind);
void graph_free(struct estate *s, struct object *o);
void feed_add(struct estate *s, enum change_op op, struct object *o, const struct kind *kind, uint64_t revision);
void txn_back_to(struct txn *t, size_t mark); /* undo the newest entries of the log */
char *graph_config_json(const struct estate *s, const struct object *o);

#endif
