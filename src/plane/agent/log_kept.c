/* Logs of forgotten tasks. The controller forgets a task as soon as its result is durable; a person reads the log later.
 *
 * Two generations, <folder>/logs/new and /old: a rename a task, and when the new one is full the old one goes. So the last
 * KEPT_TASKS logs at least are there (or KEPT_BYTES of them), twice that at most. After a restart counting starts again. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plane/agent/task.h"

enum { KEPT_TASKS = 1024, KEPT_BYTES = 64 << 20 };

static void generation(const struct agent_state *a, const char *which, const char *task, char *out, size_t size) {
    snprintf(out, size, "%.400s/logs%s%s%s%s", a->config->folder, *which ? "/" : "", which, *task ? "/" : "", task);
}

void log_keep(struct agent_state *a, const char *task) {
    char from[600], to[600], old[600];
    struct stat st;
    struct tasks *ts = a->tasks;
    task_folder(a, task, from, sizeof from - 4);
    strcat(from, "/log");
    if (lstat(from, &st) || !S_ISREG(st.st_mode) || !st.st_size)
        return; /* it never began, or said nothing: an empty log need not be kept to be told */
    generation(a, "new", "", to, sizeof to);
    if (ts->kept_tasks >= KEPT_TASKS || ts->kept_bytes >= KEPT_BYTES) {
        generation(a, "old", "", old, sizeof old);
        folder_drop(a, old);
        if (!rename(to, old))
            ts->kept_bytes = ts->kept_tasks = 0;
    }
    generation(a, "", "", old, sizeof old);
    mkdir(old, 0700);
    mkdir(to, 0700);
    generation(a, "new", task, to, sizeof to);
    if (!rename(from, to)) {
        ts->kept_tasks++;
        ts->kept_bytes += st.st_size;
    }
}

bool log_find(const struct agent_state *a, const char *task, char *path, size_t size) {
    generation(a, "new", task, path, size);
    if (!access(path, F_OK))
        return true;
    generation(a, "old", task, path, size);
    return !access(path, F_OK);
}
