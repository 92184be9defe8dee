/* Where things lie. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/app.h"

static int folder_make(char *path, struct err *e) {
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char was = *p;
        *p = '\0';
        int bad = mkdir(path, was ? 0755 : 0700) && errno != EEXIST;
        *p = was;
        if (bad)
            return err_errno(e, errno, "cannot make the folder %s", path);
        if (!was)
            return 0;
    }
}

int place_state(const struct options *o, char out[APP_PATH], struct err *e) {
    const char *given = o->state ? o->state : getenv("SUAN_STATE"), *home = getenv("HOME");
    char path[APP_PATH * 2], here[APP_PATH] = "";
    if (given && *given && *given != '/' && !getcwd(here, sizeof here))
        return err_errno(e, errno, "cannot tell the present folder");
    if (given && *given)
        snprintf(path, sizeof path, "%s%s%s", here, *here ? "/" : "", given);
    else if (geteuid() == 0)
        snprintf(path, sizeof path, "/var/lib/suan");
    else
        snprintf(path, sizeof path, "%s/.local/state/suan", home ? home : "/tmp");
    if (strlen(path) > 400)
        return err_set(e, E_LIMIT, "the state folder's path is longer than 400 bytes");
    str_copy(out, APP_PATH, path);
    return folder_make(out, e);
}

int place_self(char out[APP_PATH], struct err *e) {
    ssize_t n = readlink("/proc/self/exe", out, APP_PATH - 1);
    if (n < 0)
        return err_errno(e, errno, "cannot tell which file this program is");
    out[n] = '\0';
    char *gone = strstr(out, " (deleted)"); /* rebuilt while it ran: the new one stands at the same place */
    if (gone && !gone[10])
        *gone = '\0';
    return 0;
}

int place_shipped(const char *what, char out[APP_PATH], struct err *e) {
    char self[APP_PATH], path[APP_PATH * 2];
    int rc = place_self(self, e);
    if (rc)
        return rc;
    for (int i = 0; i < 3; i++) { /* …/build/src/app/suan -> …/build */
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';

        for (size_t k = 0; k < 3; k++) {
            int n = k == 0   ? snprintf(path, sizeof path, "%s/%s", self, what)
                    : k == 1 ? snprintf(path, sizeof path, "%s/../%s", self, what)
                             : snprintf(path, sizeof path, "%s/share/suan/%s", self, what);

            if (n > 0 && n < (int)sizeof path && !access(path, R_OK) && realpath(path, out))
                return 0;
        }
    }
    return err_set(e, E_NOTFOUND, "%s, which comes with Suan, is not there", what);
}

int file_read(const char *path, size_t max, struct text *out, struct err *e) {
    int fd = !strcmp(path, "-") ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);
    char buffer[16384];
    ssize_t n = 0;
    if (fd < 0)
        return err_errno(e, errno, "cannot read %s", path);
    while (out->n <= max && (n = read(fd, buffer, sizeof buffer)) > 0)
        text_add_n(out, buffer, (size_t)n);
    int err = errno;
    close(fd);
    if (n < 0)
        return err_errno(e, err, "cannot read %s", path);
    return out->n > max ? err_set(e, E_LIMIT, "%s is larger than %zu bytes", path, max) : 0;
}

int file_write(const char *path, int mode, const char *p, size_t n, struct err *e) {
    char other[APP_PATH + 8];
    snprintf(other, sizeof other, "%s.new", path);
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    if (fd < 0)
        return err_errno(e, errno, "cannot write %s", other);
    bool good = write(fd, p, n) == (ssize_t)n && !fsync(fd);
    int err = errno;
    close(fd);
    if (good && !rename(other, path))
        return 0;
    unlink(other);
    return err_errno(e, good ? errno : err, "cannot write %s", path);
}

int controller_read(const char *state, struct arena *a, struct doc **out, struct err *e) {
    char path[APP_PATH + 32];
    struct text t = TEXT_INIT;
    snprintf(path, sizeof path, "%s/controller.json", state);
    int rc = file_read(path, 65536, &t, e);
    if (!rc)
        rc = json_parse(a, path, t.p, t.n, NULL, out, e);
    else if (rc == E_NOTFOUND)
        err_hint(e, "no controller has run on this state folder: suan up ESTATE, or name one by --url or --state");
    text_free(&t);
    return rc;
}
