/* The spool: what was said to be accepted is there again, whatever the crash cut off. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plane/agent/spool.h"
#include "tap.h"

static char seen[4096];
static void replay(void *ctx, enum spool_kind kind, const char *p, size_t n) {
    char *end = seen + strlen(seen);
    (void)ctx;
    snprintf(end, (size_t)(seen + sizeof seen - end), "%d:%.*s;", (int)kind, (int)n, p);
}
static int told;
static void count(void *ctx, int rc, const struct err *e) {
    (void)ctx, (void)e;
    told += rc ? 1000 : 1;
}

static struct spool *open_at(struct loop *l, const char *path) {
    struct spool *s = NULL;
    struct err e = {0};
    seen[0] = 0;
    if (spool_open(l, path, replay, NULL, &s, &e))
        printf("# %s: %s\n", e.message, e.detail);
    return s;
}

static void add(struct spool *s, int kind, const char *text) { spool_add(s, (enum spool_kind)kind, text, strlen(text), count, NULL, NULL); }

static void copy_prefix(const char *from, const char *to, size_t n) {
    static char bytes[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t got = read(in, bytes, sizeof bytes);
    if (got < (ssize_t)n || write(out, bytes, n) != (ssize_t)n)
        printf("# copy failed\n");
    close(in);
    close(out);
}

/* Cut at every byte: always a prefix of the records, and usable afterwards. */
static void torn(struct loop *l, const char *path, const char *cut, size_t size, const char *whole) {
    int bad = 0;
    for (size_t n = 0; n <= size; n++) {
        copy_prefix(path, cut, n);
        struct spool *s = open_at(l, cut);
        if (!s || strncmp(whole, seen, strlen(seen)) || (n == size) != !strcmp(whole, seen))
            bad++;
        add(s, SPOOL_FORGET, "after");
        char before[4096];
        snprintf(before, sizeof before, "%s4:after;", seen);
        spool_close(s);
        s = open_at(l, cut);
        bad += !s || strcmp(seen, before) || spool_dropped_bytes(s);
        spool_close(s);
    }
    is_int(bad, 0, "cut at every byte: a prefix remains, and it takes new records");
    copy_prefix(path, cut, size);
    int fd = open(cut, O_RDWR);
    if (pwrite(fd, "X", 1, (off_t)size - 2) != 1)
        bad++;
    close(fd);
    struct spool *s = open_at(l, cut);
    ok(strlen(seen) < strlen(whole) && spool_dropped_bytes(s) > 0, "a record with a changed byte is dropped");
    spool_close(s);
}

/* A disk that is full, by the limit on file size. */
static void full(struct loop *l, const char *path) {
    struct rlimit old, small = {0};
    getrlimit(RLIMIT_FSIZE, &old);
    unlink(path);
    struct spool *s = open_at(l, path);
    char big[600];
    struct err e = {0};
    memset(big, 'x', sizeof big);
    signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){(rlim_t)spool_bytes(s) + 1000, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    is_int(spool_add(s, SPOOL_START, big, sizeof big, count, NULL, &e), 0, "the first record fits");
    ok(spool_add(s, SPOOL_START, big, sizeof big, count, NULL, &e) < 0 && e.hint[0], "the second is refused, with a hint");
    setrlimit(RLIMIT_FSIZE, &old);
    is_int(spool_add(s, SPOOL_FORGET, "small", 5, count, NULL, &e), 0, "with room again it goes on");
    spool_close(s);
    s = open_at(l, path);
    ok(s && strstr(seen, "4:small;") && !spool_dropped_bytes(s), "and no half record stands between");
    spool_close(s);
}

static int fill(void *ctx, struct spool *s, struct err *e) {
    (void)ctx;
    return spool_add(s, SPOOL_END, "kept", 4, NULL, NULL, e);
}

int main(void) {
    char folder[] = "/tmp/suan-spool-XXXXXX", path[64], cut[64], whole[4096];
    struct loop *l = loop_new(LOOP_REAL, 0);
    struct err e = {0};
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/spool", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    struct spool *s = open_at(l, path);
    ok(s && !spool_same_boot(s), "a new spool knows no boot");
    add(s, SPOOL_START, "one");
    add(s, SPOOL_START, "");
    is_int(told, 0, "nobody is told before the sync");
    while (told < 2 && loop_turn(l, 1000000))
        ;
    is_int(told, 2, "both share a sync");
    add(s, SPOOL_END, "two");
    spool_close(s);
    is_int(told, 3, "closing tells who still waits");
    s = open_at(l, path);
    is_str(seen, "1:one;1:;3:two;", "all comes back in order");
    ok(spool_same_boot(s), "the boot is the same");
    snprintf(whole, sizeof whole, "%s", seen);
    size_t size = (size_t)spool_bytes(s);
    spool_close(s);
    torn(l, path, cut, size, whole);
    full(l, cut);
    s = open_at(l, path);
    is_int(spool_rewrite(s, fill, NULL, &e), 0, "rewritten");
    add(s, SPOOL_FORGET, "later");
    spool_close(s);
    s = open_at(l, path);
    is_str(seen, "3:kept;4:later;", "only what was kept, and what came later");
    spool_close(s);
    unlink(path);
    unlink(cut);
    rmdir(folder);
    while (loop_run_deferred(l)) /* a spool closed with a sync due goes with that */
        ;
    loop_free(l);
    return tap_done();
}
