/* Content by digest: the local store, its quota and its eviction. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "plane/agent/blob_private.h"

#define QUOTA_DEFAULT_BYTES (16ll << 30)
enum { IN_USE_US = 60000000, COPY = 1 << 17 };

int digest_hex(const char *digest, char hex[BLOB_HEX], struct err *e) {
    bool good = str_starts(digest, "sha256:") && strlen(digest) == 7 + 64 &&
                strspn(digest + 7, "0123456789abcdef") == 64;
    if (!good)
        return err_set(e, E_INVAL, "'%.80s' is no digest: sha256: and 64 hex digits are wanted", digest);
    memcpy(hex, digest + 7, BLOB_HEX);
    return 0;
}

static void path_of(const struct blobs *b, const char *name, char out[BLOB_PATH]) {
    snprintf(out, BLOB_PATH, "%s/%s", b->folder, name);
}

struct content *content_find(struct blobs *b, const char *hex) { return map_ptr(&b->contents, hex); }

void content_use(struct blobs *b, struct content *c) {
    char path[BLOB_PATH];
    int64_t now = loop_now_us(b->a->loop);
    if (now - c->used_us < 1000000)
        return;
    c->used_us = now;
    path_of(b, c->hex, path);
    struct timespec at[2] = {{.tv_sec = now / 1000000, .tv_nsec = now % 1000000 * 1000}, {.tv_nsec = UTIME_OMIT}};
    utimensat(AT_FDCWD, path, at, AT_SYMLINK_NOFOLLOW);
}

int content_open(struct blobs *b, struct content *c) {
    char path[BLOB_PATH];
    path_of(b, c->hex, path);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static void content_add(struct blobs *b, const char *hex, int64_t size, int64_t used_us) {
    struct content *c = calloc(1, sizeof *c);
    bool is_new;
    str_copy(c->hex, sizeof c->hex, hex);
    c->size = size;
    c->used_us = used_us;
    map_put(&b->contents, c->hex, &is_new)->value.ptr = c;
    b->bytes += size;
}

static void content_forget(struct blobs *b, struct content *c) {
    b->bytes -= c->size;
    map_del(&b->contents, c->hex);
    free(c);
}

/* -- quota -- */

/* In use: asked for within a minute, or a task's folder holds another name of it. */
static bool is_in_use(const struct blobs *b, const struct content *c) {
    char path[BLOB_PATH];
    struct stat st;
    path_of(b, c->hex, path);
    return loop_now_us(b->a->loop) - c->used_us < IN_USE_US || (!lstat(path, &st) && st.st_nlink > 1);
}

static bool evict_one(struct blobs *b) {
    struct content *least = NULL;
    char path[BLOB_PATH];
    for (size_t i = 0; i < b->contents.n; i++) {
        struct content *c = b->contents.entries[i].value.ptr;
        if ((!least || c->used_us < least->used_us) && !is_in_use(b, c))
            least = c;
    }
    if (!least)
        return false;
    path_of(b, least->hex, path);
    if (unlink(path) && errno != ENOENT)
        return false;
    log_info("content", "sha256:%s evicted: %lld of %lld bytes used", least->hex, (long long)b->bytes,
             (long long)b->max_bytes);
    content_forget(b, least);
    b->evicted++;
    return true;
}

int store_room(struct blobs *b, int64_t size, struct err *e) {
    while (b->bytes + size > b->max_bytes)
        if (size > b->max_bytes || !evict_one(b)) {
            err_set(e, E_LIMIT, "content of %lld bytes does not fit: %lld of %lld bytes are in use", (long long)size,
                    (long long)b->bytes, (long long)b->max_bytes);
            err_hint(e, "give the agent more room for content, or wait until its tasks have ended");
            return E_LIMIT;
        }
    return 0;
}

/* -- new content -- */

int part_open(struct blobs *b, const char *hint, char path[BLOB_PATH], struct err *e) {
    char name[100];
    snprintf(name, sizeof name, ".part-%.16s-%llu", hint, (unsigned long long)++b->parts);
    path_of(b, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? err_errno(e, errno, "cannot write %s", path) : fd;
}

void part_drop(int fd, const char *path) {
    if (fd >= 0)
        close(fd);
    unlink(path);
}

int part_finish(struct blobs *b, int fd, const char *path, const char *hex, int64_t size, struct err *e) {
    char to[BLOB_PATH];
    struct content *here = content_find(b, hex);
    if (here) {
        part_drop(fd, path);
        content_use(b, here);
        return 0;
    }
    path_of(b, hex, to);
    if (fchmod(fd, 0444) || fsync(fd) || rename(path, to) || fsync(b->folder_fd)) {
        int rc = err_errno(e, errno, "cannot keep content as %s", to);
        part_drop(fd, path);
        return rc;
    }
    close(fd);
    content_add(b, hex, size, loop_now_us(b->a->loop));
    return 0;
}

static int write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return -1;
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

/* Hashed as copied: what has the name is what was hashed, whatever happens to the source meanwhile. */
static int copy_in(struct blobs *b, int from, int to, char hex[BLOB_HEX], int64_t *size, struct err *e) {
    unsigned char digest[32];
    char *buffer = malloc(COPY);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    ssize_t n;
    int rc = 0;
    *size = 0;
    EVP_DigestInit_ex(c, EVP_sha256(), NULL);
    while (!rc && (n = read(from, buffer, COPY)) != 0) {
        if (n < 0)
            rc = err_errno(e, errno, "cannot read the file");
        else if (*size + n > b->max_bytes)
            rc = err_set(e, E_LIMIT, "the file has more than the %lld bytes kept here at most", (long long)b->max_bytes);
        else if (write_all(to, buffer, (size_t)n))
            rc = err_errno(e, errno, "cannot write content");
        else
            EVP_DigestUpdate(c, buffer, (size_t)n);
        *size += n > 0 ? n : 0;
    }
    EVP_DigestFinal_ex(c, digest, NULL);
    EVP_MD_CTX_free(c);
    hex_encode(hex, digest, sizeof digest);
    free(buffer);
    return rc;
}

int blob_put(struct agent_state *a, const char *path, char digest[72], int64_t *size, struct err *e) {
    struct blobs *b = a->blobs;
    char part[BLOB_PATH], hex[BLOB_HEX];
    struct stat st;
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), to = -1, rc = 0;
    if (from < 0 || fstat(from, &st))
        rc = err_errno(e, errno, "cannot read %s", path);
    else if (!S_ISREG(st.st_mode))
        rc = err_set(e, E_INVAL, "%s is not a regular file", path);
    if (!rc)
        rc = store_room(b, st.st_size, e);
    if (!rc && (to = part_open(b, "put", part, e)) < 0)
        rc = to;
    if (!rc && (rc = copy_in(b, from, to, hex, size, e)))
        part_drop(to, part);
    if (!rc)
        rc = part_finish(b, to, part, hex, *size, e);
    if (from >= 0)
        close(from);
    if (!rc)
        snprintf(digest, 72, "sha256:%s", hex);
    else
        err_context(e, "%s", path);
    return rc;
}

int blob_path(struct agent_state *a, const char *digest, char *out, size_t size, struct err *e) {
    char hex[BLOB_HEX], path[BLOB_PATH];
    int rc = digest_hex(digest, hex, e);
    struct content *c = rc ? NULL : content_find(a->blobs, hex);
    if (rc)
        return rc;
    if (!c)
        return err_set(e, E_NOTFOUND, "content %s is not here", digest);
    path_of(a->blobs, hex, path);
    /* Somebody may have taken the file away behind our back: then it is not here. */
    if (access(path, R_OK)) {
        content_forget(a->blobs, c);
        return err_set(e, E_NOTFOUND, "content %s is not here", digest);
    }
    content_use(a->blobs, c);
    return str_copy(out, size, path) ? 0 : err_set(e, E_LIMIT, "the path of content %s does not fit", digest);
}

/* -- open and close -- */

static void look_at(struct blobs *b, const char *name) {
    char path[BLOB_PATH];
    struct stat st;
    path_of(b, name, path);
    if (str_starts(name, ".part-"))
        unlink(path);
    else if (strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64 && !lstat(path, &st) && S_ISREG(st.st_mode))
        content_add(b, name, st.st_size, st.st_atim.tv_sec * 1000000ll + st.st_atim.tv_nsec / 1000);
}

int blobs_open(struct agent_state *a, struct err *e) {
    struct blobs *b = calloc(1, sizeof *b);
    struct dirent *d;
    b->owner = b;
    b->a = a;
    b->folder_fd = -1;
    b->max_bytes = a->config->blobs_max_bytes ? a->config->blobs_max_bytes : QUOTA_DEFAULT_BYTES;
    a->blobs = b;
    snprintf(b->folder, sizeof b->folder, "%.500s/blobs", a->config->folder);
    if (mkdir(b->folder, 0700) && errno != EEXIST)
        return err_errno(e, errno, "cannot make %s", b->folder);
    b->folder_fd = open(b->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = opendir(b->folder);
    if (b->folder_fd < 0 || !dir)
        return err_errno(e, errno, "cannot open %s", b->folder);
    while ((d = readdir(dir)))
        look_at(b, d->d_name);
    closedir(dir);
    return 0;
}

void blobs_close(struct agent_state *a) {
    struct blobs *b = a->blobs;
    if (!b)
        return;
    fetches_close(b); /* whoever waits hears of it while the store is still there */
    sends_close(b);
    a->blobs = NULL;
    for (size_t i = 0; i < b->contents.n; i++)
        free(b->contents.entries[i].value.ptr);
    map_free(&b->contents);
    if (b->folder_fd >= 0)
        close(b->folder_fd);
    free(b);
}
