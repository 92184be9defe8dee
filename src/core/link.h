/* Link: messages between our own processes over mutual TLS 1.3 (OpenSSL, non-blocking, on the loop).
 *
 * A frame is a 4-byte big-endian length, one type byte ('J' JSON document, 'B' bytes: 8-byte stream id + payload) and
 * the payload; at most LINK_FRAME_MAX. JSON messages: {"call":7,"verb":"task start","in":{…}},
 * {"reply":7,"out":{…}} or {"reply":7,"err":{…}}, {"event":"task","data":{…}}. Both sides may call.
 * Backpressure: link_send refuses with E_LIMIT above LINK_QUEUE_MAX bytes waiting; link_queued says how many.
 * A peer is who its certificate says (core/pki.h): CN "agent/<name>" or "controller", issued by the estate's CA. */
#ifndef SUAN_CORE_LINK_H
#define SUAN_CORE_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"
#include "core/loop.h"

enum { LINK_FRAME_MAX = 8 << 20, LINK_QUEUE_MAX = 64 << 20 };

struct link_identity; /* own certificate, key and the CA */
int link_identity_load(const char *cert_pem, const char *key_pem, const char *ca_pem, struct link_identity **out,
                       struct err *e);
void link_identity_free(struct link_identity *i);

struct wire_link;
struct link_handler {
    void (*opened)(void *ctx, struct wire_link *l, const char *peer_name, const char *peer_fingerprint);
    void (*message)(void *ctx, struct wire_link *l, struct doc *d, struct arena *a); /* arena is freed after the call */
    void (*bytes)(void *ctx, struct wire_link *l, uint64_t stream, const void *p, size_t n);
    void (*closed)(void *ctx, struct wire_link *l, const struct err *why); /* l is gone after this */
    void (*drained)(void *ctx, struct wire_link *l); /* queue fell below half; optional */
};

struct link_listener;
int link_listen(struct loop *loop, const char *address, int port, struct link_identity *id,
                const struct link_handler *h, void *ctx, struct link_listener **out, struct err *e);
int link_listener_port(const struct link_listener *ll);
void link_listener_free(struct link_listener *ll);
/* Connects (asynchronously); `expect_peer` is the CN the other side must show. */
int link_connect(struct loop *loop, const char *address, int port, const char *expect_peer, struct link_identity *id,
                 const struct link_handler *h, void *ctx, struct wire_link **out, struct err *e);
int link_send(struct wire_link *l, const struct doc *d, struct err *e);
int link_send_bytes(struct wire_link *l, uint64_t stream, const void *p, size_t n, struct err *e);
size_t link_queued(const struct wire_link *l);
void link_close(struct wire_link *l); /* closed() is called */
void link_set_ctx(struct wire_link *l, void *ctx);
const char *link_peer(const struct wire_link *l);

#endif
