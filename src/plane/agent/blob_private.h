/* What the parts of the blob store share: blob.c (the store), blob_move.c (fetches), blob_serve.c (peers' fetches).
 *
 * The store is a folder of read-only files named by the hex of their SHA-256. A file gets its name when it is whole,
 * verified and durable; until then it is ".part-…", swept at the next open. Use is remembered in the access time. */
#ifndef SUAN_PLANE_AGENT_BLOB_PRIVATE_H
#define SUAN_PLANE_AGENT_BLOB_PRIVATE_H

#include "base/map.h"
#include "core/link.h"
#include "plane/agent/private.h"

enum { BLOB_HEX = 65, BLOB_PATH = 600, SENDS_MAX = 64 };

struct content {
    char hex[BLOB_HEX];
    int64_t size, used_us;
};

struct waiter;
struct fetch;
struct blob_peer;
struct blob_conn;
struct blobs {
    struct blobs *owner; /* first: itself (see blob_serve.c) */
    struct agent_state *a;
    char folder[512];
    int folder_fd;
    int64_t max_bytes, bytes;
    uint64_t evicted, parts;
    struct map contents; /* by hex; keys lie in the entries */
    struct link_identity *id;
    struct link_listener *listener;
    struct waiter *waiters;
    struct fetch *fetches;
    struct blob_peer *peers; /* whom we fetch from */
    struct blob_conn *conns; /* who fetches from us */
    uint64_t last_number;
};

/* Who fetches from us. A link's ctx is the store until its peer is let in, then this; both begin with a pointer that tells which it is. */
struct blob_conn {
    struct blobs *owner;
    struct wire_link *link;
    struct send {
        uint64_t number;
        char hex[BLOB_HEX];
        int64_t at, end;
    } sends[SENDS_MAX]; /* a ring */
    uint32_t first, n;
    int fd; /* of the first; -1 = not begun */
    struct blob_conn *next, **at;
};

/* -- blob.c -- */
int digest_hex(const char *digest, char hex[BLOB_HEX], struct err *e); /* "sha256:<64 hex digits>", nothing else */
struct content *content_find(struct blobs *b, const char *hex);        /* NULL = not here */
void content_use(struct blobs *b, struct content *c);
int content_open(struct blobs *b, struct content *c);                  /* descriptor, or -1 */
/* Room for `size` more, by evicting; E_LIMIT when what is in use leaves none. */
int store_room(struct blobs *b, int64_t size, struct err *e);
int part_open(struct blobs *b, const char *hint, char path[BLOB_PATH], struct err *e); /* descriptor, or negative code */
/* fsync, name, remember. Closes fd in any case; on failure the part is gone. */
int part_finish(struct blobs *b, int fd, const char *path, const char *hex, int64_t size, struct err *e);
void part_drop(int fd, const char *path);

void fetches_close(struct blobs *b); /* blob_move.c */
void sends_close(struct blobs *b);   /* blob_serve.c */

#endif
