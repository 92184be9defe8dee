/* A small HTTP client of our own API: one connection, blocking, JSON. For the command line and `./run --once`. */
#ifndef SUAN_APP_CLIENT_H
#define SUAN_APP_CLIENT_H

#include "app/app.h"

struct client;
/* Where and who from the options, the environment, or the state folder, in this order. */
int client_open(const struct options *o, struct client **out, struct err *e);
void client_close(struct client *c);
/* `path` below /api/v1, already encoded: "job/weather". `body` NULL = GET. The raw answer goes to `out`; a problem
 * document becomes `e` (code, message, hint and place as the controller said them). */
int client_call(struct client *c, const char *path, const struct doc *body, struct text *out, struct err *e);
/* The same, parsed. */
int client_doc(struct client *c, const char *path, const struct doc *body, struct arena *a, struct doc **out,
               struct err *e);
/* Adds `text` with everything that is not unreserved (RFC 3986) percent-encoded. */
void client_encode(struct text *out, const char *text);

#endif
