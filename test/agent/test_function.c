/* Functions: warm instances, one line in, one line out. This program is also the function. */
#include <signal.h>
#include <sys/prctl.h>

#include "rig.h"
#include "tap.h"

static struct rig r;

/* -- inside -- */

static int instance(const char *mode) {
    char line[1 << 16];
    setvbuf(stdout, NULL, _IONBF, 0);
    fprintf(stderr, "instance %s\n", mode);
    if (!strcmp(mode, "stillborn"))
        _exit(7); /* at once: no leak check, which the sandbox does not let happen */
    while (fgets(line, sizeof line, stdin)) {
        if (strstr(line, "crash"))
            abort();
        if (strstr(line, "hang"))
            sleep(60);
        if (strstr(line, "garbage"))
            printf("not json\n");
        else if (strstr(line, "twice"))
            printf("1\n2\n");
        else {
            for (volatile int i = 0; strstr(line, "work") && i < 20000000; i++)
                ;
            line[strcspn(line, "\n")] = 0;
            printf("{\"got\":%s,\"pid\":%d}\n", line, (int)getpid());
        }
    }
    return 0;
}

/* -- outside -- */

struct answer {
    int rc, calls;
    bool cold;
    double wall_s, cpu_s;
    int64_t instances;
    char text[256], why[256];
};
static size_t answers, failures;

static void on_answer(void *ctx, int rc, const struct exec_invoked *out, const struct err *e) {
    struct answer *x = ctx;
    struct text t = TEXT_INIT;
    answers++;
    failures += rc != 0;
    if (!x)
        return;
    *x = (struct answer){.rc = rc, .calls = x->calls + 1, .cold = out->cold, .wall_s = out->wall_s, .cpu_s = out->cpu_s,
                         .instances = out->instances};
    if (out->output)
        json_print(&t, out->output, 0);
    str_copy(x->text, sizeof x->text, text_str(&t));
    if (rc)
        str_copy(x->why, sizeof x->why, e->message);
    text_free(&t);
}

static void invoke_later(const char *function, const char *input, struct answer *x) {
    struct arena ar = ARENA_INIT;
    struct exec_invoke in = {.input = doc_str(&ar, input)};
    str_copy(in.function, sizeof in.function, function);
    function_invoke(&r.a, &in, on_answer, x);
    arena_free(&ar);
}

static struct answer invoke(const char *function, const char *input) {
    struct answer x = {0};
    invoke_later(function, input, &x);
    for (int64_t until = loop_mono_fresh_us() + 20000000; !x.calls && loop_mono_fresh_us() < until;)
        loop_turn(r.a.loop, 100000);
    return x;
}

static struct exec_function row(const char *name, const char *mode) {
    struct exec_function f = {.n_argv = 3, .cores = 1, .instances_max = 2, .idle_us = 60000000, .timeout_us = 10000000};
    str_copy(f.function, sizeof f.function, name);
    str_copy(f.argv[0], 160, "function");
    str_copy(f.argv[1], 160, "instance");
    str_copy(f.argv[2], 160, mode);
    return f;
}

static void good(void) {
    struct exec_function f = row("echo", "good");
    is_int(function_deploy(&r.a, &f, NULL), 0, "deployed");
    is_int(function_deploy(&r.a, &f, NULL), 0, "twice is once");
    struct answer x = invoke("echo", "one");
    ok(!x.rc && x.cold && strstr(x.text, "\"got\":\"one\""), "the first answer is cold");
    x = invoke("echo", "work");
    ok(!x.rc && !x.cold && x.wall_s > 0 && x.instances == 1, "the second is warm, from the same instance");
    ok(x.cpu_s > 0 || !(r.a.cgroups.have & CG_CPUACCT), "its CPU time is told");
    int64_t begin = loop_mono_fresh_us();
    answers = failures = 0;
    for (int i = 0; i < 2000; i++)
        invoke_later("echo", "many", NULL);
    while (answers < 2000 && loop_mono_fresh_us() - begin < 60000000)
        loop_turn(r.a.loop, 1000000);
    double s = (double)(loop_mono_fresh_us() - begin) / 1e6;
    printf("# 2000 invocations in %.2f s\n", s);
    ok(answers == 2000 && !failures && s < 20, "2000 invocations are answered");
    x = invoke("none", "x");
    is_int(x.rc, E_NOTFOUND, "one that is not deployed is refused");
}

static void faults(void) {
    struct exec_function f = row("faulty", "good");
    f.timeout_us = 300000;
    function_deploy(&r.a, &f, NULL);
    struct answer crash = {0}, fine = {0}, hang, x;
    invoke("faulty", "warm");
    invoke_later("faulty", "crash", &crash);
    invoke_later("faulty", "fine", &fine);
    for (int i = 0; i < 200 && !(crash.calls && fine.calls); i++)
        loop_turn(r.a.loop, 100000);
    ok(crash.rc == E_UNAVAIL && strstr(crash.why, "signal 6"), "a crash fails its invocation and says how");
    ok(fine.calls && !fine.rc, "the other goes on");
    hang = invoke("faulty", "hang");
    ok(hang.rc && strstr(hang.why, "no answer within"), "one that hangs is killed in time");
    x = invoke("faulty", "garbage");
    ok(x.rc && strstr(x.why, "not JSON"), "an answer that is no JSON is refused");
    x = invoke("faulty", "twice");
    ok(x.rc && strstr(x.why, "more than one line"), "and two answers");
    x = invoke("faulty", "again");
    ok(!x.rc && x.cold, "and the next instance answers");
    f = row("stillborn", "stillborn");
    function_deploy(&r.a, &f, NULL);
    x = invoke("stillborn", "x");
    ok(x.rc == E_UNAVAIL && strstr(x.why, "exit status 7"), "one that dies at once says so, and is not started for ever");
}

static void ends(void) {
    struct exec_function f = row("brief", "good");
    f.idle_us = 100000;
    function_deploy(&r.a, &f, NULL);
    invoke("brief", "one");
    rig_turn_for(&r, 1500000);
    struct answer x = invoke("brief", "two");
    ok(!x.rc && x.cold, "an idle instance ends");
    x = (struct answer){0};
    invoke_later("echo", "hang", &x);
    rig_turn_for(&r, 300000);
    function_retire(&r.a, &(struct exec_function){.function = "echo"}, NULL);
    for (int i = 0; i < 100 && !x.calls; i++)
        loop_turn(r.a.loop, 100000);
    ok(x.rc && x.calls == 1, "retiring ends what is asked");
    x = invoke("echo", "x");
    is_int(x.rc, E_NOTFOUND, "and then it is gone");
    struct exec_lease l = {.epoch = 1, .lease_us = 300000};
    x = (struct answer){0};
    invoke_later("faulty", "hang", &x);
    task_lease(&r.a, &l, NULL);
    for (int i = 0; i < 100 && !x.calls; i++)
        loop_turn(r.a.loop, 100000);
    ok(x.rc && x.calls == 1, "the lapse of the lease too");
    x = (struct answer){0};
    invoke_later("brief", "hang", &x);
    rig_turn_for(&r, 200000);
    functions_close(&r.a);
    ok(x.calls == 1 && x.rc, "closing tells who still waits");
}

int main(int argc, char **argv) {
    struct err e = {0};
    char programs[64], path[128];
    if (argc > 1 && !strcmp(argv[1], "runner"))
        return runner_main();
    if (argc > 2 && !strcmp(argv[1], "instance"))
        return instance(argv[2]);
    const char *tmp = getenv("TMPDIR");
    snprintf(programs, sizeof programs, "%.40s/suan-prog-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(programs) || chmod(programs, 0755))
        return 1;
    snprintf(path, sizeof path, "%s/function", programs);
    if (!rig_program(path))
        return 1;
    r.config.programs = programs;
    signal(SIGPIPE, SIG_IGN);
    if (!ok(!rig_open(&r, NULL, &e) && !functions_open(&r.a, &e), "opened")) {
        printf("# %s: %s\n", e.message, e.detail);
        return tap_done();
    }
    good();
    faults();
    ends();
    rig_close(&r);
    ok(access(r.folder, F_OK) != 0, "nothing is left");
    folder_remove(programs);
    return tap_done();
}
