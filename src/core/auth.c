#include "core/auth.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/vec.h"
#include "core/loop.h"
#include "core/pki.h"
#include "core/store.h"

const char *const role_words[] = {"none", "viewer", "owner", "operator", "admin", NULL};

struct token {
    struct principal who;
    char hash[65];
    int64_t created_us, expires_us;
};

struct auth {
    struct store *store;
    VEC(struct token *) tokens;
    struct map by_hash;
};

/* Tokens are objects of the store, kind "token"; they are not estate: nothing may refer to them. */
static int load(void *ctx, const char *kind, const char *name, const char *parent, const char *json, struct err *e) {
    struct auth *a = ctx;
    struct arena ar = ARENA_INIT;
    struct doc *d = NULL;
    (void)parent;
    if (strcmp(kind, "token") || json_parse(&ar, "state.db", json, strlen(json), NULL, &d, e)) {
        arena_free(&ar);
        return 0;
    }
    struct token *t = calloc(1, sizeof *t);
    bool is_new;
    str_copy(t->who.name, sizeof t->who.name, name);
    str_copy(t->who.tenant, sizeof t->who.tenant, doc_get_str(d, "tenant", ""));
    str_copy(t->hash, sizeof t->hash, doc_get_str(d, "hash", ""));
    t->who.role = (enum role)doc_get_int(d, "role", 0);
    t->created_us = doc_get_int(d, "created_us", 0);
    t->expires_us = doc_get_int(d, "expires_us", 0);
    vec_push(&a->tokens, t);
    map_put(&a->by_hash, t->hash, &is_new)->value.ptr = t;
    arena_free(&ar);
    return 0;
}

int auth_open(struct store *s, struct auth **out, struct err *e) {
    struct auth *a = calloc(1, sizeof *a);
    a->store = s;
    int rc = random_bytes(a->by_hash.seed, sizeof a->by_hash.seed, e);
    if (!rc)
        rc = store_each_object(s, load, a, e);
    if (rc) {
        auth_close(a);
        return rc;
    }
    *out = a;
    return 0;
}

void auth_close(struct auth *a) {
    if (!a)
        return;
    for (size_t i = 0; i < a->tokens.n; i++)
        free(a->tokens.p[i]);
    vec_free(&a->tokens);
    map_free(&a->by_hash);
    free(a);
}

static struct token *find(struct auth *a, const char *name) {
    for (size_t i = 0; i < a->tokens.n; i++)
        if (!strcmp(a->tokens.p[i]->who.name, name))
            return a->tokens.p[i];
    return NULL;
}

int auth_create(struct auth *a, const char *name, enum role role, const char *tenant, int64_t expires_us,
                char secret[65], struct err *e) {
    unsigned char raw[32];
    char hash[65];
    if (!str_is_name(name))
        return err_set(e, E_INVAL, "'%.64s' is not a name", name);
    if (find(a, name))
        return err_set(e, E_EXISTS, "there is already a token '%s'", name);
    if (role == ROLE_OWNER && !*tenant)
        return err_set(e, E_INVAL, "an owner's token needs a tenant");
    int rc = random_bytes(raw, sizeof raw, e);
    if (rc)
        return rc;
    hex_encode(secret, raw, sizeof raw);
    sha256_hex(secret, 64, hash);
    struct text json = TEXT_INIT;
    text_addf(&json, "{\"role\":%d,\"tenant\":", (int)role);
    text_add_json(&json, tenant, strlen(tenant));
    text_addf(&json, ",\"hash\":\"%s\",\"created_us\":%lld,\"expires_us\":%lld}", hash, (long long)loop_wall_us(),
              (long long)expires_us);
    rc = store_begin(a->store, e);
    if (!rc)
        rc = store_end(a->store, store_put_object(a->store, "token", name, "", 0, text_str(&json), e), e);
    if (!rc)
        load(a, "token", name, "", text_str(&json), e);
    text_free(&json);
    OPENSSL_cleanse(raw, sizeof raw);
    return rc;
}

int auth_revoke(struct auth *a, const char *name, struct err *e) {
    struct token *t = find(a, name);
    if (!t)
        return err_set(e, E_NOTFOUND, "there is no token '%.64s'", name);
    int rc = store_begin(a->store, e);
    if (!rc)
        rc = store_end(a->store, store_delete_object(a->store, "token", name, e), e);
    if (rc)
        return rc;
    map_del(&a->by_hash, t->hash);
    for (size_t i = 0; i < a->tokens.n; i++)
        if (a->tokens.p[i] == t)
            a->tokens.p[i] = a->tokens.p[--a->tokens.n];
    free(t);
    return 0;
}

int auth_check(struct auth *a, const char *secret, int64_t now_us, struct principal *who, struct err *e) {
    char hash[65];
    struct token *t = NULL;
    if (strlen(secret) == 64) {
        /* The look-up is by hash: its timing tells nothing about the secret. */
        sha256_hex(secret, 64, hash);
        t = map_ptr(&a->by_hash, hash);
    }
    if (!t || (t->expires_us && now_us > t->expires_us)) {
        err_set(e, E_AUTH, t ? "the token has expired" : "the token is not known");
        err_hint(e, "send Authorization: Bearer TOKEN; the first one lies in the state folder's file `token`");
        return E_AUTH;
    }
    *who = t->who;
    return 0;
}

bool auth_is_valid(struct auth *a, const char *name, int64_t now_us) {
    const struct token *t = find(a, name);
    return t && (!t->expires_us || now_us <= t->expires_us);
}

void auth_each(struct auth *a, auth_each_fn *fn, void *ctx) {
    for (size_t i = 0; i < a->tokens.n; i++)
        fn(ctx, &a->tokens.p[i]->who, a->tokens.p[i]->created_us, a->tokens.p[i]->expires_us);
}

int auth_permit(const struct principal *who, enum role need, const char *tenant, struct err *e) {
    bool own = who->role == ROLE_OWNER && *tenant && !strcmp(tenant, who->tenant);
    bool enough = need == ROLE_NONE || who->role >= ROLE_OPERATOR ? who->role >= need
                  : need == ROLE_VIEWER                           ? who->role >= ROLE_VIEWER
                                                                  : own && need <= ROLE_OPERATOR;
    if (enough)
        return 0;
    err_set(e, E_DENIED, "%s is %s; this needs %s%s%s", *who->name ? who->name : "the caller", role_words[who->role],
            role_words[need], *tenant ? " of tenant " : "", tenant);
    return E_DENIED;
}
