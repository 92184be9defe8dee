/* A task's life: accepted, confined by limits, ended, told once, forgotten. */
#include <signal.h>
#include <sys/wait.h>

#include "rig.h"
#include "tap.h"

static struct rig r;

static void ends(void) {
    struct exec_start in = rig_shell("good", 1, "echo hello; echo result 42; echo 'result 43 ok'; echo err >&2");
    struct rig_answer x = rig_start(&r, &in);
    ok(!x.rc && x.calls == 1, "a start is accepted");
    struct exec_report *p = rig_await(&r, "good", EXEC_DONE, 10000000);
    ok(p && p->state == EXEC_DONE, "and done");
    is_int(p->exit_status, 0, "with status 0");
    is_str(p->result, "43 ok", "its last result line is the result");
    ok(p->started_us >= p->fetched_us && p->ended_us >= p->started_us && p->fetched_us > 0, "times are in order");
    ok(p->cpu_s > 0 && p->cpu_s < 5 && p->memory_peak_bytes > 0, "usage is told");
    is_str(p->cpu_from, r.a.cgroups.have & CG_CPUACCT ? "cgroup" : "rusage", "and where it comes from");
    struct arena ar = ARENA_INIT;
    struct exec_log_chunk c;
    struct exec_logs q = {.offset_bytes = 6, .limit_bytes = 9};
    str_copy(q.task, sizeof q.task, "good");
    ok(!task_logs(&r.a, &q, &c, &ar, NULL) && c.text->str.n == 9 && !memcmp(c.text->str.p, "result 42", 9),
       "a part of the log is read by offset");
    is_int(c.size_bytes, 33, "and the size of the whole is told");
    arena_free(&ar);

    in = rig_shell("bad", 1, "exit 3");
    rig_start(&r, &in);
    p = rig_await(&r, "bad", EXEC_DONE, 10000000);
    ok(p->state == EXEC_FAILED && WEXITSTATUS(p->exit_status) == 3, "an exit status is told");
    is_str(p->reason, "exit status 3", "and is the reason");
    in = rig_shell("signal", 1, "kill -SEGV $$");
    rig_start(&r, &in);
    p = rig_await(&r, "signal", EXEC_DONE, 10000000);
    ok(p->state == EXEC_FAILED && WIFSIGNALED(p->exit_status) && strstr(p->reason, "signal 11"), "a signal too");
    in = rig_shell("absent", 1, "");
    str_copy(in.argv[0], 160, "no-such-program");
    rig_start(&r, &in);
    p = rig_await(&r, "absent", EXEC_DONE, 10000000);
    ok(p->state == EXEC_FAILED && strstr(p->reason, "no-such-program") && strstr(p->reason, "No such file"),
       "a program that is not there is named");
}

static void limits(void) {
    struct exec_start in = rig_shell("slow", 1, "sleep 60 & sleep 60");
    in.time_limit_us = 300000;
    int64_t begin = loop_mono_fresh_us();
    rig_start(&r, &in);
    struct exec_report *p = rig_await(&r, "slow", EXEC_DONE, 20000000);
    ok(p->state == EXEC_FAILED && strstr(p->reason, "time limit of"), "the time limit ends it");
    ok(loop_mono_fresh_us() - begin < 10000000, "soon");
    in = rig_shell("deaf", 1, "trap '' TERM; while :; do sleep 0.05; done");
    rig_start(&r, &in);
    rig_await(&r, "deaf", EXEC_RUNNING, 10000000);
    rig_turn_for(&r, 300000);
    struct exec_stop s = {.attempt = 1, .grace_us = 200000};
    str_copy(s.task, sizeof s.task, "deaf");
    is_int(task_stop(&r.a, &s, NULL), 0, "a stop is taken");
    p = rig_await(&r, "deaf", EXEC_DONE, 20000000);
    ok(p->state == EXEC_STOPPED && WTERMSIG(p->exit_status) == SIGKILL, "one that ignores TERM is killed after the grace");
    if (!(r.a.cgroups.have & CG_MEMORY)) {
        skip("no memory cgroup here");
        return;
    }
    in = rig_shell("bomb", 1, "head -c 300m /dev/zero | tail -c 300m >out/x");
    in.memory_bytes = 32 << 20;
    rig_start(&r, &in);
    p = rig_await(&r, "bomb", EXEC_DONE, 30000000);
    is_str(p->reason, "memory limit of 32 MiB exceeded", "a memory bomb is killed, and why is said");
}

static void outputs(void) {
    struct exec_start in = rig_shell("out", 1, "cat in/a in/b > out/sum; cat ckpt/latest >> out/sum");
    in.n_inputs = 2;
    in.n_outputs = 1;
    str_copy(in.inputs[0].name, 64, "a");
    str_copy(in.inputs[0].digest, 72, "sha256:aa");
    str_copy(in.inputs[1].name, 64, "b");
    str_copy(in.inputs[1].digest, 72, "sha256:bb");
    str_copy(in.checkpoint.name, 64, "latest");
    str_copy(in.checkpoint.digest, 72, "sha256:cc");
    str_copy(in.outputs[0].name, 64, "sum");
    rig_content(&r, "aa", "one ");
    rig_content(&r, "bb", "two ");
    rig_content(&r, "cc", "three");
    rig_start(&r, &in);
    struct exec_report *p = rig_await(&r, "out", EXEC_DONE, 10000000);
    ok(p->state == EXEC_DONE && p->n_outputs == 1 && p->outputs[0].size_bytes == 13, "inputs in, checkpoint in, output out");
    is_near(p->moved_bytes, 21, 0.1, "bytes moved are added up");
    str_copy(in.task, sizeof in.task, "missing");
    str_copy(in.outputs[0].name, 64, "nothing");
    rig_start(&r, &in);
    p = rig_await(&r, "missing", EXEC_DONE, 10000000);
    ok(p->state == EXEC_FAILED && strstr(p->reason, "'nothing' is missing"), "a missing output fails it");
    in = rig_shell("thief", 1, "ln -s /etc/passwd out/x; rm -rf out 2>/dev/null; exit 0");
    in.n_outputs = 1;
    str_copy(in.outputs[0].name, 64, "x");
    rig_start(&r, &in);
    p = rig_await(&r, "thief", EXEC_DONE, 10000000);
    ok(p->state == EXEC_FAILED && !p->n_outputs, "a link is not taken as an output");
    str_copy(in.task, sizeof in.task, "lost");
    in.n_inputs = 1;
    str_copy(in.inputs[0].name, 64, "z");
    str_copy(in.inputs[0].digest, 72, "sha256:dd");
    rig_start(&r, &in);
    p = rig_await(&r, "lost", EXEC_DONE, 10000000);
    ok(p->state == EXEC_FAILED && strstr(p->reason, "could not be fetched"), "an input that is nowhere fails it");
}

static void checkpoints(void) {
    struct exec_start in = rig_shell("ck", 1, "echo 1 > ckpt/n; mv ckpt/n ckpt/latest; sleep 60");
    in.checkpoints = true;
    rig_start(&r, &in);
    for (int i = 0; i < 100 && !(rig_report(&r, "ck") && rig_report(&r, "ck")->checkpoint[0]); i++)
        rig_turn_for(&r, 50000);
    struct exec_report *p = rig_report(&r, "ck");
    ok(p->checkpoint[0] && p->state == EXEC_RUNNING && p->checkpoint_bytes == 2, "a checkpoint is told while it runs");
    in = rig_shell("ck", 2, "cat ckpt/latest; echo result $(cat ckpt/latest)-$SUAN_ATTEMPT");
    in.checkpoints = true;
    struct rig_answer x = rig_start(&r, &in);
    is_int(x.rc, 0, "a higher attempt takes over");
    for (int i = 0; i < 200 && !((p = rig_report(&r, "ck"))->attempt == 2 && p->state >= EXEC_DONE); i++)
        rig_turn_for(&r, 50000);
    is_str(p->result, "1-2", "and finds the checkpoint of the one before");
}

static void fencing(void) {
    struct exec_start in = rig_shell("once", 2, "echo ran >> out/runs; cat out/runs; sleep 0.2");
    struct rig_answer one = {0}, two = {0};
    task_start(&r.a, &in, rig_started, &one);
    task_start(&r.a, &in, rig_started, &two);
    rig_await(&r, "once", EXEC_DONE, 10000000);
    ok(one.calls == 1 && two.calls == 1 && !one.rc && !two.rc, "the same attempt twice is accepted twice");
    struct arena ar = ARENA_INIT;
    struct exec_log_chunk c;
    struct exec_logs q = {0};
    str_copy(q.task, sizeof q.task, "once");
    task_logs(&r.a, &q, &c, &ar, NULL);
    is_str(c.text->str.p, "ran\n", "and run once");
    arena_free(&ar);
    in.attempt = 1;
    struct rig_answer x = rig_start(&r, &in);
    is_int(x.rc, E_CONFLICT, "a lower attempt is refused");
    struct exec_task f = {.attempt = 2};
    str_copy(f.task, sizeof f.task, "once");
    is_int(task_forget(&r.a, &f, NULL), 0, "it is forgotten");
    is_int(task_forget(&r.a, &f, NULL), 0, "twice is once");
    ok(!task_logs(&r.a, &q, &c, &ar, NULL), "its log outlives that");
    is_str(c.text->str.p, "ran\n", "whole");
    str_copy(q.task, sizeof q.task, "../once");
    is_int(task_logs(&r.a, &q, &c, &ar, NULL), E_NOTFOUND, "a log is asked for by a name, not a path");
    arena_free(&ar);
    in.attempt = 2;
    x = rig_start(&r, &in);
    is_int(x.rc, E_CONFLICT, "and its attempt is refused even then");
    in.attempt = 3;
    x = rig_start(&r, &in);
    is_int(x.rc, 0, "a higher one is not");
    rig_await(&r, "once", EXEC_DONE, 10000000);
}

static void logs(void) {
    struct exec_start in = rig_shell("loud", 1, "yes 0123456789abcdef | head -c 20400000; echo result end");
    rig_start(&r, &in);
    struct exec_report *p = rig_await(&r, "loud", EXEC_DONE, 30000000);
    is_str(p->result, "end", "what is cut from the log is still read for the result");
    struct arena ar = ARENA_INIT;
    struct exec_log_chunk c;
    struct exec_logs q = {.offset_bytes = 16 << 20};
    str_copy(q.task, sizeof q.task, "loud");
    task_logs(&r.a, &q, &c, &ar, NULL);
    ok(strstr(c.text->str.p, "the log was cut here") != NULL && c.size_bytes < (16 << 20) + 100, "the log is cut, visibly");
    in = rig_shell("bytes", 1, "printf 'a\\377\\344\\270\\255z'");
    rig_start(&r, &in);
    rig_await(&r, "bytes", EXEC_DONE, 10000000);
    q = (struct exec_logs){.limit_bytes = 4};
    str_copy(q.task, sizeof q.task, "bytes");
    task_logs(&r.a, &q, &c, &ar, NULL);
    is_str(c.text->str.p, "a?", "no character is torn, and each byte that is no text counts as one");
    q.offset_bytes = 2;
    task_logs(&r.a, &q, &c, &ar, NULL);
    is_str(c.text->str.p, "\xe4\xb8\xadz", "the next chunk goes on there");
    arena_free(&ar);
}

static void lease(void) {
    struct exec_lease l = {.epoch = 3, .lease_us = 400000};
    is_int(task_lease(&r.a, &l, NULL), 0, "a lease is taken");
    l.epoch = 2;
    is_int(task_lease(&r.a, &l, NULL), E_CONFLICT, "an older holder is refused");
    l.epoch = 3;
    struct exec_start in = rig_shell("leased", 1, "sleep 60");
    rig_start(&r, &in);
    for (int i = 0; i < 8; i++) {
        rig_turn_for(&r, 100000);
        task_lease(&r.a, &l, NULL);
    }
    ok(rig_report(&r, "leased")->state == EXEC_RUNNING, "while it is renewed the task runs");
    struct exec_report *p = rig_await(&r, "leased", EXEC_DONE, 10000000);
    ok(p->state == EXEC_STOPPED && strstr(p->reason, "lease"), "when it lapses the task is stopped, and why is said");
    struct exec_start late = rig_shell("late", 1, "true");
    is_int(rig_start(&r, &late).rc, E_STATE, "without a lease nothing is started");
    l.lease_us = 60000000;
    task_lease(&r.a, &l, NULL);
    is_int(rig_start(&r, &late).rc, 0, "with one again it is");
    rig_await(&r, "late", EXEC_DONE, 10000000);
}

int main(int argc, char **argv) {
    struct err e = {0};
    if (argc > 1 && !strcmp(argv[1], "runner"))
        return runner_main();
    if (!ok(!rig_open(&r, NULL, &e), "opened")) {
        printf("# %s: %s\n", e.message, e.detail);
        return tap_done();
    }
    ends();
    limits();
    outputs();
    checkpoints();
    fencing();
    logs();
    lease();
    printf("# confined: %s\n", r.a.confined);
    rig_close(&r);
    ok(access(r.folder, F_OK) != 0, "nothing is left");
    return tap_done();
}
