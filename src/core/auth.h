/* Who is calling and what they may do.
 * Tokens are 32 random bytes, shown once, kept as SHA-256; compared in constant time. A token has a role and, for
 * owners, one tenant. Roles include the weaker ones: viewer < operator < admin; owner = viewer everywhere + every verb
 * on objects of its own tenant. The first start writes an admin token to <state>/token (0600).
 * Agents are known by the SHA-256 of the certificate they show (core/pki.h), never by token. */
#ifndef SUAN_CORE_AUTH_H
#define SUAN_CORE_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/field.h"

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OWNER, ROLE_OPERATOR, ROLE_ADMIN };
extern const char *const role_words[];

struct principal {
    char name[64];
    enum role role;
    char tenant[64]; /* owner's tenant, "" otherwise */
};

struct store;
struct auth;
int auth_open(struct store *s, struct auth **out, struct err *e);
void auth_close(struct auth *a);
/* Makes a token; `secret` (65 bytes, hex) is the only time it is seen. */
int auth_create(struct auth *a, const char *name, enum role role, const char *tenant, int64_t expires_us,
                char secret[65], struct err *e);
int auth_revoke(struct auth *a, const char *name, struct err *e);
/* E_AUTH when unknown, expired or revoked; `now_us` is wall time: a twin that jumps a year ends no token. Cost: one
 * SHA-256 and one map look-up. */
bool auth_is_valid(struct auth *a, const char *name, int64_t now_us); /* neither revoked nor expired */
int auth_check(struct auth *a, const char *secret, int64_t now_us, struct principal *who, struct err *e);
typedef void auth_each_fn(void *ctx, const struct principal *p, int64_t created_us, int64_t expires_us);
void auth_each(struct auth *a, auth_each_fn *fn, void *ctx);
/* May `who` call something that needs `need` on an object of `tenant` ("" = nobody's)? */
int auth_permit(const struct principal *who, enum role need, const char *tenant, struct err *e);

#endif
