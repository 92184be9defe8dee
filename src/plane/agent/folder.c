/* Task folders: how they come and go without costing more than the tasks.
 *
 * Removing is not the loop's work: a task may leave 100,000 files. A folder is renamed into <folder>/trash and a thread
 * of the pool empties that. What it has not emptied when the agent stops is emptied after the next start.
 *
 * Making and removing are dear on a busy disk: ext4 does not give an inode out again for 35 s, so where many are
 * removed each new one steps over all of these (half of the agent's CPU at 300 starts a second). So a folder that a task
 * left as it was, or nearly, is kept in <folder>/spare with its out/ and its empty log, and the next task gets it. Only
 * where tasks have users of their own: there the folder was never theirs, and they cannot have changed what it is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "core/log.h"
#include "core/pool.h"
#include "plane/agent/task.h"

enum { SPARE_MOST = 256, LEFT_MOST = 8, FOLDER_BYTES_MOST = 4096, PATH_BYTES = 640, TRIES = 3 };

struct folders {
    struct agent_state *a;
    char spare[440], trash[440];
    uint32_t n_spare;
    uint64_t dropped;
    struct pool *pool; /* made when there is something to remove */
    bool is_emptying, is_due;
    atomic_bool is_stopping;
};

/* nftw has no ctx; of the thread that walks. */
static _Thread_local const struct folders *walking;

void task_folder(const struct agent_state *a, const char *name, char *out, size_t size) {
    snprintf(out, size, "%.400s/tasks/%s", a->config->folder, name);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    remove(path);
    return walking && walking->is_stopping;
}

/* Links are removed, not followed; no process of the task lives to move things meanwhile. */
void folder_remove(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); }

/* -- the trash -- */

/* On a thread: it sees paths and the flag, nothing else of the agent. */
static int trash_empty(void *work) {
    struct folders *f = work;
    char path[PATH_BYTES + 256];
    walking = f;
    DIR *d = opendir(f->trash);
    for (struct dirent *x; d && !f->is_stopping && (x = readdir(d));)
        if (x->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", f->trash, x->d_name);
            folder_remove(path);
        }
    if (d)
        closedir(d);
    walking = NULL;
    return 0;
}

static void trash_due(struct folders *f);

static void on_emptied(void *work, int rc) {
    struct folders *f = work;
    (void)rc;
    f->is_emptying = false;
    if (f->is_due)
        trash_due(f);
}

static void trash_due(struct folders *f) {
    struct err e = {0};
    f->is_due = f->is_emptying;
    if (f->is_emptying || f->is_stopping)
        return; /* what came meanwhile may be behind the thread's place in the folder: it looks once more */
    if (!f->pool && pool_new(f->a->loop, 1, 1, &f->pool, &e)) {
        log_err(f->a->config->name, &e);
        trash_empty(f);
        return;
    }
    f->is_emptying = !pool_submit(f->pool, trash_empty, on_emptied, f, &e);
    if (!f->is_emptying)
        log_err(f->a->config->name, &e);
}

/* -- spares -- */

/* Removes the few files in this folder, `but` excepted; false = something else or too much is there. */
static bool files_remove(int folder, const char *const but[2]) {
    struct stat st;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    bool good = d && !fstat(folder, &st) && st.st_size <= FOLDER_BYTES_MOST;
    for (struct dirent *x; good && (x = readdir(d));) {
        bool is_part = !strcmp(x->d_name, but[0]) || !strcmp(x->d_name, but[1]);
        if (!is_part && strcmp(x->d_name, ".") && strcmp(x->d_name, ".."))
            good = ++n <= LEFT_MOST && !unlinkat(folder, x->d_name, 0);
    }
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    return good;
}

static bool is_as_new(const char *path) {
    struct stat st;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), out = -1;
    bool good = folder >= 0 && files_remove(folder, (const char *const[]){"out", "log"});
    if (good && !fstatat(folder, "log", &st, AT_SYMLINK_NOFOLLOW))
        good = S_ISREG(st.st_mode) && !st.st_size && st.st_nlink == 1 && !st.st_uid;
    if (good)
        out = openat(folder, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    good = good && (out < 0 ? errno == ENOENT : files_remove(out, (const char *const[]){".", "."}));
    good = good && !fchmod(folder, 0700); /* the user of its slot has no way in any more */
    if (out >= 0)
        close(out);
    if (folder >= 0)
        close(folder);
    return good;
}

static void spare_path(const struct folders *f, uint32_t i, char out[PATH_BYTES]) {
    snprintf(out, PATH_BYTES, "%s/%u", f->spare, i);
}

int folder_new(struct agent_state *a, const char *path) {
    struct folders *f = a->folders;
    char spare[PATH_BYTES];
    if (f->n_spare) {
        spare_path(f, f->n_spare - 1, spare);
        if (!rename(spare, path)) {
            f->n_spare--;
            return 0;
        }
    }
    return mkdir(path, 0700);
}

void folder_drop(struct agent_state *a, const char *path) {
    struct folders *f = a->folders;
    char to[PATH_BYTES];
    if (!geteuid() && f->n_spare < SPARE_MOST && is_as_new(path)) {
        spare_path(f, f->n_spare, to);
        if (!rename(path, to)) {
            f->n_spare++;
            return;
        }
    }
    for (int i = 0; i < TRIES; i++) { /* a name may be there from before a restart */
        snprintf(to, sizeof to, "%s/%d-%llu", f->trash, (int)getpid(), (unsigned long long)++f->dropped);
        if (!rename(path, to)) {
            trash_due(f);
            return;
        }
        if (errno == ENOENT)
            return;
    }
    folder_remove(path);
}

/* -- life -- */

int folders_open(struct agent_state *a, struct err *e) {
    struct folders *f = a->folders = calloc(1, sizeof *f);
    char path[PATH_BYTES];
    if (!f)
        abort();
    f->a = a;
    snprintf(f->spare, sizeof f->spare, "%.400s/spare", a->config->folder);
    snprintf(f->trash, sizeof f->trash, "%.400s/trash", a->config->folder);
    if ((mkdir(f->spare, 0700) && errno != EEXIST) || (mkdir(f->trash, 0700) && errno != EEXIST))
        return err_errno(e, errno, "cannot make %s and %s", f->spare, f->trash);
    for (spare_path(f, 0, path); f->n_spare < SPARE_MOST && !access(path, F_OK); spare_path(f, f->n_spare, path))
        f->n_spare++;
    DIR *d = opendir(f->trash);
    bool any = false;
    for (struct dirent *x; d && (x = readdir(d));)
        any |= x->d_name[0] != '.';
    if (d)
        closedir(d);
    if (any)
        trash_due(f);
    return 0;
}

void folders_close(struct agent_state *a) {
    struct folders *f = a->folders;
    if (!f)
        return;
    f->is_stopping = true;
    pool_free(f->pool);
    free(f);
    a->folders = NULL;
}
