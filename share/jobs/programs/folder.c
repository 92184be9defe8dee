#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

int folder_fail(const char *program, const struct err *e) {
    fprintf(stderr, "%s: %s%s%s%s\n", program, e->message, *e->detail ? " (" : "", e->detail, *e->detail ? ")" : "");
    if (*e->hint)
        fprintf(stderr, "hint: %s\n", e->hint);
    return 1;
}

int folder_read(const char *path, struct text *out, struct err *e) {
    char piece[65536];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "%.200s cannot be opened", path);
    text_reset(out);
    while ((n = read(fd, piece, sizeof piece)) > 0 && out->n + (size_t)n <= FOLDER_FILE_MAX)
        text_add_n(out, piece, (size_t)n);
    int rc = n < 0   ? err_errno(e, errno, "%.200s cannot be read", path)
             : n > 0 ? err_set(e, E_LIMIT, "%.200s is larger than %d bytes", path, FOLDER_FILE_MAX)
                     : 0;
    close(fd);
    return rc;
}

static int share_path(const char *below, const char *name, char path[PATH_MAX], struct err *e) {
    const char *share = getenv("SUAN_SHARE");
    if (!share || !*share) {
        err_set(e, E_NOTFOUND, "SUAN_SHARE is not set");
        err_hint(e, "it names the folder that holds data/; an agent sets it for its tasks");
        return E_NOTFOUND;
    }
    if (snprintf(path, PATH_MAX, "%s/%s%s", share, below, name) >= PATH_MAX)
        return err_set(e, E_LIMIT, "the path of %.100s is too long", name);
    return 0;
}

int folder_read_share(const char *name, struct text *out, struct err *e) {
    char path[PATH_MAX];
    int rc = share_path("", name, path, e);
    return rc ? rc : folder_read(path, out, e);
}

static int unpack(const char *path, const struct text *packed, struct text *out, struct err *e) {
    char piece[65536];
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer in = {packed->p, packed->n, 0};
    size_t left = 1;
    int rc = 0;
    while (!rc && left) {
        ZSTD_outBuffer to = {piece, sizeof piece, 0};
        left = ZSTD_decompressStream(z, &to, &in);
        if (ZSTD_isError(left))
            rc = err_set(e, E_PARSE, "%.150s is not a zstd file: %.80s", path, ZSTD_getErrorName(left));
        else if (out->n + to.pos > FOLDER_FILE_MAX)
            rc = err_set(e, E_LIMIT, "%.200s unpacks to more than %d bytes", path, FOLDER_FILE_MAX);
        else if (left && in.pos == in.size && !to.pos)
            rc = err_set(e, E_PARSE, "%.200s ends too early", path);
        if (!rc)
            text_add_n(out, piece, to.pos);
    }
    ZSTD_freeDStream(z);
    return rc;
}

int folder_read_data(const char *name, struct text *out, struct err *e) {
    char path[PATH_MAX];
    struct text packed = TEXT_INIT;
    int rc = share_path("data/", name, path, e);
    text_reset(out);
    if (!rc)
        rc = folder_read(path, &packed, e);
    if (!rc)
        rc = unpack(path, &packed, out, e);
    text_free(&packed);
    return rc;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int folder_inputs(char *names[FOLDER_INPUTS_MAX], size_t *n, struct err *e) {
    DIR *d = opendir("in");
    int rc = 0;
    *n = 0;
    if (!d)
        return err_errno(e, errno, "the input folder in/ cannot be opened");
    for (struct dirent *f; !rc && (f = readdir(d));) {
        if (*f->d_name == '.')
            continue;
        if (*n == FOLDER_INPUTS_MAX)
            rc = err_set(e, E_LIMIT, "in/ holds more than %d files", FOLDER_INPUTS_MAX);
        else
            names[(*n)++] = strdup(f->d_name);
    }
    closedir(d);
    qsort(names, *n, sizeof *names, by_name);
    return rc || *n ? rc : err_set(e, E_NOTFOUND, "in/ holds no file");
}

static int write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno != EINTR)
            return -1;
        if (w > 0) {
            p += w;
            n -= (size_t)w;
        }
    }
    return fsync(fd);
}

int folder_write(const char *path, const void *p, size_t n, struct err *e) {
    char folder[PATH_MAX], fresh[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || snprintf(fresh, sizeof fresh, "%s.new", path) >= PATH_MAX)
        return err_set(e, E_INVAL, "%.200s is no path below a folder", path);
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    if (mkdir(folder, 0777) && errno != EEXIST)
        return err_errno(e, errno, "the folder %.200s cannot be made", folder);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(e, errno, "%.200s cannot be written", fresh);
    int bad = write_all(fd, p, n), failed = errno;
    close(fd);
    if (bad) {
        unlink(fresh);
        return err_errno(e, failed, "%.200s cannot be written", fresh);
    }
    if (rename(fresh, path))
        return err_errno(e, errno, "%.200s cannot be renamed", fresh);
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at >= 0) {
        fsync(at);
        close(at);
    }
    return 0;
}
