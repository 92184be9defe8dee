#include "core/store.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/hash.h"
#include "core/pki.h"

enum { SCHEMA = 1, STATEMENTS = 9 };
enum { PRUNE_FROM = 1000, PRUNE_MOST = 10000 }; /* rows: not for fewer, not more at once */

enum statement { PUT_OBJECT, DELETE_OBJECT, PUT_VALUE, GET_VALUE, APPEND, PRUNE, BEGIN, COMMIT, ROLLBACK };
static const char *const sql[STATEMENTS] = {
    [PUT_OBJECT] = ("INSERT INTO object(kind,name,parent,revision,json) VALUES(?,?,?,?,?) "
                    "ON CONFLICT(kind,name) DO UPDATE SET revision=excluded.revision, json=excluded.json"),
    [DELETE_OBJECT] = "DELETE FROM object WHERE kind=? AND name=?",
    [PUT_VALUE] = "INSERT INTO value(key,value) VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
    [GET_VALUE] = "SELECT value FROM value WHERE key=?",
    [APPEND] = "INSERT INTO journal(sequence,time,kind,by,object,text,json,hash) VALUES(?,?,?,?,?,?,?,?)",
    [PRUNE] = "DELETE FROM journal WHERE sequence<=?",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

/* One thread, one connection: no locks within. */
enum { OPEN_FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX };

struct store {
    sqlite3 *db;
    sqlite3_stmt *st[STATEMENTS];
    EVP_MD *sha256; /* looked up once, like the memory to work in */
    EVP_MD_CTX *hasher;
    int lock;
    bool in_txn, bad;
    struct err why;
    int64_t last, last_committed;
    int64_t base, base_committed; /* rows up to here were dropped */
    char hash[65], hash_committed[65]; /* of the newest journal row */
};

static int fail(struct store *s, struct err *e, const char *what) {
    int code = sqlite3_errcode(s->db);
    int why = sqlite3_system_errno(s->db);
    bool is_full = code == SQLITE_FULL || (code == SQLITE_IOERR && (why == ENOSPC || why == EDQUOT || why == EFBIG));
    int mine = is_full ? E_LIMIT : code == SQLITE_BUSY || code == SQLITE_LOCKED ? E_UNAVAIL : E_IO;
    struct err own;
    e = e ? e : &own;
    err_set(e, mine, "state.db %s: %s", what, sqlite3_errmsg(s->db));
    if (mine == E_LIMIT)
        err_hint(e, "the disk is full: free space in the state folder; nothing acknowledged is lost");
    s->why = *e;
    return mine;
}

bool store_ok(const struct store *s, struct err *why) {
    if (s->bad && why)
        *why = s->why;
    return !s->bad;
}

static int run(struct store *s, enum statement which, struct err *e, const char *what) {
    int rc = sqlite3_step(s->st[which]);
    sqlite3_reset(s->st[which]);
    sqlite3_clear_bindings(s->st[which]);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(s, e, what);
}

/* The text stays where it is until run() has stepped and forgotten it. */
static void bind(struct store *s, enum statement which, int i, const char *text) {
    sqlite3_bind_text(s->st[which], i, text ? text : "", -1, SQLITE_STATIC);
}

static int take_lock(struct store *s, const char *path, struct err *e) {
    char name[512];
    snprintf(name, sizeof name, "%.500s.lock", path);
    s->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock < 0)
        return err_errno(e, errno, "cannot open %s", name);
    if (flock(s->lock, LOCK_EX | LOCK_NB)) {
        char pid[24] = "";
        ssize_t n = read(s->lock, pid, sizeof pid - 1);
        pid[n > 0 ? n : 0] = '\0';
        err_set(e, E_EXISTS, "another controller (pid %s) is using %s", *pid ? pid : "?", path);
        err_hint(e, "stop it first, or choose another --state folder");
        return E_EXISTS;
    }
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (ftruncate(s->lock, 0) || pwrite(s->lock, pid, (size_t)n, 0) != n)
        return err_errno(e, errno, "cannot write %s", name);
    return 0;
}

static int schema(struct store *s, struct err *e) {
    static const char create[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
        "CREATE TABLE IF NOT EXISTS object(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,"
        " parent TEXT NOT NULL, revision INTEGER NOT NULL, json TEXT NOT NULL, UNIQUE(kind,name));"
        "CREATE TABLE IF NOT EXISTS value(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS journal(sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL,"
        " by TEXT NOT NULL, object TEXT NOT NULL, text TEXT NOT NULL, json TEXT NOT NULL, hash TEXT NOT NULL);"
        "CREATE INDEX IF NOT EXISTS journal_object ON journal(object);";
    sqlite3_stmt *st = NULL;
    int version = 0;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    if (version > SCHEMA) {
        err_set(e, E_UNSUPPORTED, "state.db has schema %d, this version knows %d", version, SCHEMA);
        err_hint(e, "use the newer version that wrote it");
        return E_UNSUPPORTED;
    }
    if (sqlite3_exec(s->db, create, NULL, NULL, NULL) != SQLITE_OK)
        return fail(s, e, "cannot make its tables");
    char set[48];
    snprintf(set, sizeof set, "PRAGMA user_version=%d", SCHEMA);
    return sqlite3_exec(s->db, set, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(s, e, "cannot set its schema");
}

enum { BASE_TEXT = 128 };

/* {"sequence":…,"hash":"…"} of the last row that was dropped; "" = none was. */
static void base_text(struct store *s, char text[BASE_TEXT]) {
    if (store_get(s, "journal.base", text, BASE_TEXT, NULL))
        *text = '\0';
}

static int64_t base_parse(const char *text, char hash[65]) {
    long long sequence = 0;
    strcpy(hash, "0");
    return sscanf(text, "{\"sequence\":%lld,\"hash\":\"%64[0-9a-f]", &sequence, hash) == 2 ? sequence : 0;
}

static void last_row(struct store *s) {
    sqlite3_stmt *st = NULL;
    strcpy(s->hash, "0");
    if (sqlite3_prepare_v2(s->db, "SELECT sequence,hash FROM journal ORDER BY sequence DESC LIMIT 1", -1, &st, NULL) ==
            SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW) {
        s->last = sqlite3_column_int64(st, 0);
        str_copy(s->hash, sizeof s->hash, (const char *)sqlite3_column_text(st, 1));
    }
    sqlite3_finalize(st);
    char text[BASE_TEXT], hash[65];
    base_text(s, text);
    s->base = s->base_committed = base_parse(text, hash);
    s->last_committed = s->last;
    memcpy(s->hash_committed, s->hash, sizeof s->hash);
}

int store_open(const char *path, struct store **out, struct err *e) {
    struct store *s = calloc(1, sizeof *s);
    s->lock = -1;
    s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    s->hasher = EVP_MD_CTX_new();
    int rc = path ? take_lock(s, path, e) : 0;
    if (!rc && sqlite3_open_v2(path ? path : ":memory:", &s->db, OPEN_FLAGS, NULL) != SQLITE_OK)
        rc = fail(s, e, "cannot be opened");
    if (!rc) {
        sqlite3_busy_timeout(s->db, 2000);
        rc = schema(s, e);
    }
    for (int i = 0; i < STATEMENTS && !rc; i++)
        if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i], NULL) != SQLITE_OK)
            rc = fail(s, e, sql[i]);
    if (rc) {
        store_close(s);
        return rc;
    }
    last_row(s);
    *out = s;
    return 0;
}

void store_close(struct store *s) {
    if (!s)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->st[i]);
    sqlite3_close(s->db);
    EVP_MD_CTX_free(s->hasher);
    EVP_MD_free(s->sha256);
    if (s->lock >= 0)
        close(s->lock);
    free(s);
}

int store_begin(struct store *s, struct err *e) {
    int rc = run(s, BEGIN, e, "cannot begin");
    s->in_txn = !rc;
    return rc;
}

void store_rollback(struct store *s) {
    if (s->in_txn && !sqlite3_get_autocommit(s->db))
        run(s, ROLLBACK, NULL, "cannot roll back");
    s->in_txn = false;
    s->base = s->base_committed;
    s->last = s->last_committed;
    memcpy(s->hash, s->hash_committed, sizeof s->hash);
    s->bad = true;
    if (!s->why.code) /* the caller's reason, not the database's */
        err_set(&s->why, E_IO, "state.db: the last change was rolled back");
}

int store_commit(struct store *s, struct err *e) {
    int rc = run(s, COMMIT, e, "cannot be written");
    if (rc) {
        store_rollback(s);
        return rc;
    }
    s->in_txn = false;
    s->bad = false;
    err_clear(&s->why);
    s->last_committed = s->last;
    s->base_committed = s->base;
    memcpy(s->hash_committed, s->hash, sizeof s->hash);
    return 0;
}

int store_end(struct store *s, int rc, struct err *e) {
    if (!rc)
        return store_commit(s, e);
    store_rollback(s);
    return rc;
}

int store_put_object(struct store *s, const char *kind, const char *name, const char *parent, uint64_t revision,
                     const char *json, struct err *e) {
    bind(s, PUT_OBJECT, 1, kind);
    bind(s, PUT_OBJECT, 2, name);
    bind(s, PUT_OBJECT, 3, parent);
    sqlite3_bind_int64(s->st[PUT_OBJECT], 4, (int64_t)revision);
    bind(s, PUT_OBJECT, 5, json);
    return run(s, PUT_OBJECT, e, "cannot keep an object");
}

int store_delete_object(struct store *s, const char *kind, const char *name, struct err *e) {
    bind(s, DELETE_OBJECT, 1, kind);
    bind(s, DELETE_OBJECT, 2, name);
    return run(s, DELETE_OBJECT, e, "cannot drop an object");
}

static const char *column(sqlite3_stmt *st, int i) {
    const char *s = (const char *)sqlite3_column_text(st, i);
    return s ? s : "";
}

int store_each_object(struct store *s, store_object_fn *fn, void *ctx, struct err *e) {
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, "SELECT kind,name,parent,json FROM object ORDER BY id", -1, &st, NULL) != SQLITE_OK)
        return fail(s, e, "cannot be read");
    int rc = 0, step;
    while (!rc && (step = sqlite3_step(st)) == SQLITE_ROW)
        rc = fn(ctx, column(st, 0), column(st, 1), column(st, 2), column(st, 3), e);
    if (!rc && step != SQLITE_DONE)
        rc = fail(s, e, "cannot be read");
    sqlite3_finalize(st);
    return rc;
}

int store_put(struct store *s, const char *key, const char *value, struct err *e) {
    bind(s, PUT_VALUE, 1, key);
    bind(s, PUT_VALUE, 2, value);
    return run(s, PUT_VALUE, e, "cannot keep a value");
}

int store_get(struct store *s, const char *key, char *value, size_t size, struct err *e) {
    sqlite3_stmt *st = s->st[GET_VALUE];
    bind(s, GET_VALUE, 1, key);
    int step = sqlite3_step(st), rc = 0;
    if (step == SQLITE_ROW)
        rc = str_copy(value, size, column(st, 0)) ? 0 : err_set(e, E_LIMIT, "the value of %s is too long", key);
    else
        rc = step == SQLITE_DONE ? err_set(e, E_NOTFOUND, "no value %s", key) : fail(s, e, "cannot be read");
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return rc;
}

/* -- journal -- */

/* SHA-256 over the previous hash and every part with its length, so that no two rows read alike. */
static void chain(const struct store *s, const char *previous, const struct journal_row *r, char out[65]) {
    EVP_MD_CTX *c = s->hasher;
    unsigned char digest[32];
    char number[48];
    const char *parts[] = {previous, r->kind, r->by, r->object, r->text, r->json};
    EVP_DigestInit_ex(c, s->sha256, NULL);
    snprintf(number, sizeof number, "%lld:%lld;", (long long)r->sequence, (long long)r->time_us);
    EVP_DigestUpdate(c, number, strlen(number));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(number, sizeof number, "%zu:", strlen(parts[i]));
        EVP_DigestUpdate(c, number, strlen(number));
        EVP_DigestUpdate(c, parts[i], strlen(parts[i]));
    }
    EVP_DigestFinal_ex(c, digest, NULL);
    hex_encode(out, digest, sizeof digest);
}

int64_t journal_last(const struct store *s) { return s->last; }

int journal_append(struct store *s, struct journal_row *r, struct err *e) {
    r->sequence = s->last + 1;
    r->by = r->by ? r->by : "";
    r->object = r->object ? r->object : "";
    r->text = r->text ? r->text : "";
    r->json = r->json ? r->json : "";
    chain(s, s->hash, r, r->hash);
    sqlite3_stmt *st = s->st[APPEND];
    sqlite3_bind_int64(st, 1, r->sequence);
    sqlite3_bind_int64(st, 2, r->time_us);
    bind(s, APPEND, 3, r->kind);
    bind(s, APPEND, 4, r->by);
    bind(s, APPEND, 5, r->object);
    bind(s, APPEND, 6, r->text);
    bind(s, APPEND, 7, r->json);
    bind(s, APPEND, 8, r->hash);
    int rc = run(s, APPEND, e, "cannot be written");
    if (rc)
        return rc;
    s->last = r->sequence;
    memcpy(s->hash, r->hash, sizeof s->hash);
    return 0;
}

static void row_read(sqlite3_stmt *st, struct journal_row *r) {
    *r = (struct journal_row){.sequence = sqlite3_column_int64(st, 0), .time_us = sqlite3_column_int64(st, 1),
                              .kind = column(st, 2), .by = column(st, 3), .object = column(st, 4),
                              .text = column(st, 5), .json = column(st, 6)};
    str_copy(r->hash, sizeof r->hash, column(st, 7));
}

int journal_read(struct store *s, const struct journal_query *q, journal_fn *fn, void *ctx, struct err *e) {
    char text[400]; /* numbered marks: 1 after, 2 before, 3 limit, 4 kind, 5 by, 6 object */
    snprintf(text, sizeof text,
             "SELECT sequence,time,kind,by,object,text,json,hash FROM journal WHERE sequence>?1 AND sequence<?2"
             "%s%s%s ORDER BY sequence %s LIMIT ?3",
             q->kind ? " AND kind=?4" : "", q->by ? " AND by=?5" : "", q->object ? " AND object=?6" : "",
             q->newest_first ? "DESC" : "ASC");
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, text, -1, &st, NULL) != SQLITE_OK)
        return fail(s, e, "cannot read the journal");
    sqlite3_bind_int64(st, 1, q->after);
    sqlite3_bind_int64(st, 2, q->before ? q->before : INT64_MAX);
    sqlite3_bind_int64(st, 3, q->limit ? q->limit : 1000);
    const char *filters[] = {q->kind, q->by, q->object};
    for (int i = 0; i < 3; i++)
        if (filters[i])
            sqlite3_bind_text(st, 4 + i, filters[i], -1, SQLITE_TRANSIENT);
    int rc = 0, step = SQLITE_DONE;
    while (!rc && (step = sqlite3_step(st)) == SQLITE_ROW) {
        struct journal_row r;
        row_read(st, &r);
        rc = fn(ctx, &r);
    }
    sqlite3_finalize(st);
    return rc ? rc : step == SQLITE_DONE ? 0 : fail(s, e, "cannot read the journal");
}

int64_t journal_first(const struct store *s) { return s->base + 1; }

static int first_hash(void *ctx, const struct journal_row *r) {
    memcpy(ctx, r->hash, sizeof r->hash);
    return 0;
}

int journal_prune(struct store *s, int64_t keep, int64_t now_us, struct err *e) {
    int64_t to = s->last - keep, most = s->base + PRUNE_MOST;
    char base[BASE_TEXT], text[160], hash[65] = "";
    to = to < most ? to : most;
    if (to - s->base < PRUNE_FROM)
        return 0;
    struct journal_query q = {.after = to - 1, .limit = 1};
    int rc = journal_read(s, &q, first_hash, hash, e);
    if (rc)
        return rc;
    snprintf(base, sizeof base, "{\"sequence\":%lld,\"hash\":\"%s\"}", (long long)to, hash);
    snprintf(text, sizeof text, "the rows up to %lld are dropped: about %lld are kept", (long long)to, (long long)keep);
    struct journal_row row = {.time_us = now_us, .kind = "pruned", .by = "journal", .text = text, .json = base};
    sqlite3_bind_int64(s->st[PRUNE], 1, to);
    rc = run(s, PRUNE, e, "cannot drop old journal rows");
    if (!rc)
        rc = store_put(s, "journal.base", base, e);
    if (!rc)
        rc = journal_append(s, &row, e);
    if (!rc)
        s->base = to;
    return rc;
}

struct verify {
    const struct store *store;
    char previous[65], pruned[BASE_TEXT];
    int64_t expected, rows, bad;
};

static int verify_row(void *ctx, const struct journal_row *r) {
    struct verify *v = ctx;
    char hash[65];
    chain(v->store, v->previous, r, hash);
    if (r->sequence != v->expected || strcmp(hash, r->hash)) {
        v->bad = v->expected;
        return E_CONFLICT;
    }
    memcpy(v->previous, r->hash, sizeof v->previous);
    if (!strcmp(r->kind, "pruned"))
        str_copy(v->pruned, sizeof v->pruned, r->json);
    v->expected++;
    v->rows++;
    return 0;
}

int journal_verify(struct store *s, int64_t *rows, struct err *e) {
    struct verify v = {.store = s, .expected = s->base + 1, .pruned = ""};
    struct journal_query q = {.limit = INT64_MAX};
    char base[BASE_TEXT];
    base_text(s, base);
    base_parse(base, v.previous);
    int rc = journal_read(s, &q, verify_row, &v, e);
    if (!rc && strcmp(base, v.pruned)) { /* where it begins is not where it says it was cut */
        v.bad = s->base;
        rc = E_CONFLICT;
    }
    if (!rc && v.expected != s->last_committed + 1) {
        v.bad = v.expected;
        rc = E_CONFLICT;
    }
    if (rows)
        *rows = v.rows;
    return rc == E_CONFLICT ? err_set(e, E_CONFLICT, "the journal is broken at sequence %lld: a row was changed or removed",
                                      (long long)v.bad)
                            : rc;
}

static int hash_row(void *ctx, const struct journal_row *r) {
    struct hash *h = ctx;
    const char *parts[] = {r->by, r->object, r->text, r->json};
    for (size_t i = 0; i < 4; i++)
        hash_bytes(h, parts[i], strlen(parts[i]));
    return 0;
}

uint64_t journal_decision_hash(struct store *s) {
    struct hash h;
    struct journal_query q = {.limit = INT64_MAX, .kind = "decision"};
    hash_begin(&h, 0);
    journal_read(s, &q, hash_row, &h, NULL);
    return hash_end(&h);
}
