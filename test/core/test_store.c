/* What must outlive a crash: killed in mid-commit, a full disk, a tampered journal, a feed that ran over. */
#include "tap.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "core/host.h"
#include "estate/kinds.h"

static char folder[] = "/tmp/suan-store-XXXXXX";
static char path[128];

static void sql(const char *text) {
    sqlite3 *db;
    sqlite3_open(path, &db);
    sqlite3_exec(db, text, NULL, NULL, NULL);
    sqlite3_close(db);
}

static void clean(void) {
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < 4; i++) {
        char name[160];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

/* One commit: object n and the row that says so. */
static int commit_one(struct store *s, int n) {
    char name[32], json[64];
    struct err e;
    snprintf(name, sizeof name, "t%d", n % 50);
    snprintf(json, sizeof json, "{\"n\":%d}", n);
    struct journal_row r = {.time_us = n, .kind = "decision", .by = "test", .object = name, .text = json};
    int rc = store_begin(s, &e);
    if (!rc)
        rc = store_put_object(s, "tenant", name, "", 1, json, &e);
    if (!rc)
        rc = journal_append(s, &r, &e);
    return rc ? (store_rollback(s), rc) : store_commit(s, &e);
}

static int newest;
static int see(void *ctx, const char *kind, const char *name, const char *parent, const char *json, struct err *e) {
    int n = atoi(json + 5);
    (void)ctx, (void)kind, (void)name, (void)parent, (void)e;
    newest = n > newest ? n : newest;
    return 0;
}

static void test_kill(void) {
    struct rng r = rng_new(5);
    bool agree = true, kept = true;
    int acknowledged = 0, rounds = 0;
    for (; rounds < 40 && agree && kept; rounds++) {
        int pipes[2];
        struct store *s = NULL;
        struct err e = {0};
        if (pipe(pipes))
            break;
        fflush(NULL);
        pid_t pid = fork();
        if (!pid) {
            close(pipes[0]);
            if (store_open(path, &s, NULL))
                _exit(1);
            for (int n = (int)journal_last(s) + 1;; n++)
                if (commit_one(s, n) || write(pipes[1], &n, sizeof n) != (ssize_t)sizeof n)
                    _exit(1);
        }
        close(pipes[1]);
        int first = 0; /* every second one is killed only after a commit, however slow the machine */
        if (rounds % 2 && read(pipes[0], &first, sizeof first) == (ssize_t)sizeof first)
            acknowledged = first;
        usleep((useconds_t)(5000 + rng_below(&r, 30000)));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        for (int n; read(pipes[0], &n, sizeof n) == (ssize_t)sizeof n;)
            acknowledged = n;
        close(pipes[0]);
        newest = 0;
        agree &= !store_open(path, &s, &e) && !journal_verify(s, NULL, &e) && !store_each_object(s, see, NULL, &e) &&
                 newest == (int)journal_last(s);
        kept &= newest >= acknowledged && newest <= acknowledged + 1;
        if (!agree || !kept)
            printf("# newest %d, journal %d, acknowledged %d: %s %s\n", newest, (int)journal_last(s), acknowledged, e.message, e.detail);
        acknowledged = newest; /* the next one goes on from what is there */
        store_close(s);
    }
    printf("# %d kills, %d commits\n", rounds, acknowledged);
    ok(agree && rounds == 40, "after 40 kills in mid-commit state and journal agree and the chain holds");
    ok(kept && acknowledged >= 20, "and nothing that was acknowledged is lost");
}

static void test_tamper(void) {
    static const char *const harm[] = {"UPDATE journal SET text='x' WHERE sequence=5", "DELETE FROM journal WHERE sequence=7",
                                       "UPDATE journal SET by='y' WHERE sequence=1"};
    for (size_t i = 0; i < 3; i++) {
        struct store *s = NULL;
        struct err e = {0};
        int64_t rows = 0;
        clean();
        store_open(path, &s, &e);
        for (int n = 1; n <= 10; n++)
            commit_one(s, n);
        bool good = !journal_verify(s, &rows, &e) && rows == 10;
        store_close(s);
        sql(harm[i]);
        store_open(path, &s, &e);
        ok(good && journal_verify(s, &rows, &e) == E_CONFLICT && strstr(e.message, "sequence"), harm[i]);
        store_close(s);
    }
    struct store *s = NULL, *second = NULL;
    struct err e = {0};
    store_open(path, &s, &e);
    is_int(store_open(path, &second, &e), E_EXISTS, "a second controller is refused");
    store_close(s);
}

static void test_full(void) {
    char mount_at[] = "/tmp/suan-full-XXXXXX", file[64], json[20000];
    struct store *s = NULL;
    struct err e = {0};
    if (!mkdtemp(mount_at) || mount("tmpfs", mount_at, "tmpfs", 0, "size=512k")) {
        skip("a small tmpfs cannot be mounted here");
        rmdir(mount_at);
        return;
    }
    snprintf(file, sizeof file, "%s/state.db", mount_at);
    ok(!store_open(file, &s, &e), "a store on a small disk");
    memset(json, 'x', sizeof json - 1);
    json[sizeof json - 1] = '\0';
    int rc = 0, n = 0;
    for (; !rc && n < 200; n++) {
        char name[16];
        snprintf(name, sizeof name, "o%d", n);
        rc = store_begin(s, &e);
        if (!rc)
            rc = store_end(s, store_put_object(s, "tenant", name, "", 1, json, &e), &e);
    }
    is_int(rc, E_LIMIT, "it fills: E_LIMIT");
    ok(*e.hint && !store_ok(s, &e), "with a hint, and store_ok says so");
    ok(!mount("tmpfs", mount_at, "tmpfs", MS_REMOUNT, "size=8m"), "room is made");
    rc = store_begin(s, &e);
    if (!rc)
        rc = store_end(s, store_put_object(s, "tenant", "after", "", 1, "{}", &e), &e);
    ok(!rc && store_ok(s, NULL), "and it goes on");
    store_close(s);
    umount(mount_at);
    rmdir(mount_at);
}

/* Deleted while the feed ran over: it must not come back at the next start. */
static void test_feed_overrun(void) {
    struct loop *l = loop_new(LOOP_VIRTUAL, 1764000000000000);
    struct host h;
    struct err e = {0};
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    ok(!host_open(&h, l, kinds_foundation, n, NULL, folder, 1, &e) && !host_start(&h, &e), "a host");
    struct txn *t = estate_begin(h.estate);
    oid a = 0, b = 0;
    int rc = txn_create(t, "tenant", "stays", 0, NULL, "test", &a, &e);
    rc = rc ? rc : txn_create(t, "tenant", "goes", 0, NULL, "test", &b, &e);
    rc = rc ? (txn_abort(t), rc) : txn_commit(t, "test", "", NULL, &e);
    host_cycle(&h);
    t = estate_begin(h.estate);
    rc = rc ? rc : txn_delete(t, b, &e);
    rc = rc ? (txn_abort(t), rc) : txn_commit(t, "test", "", NULL, &e);
    for (int i = 0; i < 70000; i++)
        estate_touch(h.estate, a);
    host_cycle(&h);
    host_close(&h);
    ok(!rc && !host_open(&h, l, kinds_foundation, n, NULL, folder, 1, &e), "started again");
    ok(estate_find(h.estate, "tenant", "stays") && !estate_find(h.estate, "tenant", "goes"), "what was deleted stays deleted");
    host_close(&h);
    loop_free(l);
}

/* A parent that changed after its child was made, all in one commit: it is given back first all the same. */
static void test_order(void) {
    struct loop *l = loop_new(LOOP_VIRTUAL, 1764000000000000);
    struct host h;
    struct err e = {0};
    size_t n = 0;
    oid parent = 0, child = 0;
    while (kinds_foundation[n])
        n++;
    ok(!host_open(&h, l, kinds_foundation, n, NULL, folder, 1, &e) && !host_start(&h, &e), "a host");
    struct txn *t = estate_begin(h.estate);
    int rc = txn_create(t, "centre", "parent", 0, NULL, "test", &parent, &e);
    rc = rc ? rc : txn_create(t, "agent", "child", parent, NULL, "test", &child, &e);
    rc = rc ? (txn_abort(t), rc) : txn_commit(t, "test", "", NULL, &e);
    if (!rc)
        estate_touch(h.estate, parent);
    host_cycle(&h);
    host_close(&h);
    if (!ok(!rc && !host_open(&h, l, kinds_foundation, n, NULL, folder, 1, &e), "started again with a parent and its child"))
        printf("# %s\n", e.message);
    host_close(&h);
    loop_free(l);
}

/* Old rows go, the chain stays whole, and who moves its beginning is found. */
static void test_prune(void) {
    static const char *const harm[] = {
        "DELETE FROM journal WHERE sequence<=4600",
        "UPDATE value SET value='' WHERE key='journal.base'",
        ("DELETE FROM journal WHERE sequence<=4600; UPDATE value SET value=json_object('sequence',4600,'hash',"
         "(SELECT hash FROM journal WHERE sequence=4600)) WHERE key='journal.base'"),
        "UPDATE journal SET text='x' WHERE kind='pruned'"};
    for (size_t i = 0; i < 4; i++) {
        struct store *s = NULL;
        struct err e = {0};
        int64_t rows = 0;
        clean();
        store_open(path, &s, &e);
        store_begin(s, &e);
        int rc = 0;
        for (int n = 1; n <= 5000 && !rc; n++) {
            struct journal_row r = {.time_us = n, .kind = "decision", .by = "test", .text = "something was decided"};
            rc = journal_append(s, &r, &e);
        }
        rc = store_end(s, rc, &e);
        store_begin(s, &e);
        rc = store_end(s, rc ? rc : journal_prune(s, 500, 0, &e), &e);
        if (!i) {
            ok(!rc && journal_first(s) == 4501 && journal_last(s) == 5001, "of 5,000 rows 500 stay, and one that says so");
            ok(!journal_verify(s, &rows, &e) && rows == 501, "and the chain is whole");
            store_begin(s, &e);
            journal_prune(s, 100, 0, &e);
            ok(journal_first(s) == 4501, "fewer than a thousand are not worth it");
            store_rollback(s);
            store_close(s);
            store_open(path, &s, &e);
            ok(!journal_verify(s, &rows, &e) && journal_first(s) == 4501, "after a restart too");
            store_begin(s, &e);
            for (int n = 0; n < 2000; n++)
                journal_append(s, &(struct journal_row){.kind = "decision"}, &e);
            journal_prune(s, 500, 0, &e);
            store_rollback(s);
            ok(!journal_verify(s, &rows, &e) && journal_first(s) == 4501, "and when it is rolled back");
        }
        store_close(s);
        sql(harm[i]);
        store_open(path, &s, &e);
        ok(journal_verify(s, &rows, &e) == E_CONFLICT, harm[i]);
        store_close(s);
    }
    clean();
}

int main(void) {
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/state.db", folder);
    test_kill();
    test_tamper();
    test_prune();
    clean();
    test_full();
    test_feed_overrun();
    clean();
    test_order();
    clean();
    char token[160];
    snprintf(token, sizeof token, "%s/token", folder);
    unlink(token);
    rmdir(folder);
    return tap_done();
}
