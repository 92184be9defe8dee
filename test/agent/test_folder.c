/* Task folders: what a task left is removed beside the loop; a folder left as it was serves the next task, empty. */
#include <dirent.h>

#include "rig.h"
#include "tap.h"

enum { FILES = 20000, FORGET_MOST_US = 50000, AWAIT_US = 20000000 };

static void run(struct rig *r, const char *task, const char *script) {
    struct exec_start in = rig_shell(task, 1, script);
    rig_start(r, &in);
    struct exec_report *x = rig_await(r, task, EXEC_DONE, AWAIT_US);
    if (!ok(x && x->state == EXEC_DONE, "a task ends well"))
        printf("# %s: %s\n", task, x ? x->reason : "no report");
}

static int64_t forget(struct rig *r, const char *task) {
    struct exec_task row = {.attempt = 1};
    struct err e = {0};
    str_copy(row.task, sizeof row.task, task);
    int64_t begin = loop_mono_fresh_us();
    is_int(task_forget(&r->a, &row, &e), 0, "and is forgotten");
    return loop_mono_fresh_us() - begin;
}

static ino_t inode(const struct rig *r, const char *task) {
    char path[400];
    struct stat st = {0};
    task_folder(&r->a, task, path, sizeof path);
    return stat(path, &st) ? 0 : st.st_ino;
}

static int entries(const struct rig *r, const char *sub) {
    char path[400];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", r->folder, sub);
    DIR *d = opendir(path);
    for (struct dirent *x; d && (x = readdir(d));)
        n += x->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void many_files(struct rig *r) {
    char path[400];
    run(r, "many", "true");
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/tasks/many/out/%d", r->folder, i);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    int64_t took = forget(r, "many");
    printf("# %d files: the loop was held for %lld us\n", FILES, (long long)took);
    ok(took < FORGET_MOST_US, "forgetting 20,000 files does not hold the loop");
    ok(!inode(r, "many"), "the folder is gone at once");
    for (int64_t until = loop_mono_fresh_us() + AWAIT_US; entries(r, "trash") && loop_mono_fresh_us() < until;)
        rig_turn_for(r, 20000);
    is_int(entries(r, "trash"), 0, "and its files soon");
}

static void spares(struct rig *r) {
    struct exec_log_chunk chunk;
    struct arena ar = ARENA_INIT;
    struct err e = {0};
    run(r, "first", "echo secret > here; echo secret > out/there");
    ino_t was = inode(r, "first");
    forget(r, "first");
    is_int(entries(r, "spare"), geteuid() ? 0 : 1, "a folder left nearly as it was is kept");
    is_int(task_logs(&r->a, &(struct exec_logs){.task = "first"}, &chunk, &ar, &e), 0, "an empty log can still be asked for");
    run(r, "second", "test -z \"$(ls out)\" && test \"$(ls)\" = \"log\nout\" && echo said && echo x > out/x");
    if (!geteuid())
        ok(inode(r, "second") == was, "the next task gets it");
    forget(r, "second");
    ok(!task_logs(&r->a, &(struct exec_logs){.task = "second"}, &chunk, &ar, &e) && chunk.size_bytes == 5, "a log that says something is kept");
    static const char *const others[] = {"mkdir sub", "ln -s /etc/passwd out/link; mkdir out/deep", "for i in 1 2 3 4 5 6 7 8 9; do : > $i; done"};
    for (int i = 0; i < 3; i++) {
        char name[16], after[16];
        snprintf(name, sizeof name, "other-%d", i);
        run(r, name, others[i]);
        was = inode(r, name);
        forget(r, name);
        snprintf(after, sizeof after, "after-%d", i);
        run(r, after, "test -z \"$(ls out)\" && test \"$(ls)\" = \"log\nout\"");
        ok(inode(r, after) != was || geteuid(), "a folder with more in it is not used again");
        forget(r, after);
    }
    arena_free(&ar);
}

int main(int argc, char **argv) {
    static struct rig r;
    struct err e = {0};
    if (argc > 1 && !strcmp(argv[1], "runner"))
        return runner_main();
    if (!ok(!rig_open(&r, NULL, &e), "an agent"))
        printf("# %s: %s\n", e.message, e.detail);
    spares(&r);
    many_files(&r);
    rig_close(&r);
    ok(access(r.folder, F_OK) != 0, "nothing is left");
    return tap_done();
}
