/* Link: messages between our own processes over mutual TLS 1.3 (OpenSSL, non-blocking, on the loop).
 *
 * A frame is a 4-byte big-endian length, one type byte ('J' JSON document, 'B' bytes: 8-byte stream id + payload,
 * 'P' keep-alive, empty) and the payload; at most LINK_FRAME_MAX. JSON messages: {"call":7,"verb":"start","in":{…}},
 * {"reply":7,"out":{…}} or {"reply":7,"err":{…}}, {"event":"task","data":{…}}. Both sides may call.
 *
 * Messages of one callback leave together, after it: one record, one system call. link_send never calls a handler.
 * Backpressure: link_send refuses with E_LIMIT above LINK_QUEUE_MAX bytes waiting; link_queued says how many;
 * drained() comes when the queue has fallen below LINK_QUEUE_LOW after it was above. link_pause stops reading, so
 * that the other side's queue fills instead of ours.
 *
 * An open link says something every LINK_BEAT_US at least. Nothing heard for LINK_SILENCE_US ends it (E_TIMEOUT): a peer that died without a word, or is stopped, is noticed within ten seconds on both sides.
 *
 * A peer is who its certificate says (core/pki.h): CN "agent/<name>" or "controller", issued by the estate's CA.
 * Whatever it sends that is not a frame ends the link, with the reason in closed(). */
#ifndef SUAN_CORE_LINK_H
#define SUAN_CORE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"
#include "core/loop.h"

enum { LINK_FRAME_MAX = 8 << 20, LINK_QUEUE_MAX = 64 << 20, LINK_QUEUE_LOW = 256 << 10 };
enum { LINK_BEAT_US = 2500000, LINK_SILENCE_US = 7400000 };
enum { LINK_HANDSHAKES_MAX = 64 }; /* of one listener at once; the oldest makes room */

struct link_identity; /* own certificate, key and the CA */
int link_identity_load(const char *cert_pem, const char *key_pem, const char *ca_pem, struct link_identity **out,
                       struct err *e);
void link_identity_free(struct link_identity *i);

struct wire_link;
struct link_handler {
    void (*opened)(void *ctx, struct wire_link *l, const char *peer_name, const char *peer_fingerprint);
    void (*message)(void *ctx, struct wire_link *l, struct doc *d, struct arena *a); /* arena is freed after the call */
    void (*bytes)(void *ctx, struct wire_link *l, uint64_t stream, const void *p, size_t n);
    /* l is gone after this. Also for a peer that was refused before opened(): then link_peer(l) is what its
     * certificate said, or "". */
    void (*closed)(void *ctx, struct wire_link *l, const struct err *why);
    void (*drained)(void *ctx, struct wire_link *l); /* optional */
};

struct link_listener;
int link_listen(struct loop *loop, const char *address, int port, struct link_identity *id,
                const struct link_handler *h, void *ctx, struct link_listener **out, struct err *e);
int link_listener_port(const struct link_listener *ll);
/* For links accepted from now on: a certificate that was issued again. The caller keeps both alive meanwhile. */
void link_listener_identity(struct link_listener *ll, struct link_identity *id);
void link_listener_free(struct link_listener *ll); /* open links stay; unfinished handshakes end without a word */
/* Connects (asynchronously); `expect_peer` is the CN the other side must show. */
int link_connect(struct loop *loop, const char *address, int port, const char *expect_peer, struct link_identity *id,
                 const struct link_handler *h, void *ctx, struct wire_link **out, struct err *e);
int link_send(struct wire_link *l, const struct doc *d, struct err *e);
int link_send_bytes(struct wire_link *l, uint64_t stream, const void *p, size_t n, struct err *e);
size_t link_queued(const struct wire_link *l);
void link_close(struct wire_link *l); /* closed() is called */
void link_pause(struct wire_link *l, bool paused); /* no message() or bytes() while paused */
void link_set_ctx(struct wire_link *l, void *ctx);
const char *link_peer(const struct wire_link *l);

/* -- messages (link_message.c) -- */
enum link_kind { LINK_CALL, LINK_REPLY, LINK_EVENT };
struct link_message {
    enum link_kind kind;
    uint64_t number;   /* of the call */
    const char *name;  /* verb or event */
    struct doc *body;  /* in, out or data; NULL = none */
    struct err err;    /* of a reply: code 0 = it went well */
};
/* E_INVAL when it is none of the three shapes: whoever reads closes the link then. */
int link_message_read(const struct doc *d, struct link_message *m, struct err *e);
/* `body` may be NULL. */
int link_call(struct wire_link *l, uint64_t number, const char *verb, struct doc *in, struct err *e);
int link_reply(struct wire_link *l, uint64_t number, int rc, struct doc *out, const struct err *why, struct err *e);
int link_event(struct wire_link *l, const char *name, struct doc *data, struct err *e);

#endif
