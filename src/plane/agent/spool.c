#include "plane/agent/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/vec.h"

struct record {
    uint32_t size, crc; /* of the payload; of kind and payload */
    uint32_t kind;
};

struct waiter {
    spooled_fn *fn;
    void *ctx;
};
typedef VEC(struct waiter) waiters;

struct spool {
    struct loop *loop;
    char path[512], boot[64];
    int fd;
    int64_t size, dropped;
    bool same_boot, is_due, is_syncing;
    bool is_deferred, is_closed; /* the loop still has sync_begin to call, and then nobody else has us */
    struct err broken;      /* code 0 = good */
    waiters waiting, synced; /* for the next sync; for the one that runs */
    aio_context_t aio;
    int event;
    struct watch watch;
};

/* -- records -- */

static uint32_t record_crc(uint32_t kind, const void *p, size_t n) {
    return crc32c(crc32c(0, &kind, sizeof kind), p, n);
}

static int append(struct spool *s, enum spool_kind kind, const void *p, size_t n, struct err *e) {
    struct record r = {.size = (uint32_t)n, .kind = kind, .crc = record_crc(kind, p, n)};
    struct iovec v[] = {{&r, sizeof r}, {(void *)(uintptr_t)p, n}};
    size_t all = sizeof r + n;
    assert(n <= SPOOL_RECORD_MAX);
    ssize_t put = pwritev(s->fd, v, 2, s->size);
    if (put == (ssize_t)all) {
        s->size += put;
        return 0;
    }
    int why = put < 0 ? errno : ENOSPC;
    int rc = err_errno(e, why, "cannot write %zu bytes to the spool %s", all, s->path);
    err_hint(e, "make room on its disk; nothing was accepted");
    if (ftruncate(s->fd, s->size)) /* half a record may stand there: the next one would follow a hole */
        err_errno(&s->broken, errno, "the spool %s cannot be repaired", s->path);
    return rc;
}

/* Calls replay for each good record; returns the offset behind the last one. */
static int64_t replay_all(struct spool *s, const char *p, size_t n, spool_replay_fn *replay, void *ctx) {
    size_t at = 0;
    while (n - at >= sizeof(struct record)) {
        struct record r;
        memcpy(&r, p + at, sizeof r);
        const char *body = p + at + sizeof r;
        if (r.size > SPOOL_RECORD_MAX || r.size > n - at - sizeof r || record_crc(r.kind, body, r.size) != r.crc)
            break;
        if (r.kind == SPOOL_BOOT)
            s->same_boot = r.size == strlen(s->boot) && !memcmp(body, s->boot, r.size);
        else
            replay(ctx, (enum spool_kind)r.kind, body, r.size);
        at += sizeof r + r.size;
    }
    return (int64_t)at;
}

static int read_all(struct spool *s, spool_replay_fn *replay, void *ctx, struct err *e) {
    struct stat st;
    if (fstat(s->fd, &st))
        return err_errno(e, errno, "cannot read the spool %s", s->path);
    char *p = malloc((size_t)st.st_size + 1);
    ssize_t n = p ? pread(s->fd, p, (size_t)st.st_size, 0) : -1;
    if (n != st.st_size) {
        free(p);
        return err_errno(e, errno, "cannot read the spool %s", s->path);
    }
    s->size = replay_all(s, p, (size_t)n, replay, ctx);
    s->dropped = n - s->size;
    free(p);
    if (s->dropped && ftruncate(s->fd, s->size))
        return err_errno(e, errno, "cannot cut the torn end of the spool %s", s->path);
    return s->same_boot ? 0 : append(s, SPOOL_BOOT, s->boot, strlen(s->boot), e);
}

/* -- syncs -- */

static void tell(waiters *w, int rc, const struct err *e) {
    waiters now = *w;
    memset(w, 0, sizeof *w);
    for (size_t i = 0; i < now.n; i++)
        now.p[i].fn(now.p[i].ctx, rc, e);
    vec_free(&now);
}

static void sync_begin(void *ctx);

static void sync_due(struct spool *s) {
    if (s->waiting.n && !s->is_due && !s->is_syncing) {
        s->is_due = true;
        if (!s->is_deferred)
            loop_defer(s->loop, sync_begin, s);
        s->is_deferred = true;
    }
}

static void sync_end(struct spool *s, int errnum) {
    struct err e = {0};
    int rc = 0;
    if (errnum) {
        rc = err_errno(&e, errnum, "the spool %s cannot be synced", s->path);
        err_hint(&e, "look at the disk, then start the agent again");
        s->broken = e;
    }
    s->is_syncing = false;
    tell(&s->synced, rc, &e);
    sync_due(s);
}

static void sync_submit(struct spool *s) {
    struct iocb cb = {.aio_lio_opcode = IOCB_CMD_FDSYNC, .aio_fildes = (uint32_t)s->fd, .aio_flags = IOCB_FLAG_RESFD,
                      .aio_resfd = (uint32_t)s->event}, *list = &cb;
    s->is_due = false;
    s->synced = s->waiting;
    memset(&s->waiting, 0, sizeof s->waiting);
    s->is_syncing = true;
    if (s->aio && syscall(SYS_io_submit, s->aio, 1, &list) == 1)
        return;
    sync_end(s, fdatasync(s->fd) ? errno : 0); /* no aio here, or not on this file system */
}

static void sync_begin(void *ctx) {
    struct spool *s = ctx;
    s->is_deferred = false;
    if (s->is_closed)
        free(s);
    else if (s->is_due)
        sync_submit(s); /* else it was rewritten meanwhile */
}

static void on_synced(void *ctx, int fd, int events) {
    struct spool *s = ctx;
    struct io_event done;
    uint64_t count;
    (void)events;
    if (read(fd, &count, sizeof count) != (ssize_t)sizeof count)
        return;
    if (syscall(SYS_io_getevents, s->aio, 0, 1, &done, NULL) == 1)
        sync_end(s, done.res < 0 ? (int)-done.res : 0);
}

/* Until nothing is in flight or due. */
static void sync_now(struct spool *s) {
    struct io_event done;
    if (s->is_syncing && syscall(SYS_io_getevents, s->aio, 1, 1, &done, NULL) == 1)
        sync_end(s, done.res < 0 ? (int)-done.res : 0);
    s->is_due = false;
    int bad = fdatasync(s->fd) ? errno : 0;
    s->synced = s->waiting;
    memset(&s->waiting, 0, sizeof s->waiting);
    sync_end(s, bad);
}

/* -- life -- */

static void boot_read(char *out, size_t size) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
    if (fd >= 0)
        close(fd);
}

int spool_open(struct loop *l, const char *path, spool_replay_fn *replay, void *ctx, struct spool **out,
               struct err *e) {
    struct spool *s = calloc(1, sizeof *s);
    assert(s);
    s->loop = l;
    s->event = -1;
    boot_read(s->boot, sizeof s->boot);
    int rc = str_copy(s->path, sizeof s->path, path) ? 0 : err_set(e, E_LIMIT, "the spool's path is too long: %s", path);
    s->fd = rc ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (!rc && s->fd < 0)
        rc = err_errno(e, errno, "cannot open the spool %s", path);
    if (!rc)
        rc = read_all(s, replay, ctx, e);
    if (rc) {
        spool_close(s);
        return rc;
    }
    s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event >= 0 && watch_start(l, &s->watch, s->event, WATCH_READ, on_synced, s) == 0)
        if (syscall(SYS_io_setup, 1, &s->aio))
            s->aio = 0;
    *out = s;
    return 0;
}

void spool_close(struct spool *s) {
    if (!s)
        return;
    if (s->fd >= 0) {
        sync_now(s);
        close(s->fd);
    }
    if (s->aio)
        syscall(SYS_io_destroy, s->aio);
    watch_stop(s->loop, &s->watch);
    if (s->event >= 0)
        close(s->event);
    vec_free(&s->waiting);
    vec_free(&s->synced);
    s->is_closed = true;
    if (!s->is_deferred)
        free(s);
}

bool spool_same_boot(const struct spool *s) { return s->same_boot; }
int64_t spool_dropped_bytes(const struct spool *s) { return s->dropped; }
int64_t spool_bytes(const struct spool *s) { return s->size; }

int spool_add(struct spool *s, enum spool_kind kind, const void *p, size_t n, spooled_fn *fn, void *ctx,
              struct err *e) {
    if (s->broken.code) {
        if (e)
            *e = s->broken;
        return s->broken.code;
    }
    int rc = append(s, kind, p, n, e);
    if (rc || !fn)
        return rc;
    vec_push(&s->waiting, (struct waiter){fn, ctx});
    sync_due(s);
    return 0;
}

static int folder_sync(const char *path) {
    char copy[512];
    str_copy(copy, sizeof copy, path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd);
    if (fd >= 0)
        close(fd);
    return bad;
}

int spool_rewrite(struct spool *s, int (*fill)(void *ctx, struct spool *s, struct err *e), void *ctx, struct err *e) {
    char fresh[sizeof s->path + 8];
    sync_now(s);
    if (s->broken.code)
        return err_set(e, s->broken.code, "%s", s->broken.message);
    snprintf(fresh, sizeof fresh, "%s.new", s->path);
    int old = s->fd;
    int64_t old_size = s->size;
    s->fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    s->size = 0;
    int rc = s->fd < 0 ? err_errno(e, errno, "cannot open %s", fresh) : append(s, SPOOL_BOOT, s->boot, strlen(s->boot), e);
    if (!rc)
        rc = fill(ctx, s, e);
    if (!rc && (fdatasync(s->fd) || rename(fresh, s->path) || folder_sync(s->path)))
        rc = err_errno(e, errno, "cannot put %s in place", fresh);
    if (rc) { /* the old file goes on; it only stays long */
        if (s->fd >= 0)
            close(s->fd);
        unlink(fresh);
        s->fd = old;
        s->size = old_size;
        return rc;
    }
    close(old);
    return 0;
}
