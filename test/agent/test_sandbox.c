/* The sandbox, from inside: this program is also the task that tries to get out. Each attempt prints one line. Run as
 * root, without root (user namespaces), and where no namespace can be had. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "rig.h"
#include "tap.h"

/* -- inside -- */

static const char *secret, *agent_pid, *port, *abstract;

static bool opens(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool call(long rc) { return rc >= 0 || (errno != EPERM && errno != EACCES); } /* got past the filter */

static bool t_secret(void) { return opens(secret, O_RDONLY); }
static bool t_secret_near(void) { return opens("/tasks/../spool", O_RDONLY) || opens("../../spool", O_RDONLY); }
static bool t_root_home(void) { return opens("/root", O_RDONLY | O_DIRECTORY); }
static bool t_neighbour(void) { return opens("../neighbour/out/mine", O_RDONLY); }
static bool t_shadow(void) { return opens("/etc/shadow", O_RDONLY); }
static bool t_usr(void) { return opens("/usr/escaped", O_WRONLY | O_CREAT); }
static bool t_etc(void) { return opens("/etc/escaped", O_WRONLY | O_CREAT); }
static bool t_tasks(void) { return opens("../escaped", O_WRONLY | O_CREAT); }
static bool t_disk(void) { return opens("/dev/vda", O_RDONLY) || opens("/dev/sda", O_RDONLY) || opens("/dev/mem", O_RDONLY); }
static bool t_mknod(void) { return !mknod("disk", S_IFBLK | 0600, makedev(254, 0)); }
static bool t_mount(void) { return call(mount("none", "tmp", "tmpfs", 0, NULL)); }
static bool t_umount(void) { return call(umount2("/proc", MNT_DETACH)); }
static bool t_ptrace(void) { return call(ptrace(PTRACE_TRACEME, 0, 0, 0)); }
static bool t_chroot(void) { return call(chroot(".")); }
static bool t_unshare(void) { return call(unshare(CLONE_NEWUSER)); }
static bool t_clone(void) {
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (!pid)
        _exit(0);
    return pid > 0;
}
static bool t_clone3(void) { return syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS; }
static bool t_setns(void) { return call(syscall(SYS_setns, 0, 0)); }
static bool t_bpf(void) { return call(syscall(SYS_bpf, 0, NULL, 0)); }
static bool t_perf(void) { return call(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0)); }
static bool t_uring(void) { return call(syscall(SYS_io_uring_setup, 1, NULL)); }
static bool t_userfault(void) { return call(syscall(SYS_userfaultfd, 0x1000)); }
static bool t_keyctl(void) { return call(syscall(SYS_keyctl, 0, 0)); }
static bool t_module(void) { return call(syscall(SYS_init_module, NULL, 0, "")); }
static bool t_kexec(void) { return call(syscall(SYS_kexec_load, 0, 0, NULL, ~0ul)); }
static bool t_reboot(void) { return call(syscall(SYS_reboot, 0, 0, 0, NULL)); }
static bool t_swap(void) { return call(swapon("nothing", 0)); }
static bool t_handle(void) { return call(syscall(SYS_open_by_handle_at, -1, NULL, 0)); }
static bool t_vm_read(void) { return call(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0)); }
static bool t_hostname(void) { return call(sethostname("x", 1)); }
static bool t_syslog(void) { return call(syscall(SYS_syslog, 10, NULL, 0)); }
static bool t_vsock(void) { return call(socket(AF_VSOCK, SOCK_STREAM, 0)); }
static bool t_packet(void) { return call(socket(AF_PACKET, SOCK_RAW, 0)); }
static bool t_alg(void) { return call(socket(AF_ALG, SOCK_SEQPACKET, 0)); }
static bool t_tiocsti(void) { return call(ioctl(0, TIOCSTI, "x")); }
static bool t_setuid(void) { return getuid() && !setuid(0); }
static bool t_capable(void) {
    char line[128];
    unsigned long long eff = 1, bound = 1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f)) {
        sscanf(line, "CapEff: %llx", &eff);
        sscanf(line, "CapBnd: %llx", &bound);
    }
    if (f)
        fclose(f);
    return eff || bound || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}
static bool t_kill_runner(void) { return !kill(getppid(), 0) && getuid(); }
static bool t_kill_agent(void) { return !kill(atoi(agent_pid), 0); }
static bool t_runner_memory(void) { return opens("/proc/1/mem", O_RDWR) || opens("/proc/1/environ", O_RDONLY); }
static bool t_processes(void) {
    DIR *d = opendir("/proc");
    int n = 0;
    for (struct dirent *x; d && (x = readdir(d));)
        n += x->d_name[0] >= '1' && x->d_name[0] <= '9';
    if (d)
        closedir(d);
    return n > 2; /* us, and at most the runner */
}
static bool connects(const char *address, int to, int flags) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)to)};
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    inet_pton(AF_INET, address, &at.sin_addr);
    return fd >= 0 && (!connect(fd, (struct sockaddr *)&at, sizeof at) || errno == EINPROGRESS);
}
static bool t_net_host(void) { return connects("127.0.0.1", atoi(port), 0); }
static bool t_net_out(void) { return connects("192.0.2.1", 80, SOCK_NONBLOCK); }
static bool t_abstract(void) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "%s", abstract);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return !connect(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract)));
}
static bool t_log(void) { return !unlink("log") || !rename("log", "old") || opens("log", O_WRONLY); }
static bool t_folders(void) { return !rename("out", "tmp/out") || !rename("ckpt", "x"); }
static bool t_inputs(void) { return opens("in/x", O_WRONLY) || !unlink("in/x") || opens("in/y", O_WRONLY | O_CREAT) || !rename("in", "ni"); }
static bool t_core(void) {
    struct rlimit l;
    getrlimit(RLIMIT_CORE, &l);
    return l.rlim_max != 0;
}
static bool t_shm(void) { return shmget(0x5a5a, 4096, 0) >= 0; } /* the task before left one */
static bool t_semaphores(void) { return semget(0x5a5a, 1, 0) >= 0; }
static bool t_messages(void) { return msgget(0x5a5a, 0) >= 0; }
static bool t_queue(void) { return mq_open("/left", O_RDONLY) >= 0; }
static bool t_queue_folder(void) { return opens("/queues", O_RDONLY | O_DIRECTORY); }
static bool t_oom(void) { /* it goes before its runner, and cannot change that */
    char value[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDONLY), to = open("/proc/self/oom_score_adj", O_WRONLY);
    return fd < 0 || read(fd, value, sizeof value - 1) < 4 || atoi(value) != 1000 || (to >= 0 && write(to, "0", 1) > 0);
}
static bool t_fork_bomb(void) {
    for (int i = 0; i < 3000; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return false;
        if (!pid)
            for (;;)
                pause();
    }
    return true;
}

enum { ROOT = 1, USERNS = 2, BARE = 4, ALL = 7, SPACES = ROOT | USERNS };
static const struct {
    const char *name;
    bool (*escapes)(void);
    int where; /* in which surroundings this must hold */
} attempts[] = {
    {"read the agent's secret", t_secret, ALL}, {"read the agent's spool", t_secret_near, ALL},
    {"read /root", t_root_home, ALL}, {"read another task's output", t_neighbour, ALL}, {"read /etc/shadow", t_shadow, ALL},
    {"write /usr", t_usr, ALL}, {"write /etc", t_etc, ALL}, {"write beside its folder", t_tasks, ALL},
    {"open a disk", t_disk, ALL}, {"make a device", t_mknod, ALL}, {"mount", t_mount, ALL}, {"umount", t_umount, ALL},
    {"ptrace", t_ptrace, ALL}, {"chroot", t_chroot, ALL}, {"unshare", t_unshare, ALL}, {"clone a user namespace", t_clone, ALL},
    {"clone3", t_clone3, ALL}, {"setns", t_setns, ALL}, {"bpf", t_bpf, ALL}, {"perf", t_perf, ALL}, {"io_uring", t_uring, ALL},
    {"userfaultfd", t_userfault, ALL}, {"keyctl", t_keyctl, ALL}, {"load a module", t_module, ALL}, {"kexec", t_kexec, ALL},
    {"reboot", t_reboot, ALL}, {"swapon", t_swap, ALL}, {"open by handle", t_handle, ALL}, {"read the runner", t_vm_read, ALL},
    {"set the host's name", t_hostname, ALL}, {"read the kernel's log", t_syslog, ALL}, {"vsock", t_vsock, ALL},
    {"packet socket", t_packet, ALL}, {"kernel crypto", t_alg, ALL}, {"type into a terminal", t_tiocsti, ALL},
    {"become root", t_setuid, ALL}, {"have a capability", t_capable, ALL}, {"kill its runner", t_kill_runner, ROOT | BARE},
    {"kill the agent", t_kill_agent, ALL}, {"read the runner's memory", t_runner_memory, SPACES},
    {"see other processes", t_processes, SPACES}, {"reach the host's loopback", t_net_host, SPACES},
    {"reach the network", t_net_out, SPACES}, {"reach an abstract socket", t_abstract, SPACES},
    {"replace its log", t_log, ROOT | BARE}, {"move its folders", t_folders, ROOT | BARE}, {"write its inputs", t_inputs, ROOT | BARE},
    {"dump core", t_core, ALL}, {"find another task's memory", t_shm, SPACES},
    {"find its semaphores", t_semaphores, SPACES}, {"find its messages", t_messages, SPACES}, {"find its queue", t_queue, SPACES},
    {"look for queues", t_queue_folder, SPACES}, {"be spared when memory is short", t_oom, ROOT}, {"fork without end", t_fork_bomb, ROOT | BARE},
};
enum { ATTEMPTS = sizeof attempts / sizeof attempts[0] };

/* As the task before the attacker: objects that outlive it. */
static int leave(void) {
    struct mq_attr small = {.mq_maxmsg = 1, .mq_msgsize = 64};
    umask(0);
    bool good = shmget(0x5a5a, 4096, IPC_CREAT | 0666) >= 0 && semget(0x5a5a, 1, IPC_CREAT | 0666) >= 0 &&
                msgget(0x5a5a, IPC_CREAT | 0666) >= 0;
    mq_open("/left", O_CREAT | O_RDWR, 0666, &small); /* Landlock refuses queues */
    printf("result %s\n", good ? "left" : strerror(errno));
    fflush(stdout);
    _exit(0);
}

static bool may(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0), to = socket(AF_INET, SOCK_STREAM, 0);
    bool net = !bind(fd, (struct sockaddr *)&at, sizeof at) && !listen(fd, 1) &&
               !getsockname(fd, (struct sockaddr *)&at, &n) && !connect(to, (struct sockaddr *)&at, sizeof at);
    bool files = opens("mine", O_WRONLY | O_CREAT) && opens("out/mine", O_WRONLY | O_CREAT) &&
                 opens("ckpt/mine", O_WRONLY | O_CREAT) && opens("/dev/null", O_RDWR) && opens("/etc/passwd", O_RDONLY);
    char tmp[300];
    snprintf(tmp, sizeof tmp, "%s/x", getenv("TMPDIR"));
    files &= opens(tmp, O_WRONLY | O_CREAT);
    snprintf(tmp, sizeof tmp, "%s/given", getenv("SUAN_SHARE"));
    files &= opens(tmp, O_RDONLY) && !opens(tmp, O_WRONLY);
    printf("may %d%d%d\n", net, files, !system("/bin/true"));
    return net && files;
}

static int attack(char **argv) {
    int where = atoi(argv[2]);
    secret = argv[3], agent_pid = argv[4], port = argv[5], abstract = argv[6];
    bool good = may();
    for (size_t i = 0; i < ATTEMPTS; i++) {
        if (!(attempts[i].where & where))
            continue;
        errno = 0;
        bool is_out = attempts[i].escapes();
        printf("%s %s\n", is_out ? "ESCAPED" : "refused", attempts[i].name);
        fflush(stdout);
    }
    printf("result %s\n", good ? "tried" : "cannot even work");
    fflush(stdout);
    _exit(0); /* no leak check: it needs ptrace */
}

/* -- outside -- */

static struct rig r;
static char programs[64], share[64];

static int listen_at(int family, char *name, size_t size) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (family == AF_INET) {
        socklen_t n = sizeof in;
        if (bind(fd, (struct sockaddr *)&in, sizeof in) || getsockname(fd, (struct sockaddr *)&in, &n))
            return -1;
        snprintf(name, size, "%d", ntohs(in.sin_port));
    } else {
        snprintf(name, size, "suan-test-%d", (int)getpid());
        snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "%s", name);
        if (bind(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))))
            return -1;
    }
    return listen(fd, 4) ? -1 : fd;
}

static struct exec_start attacker(int where, const char *net, const char *name) {
    struct exec_start in = {.attempt = 1, .cores = 1, .n_argv = 7};
    str_copy(in.task, sizeof in.task, "attacker");
    str_copy(in.argv[0], 160, "attack");
    str_copy(in.argv[1], 160, "attack");
    snprintf(in.argv[2], 160, "%d", where);
    snprintf(in.argv[3], 160, "%s/secret", r.folder);
    snprintf(in.argv[4], 160, "%d", (int)getpid());
    str_copy(in.argv[5], 160, net);
    str_copy(in.argv[6], 160, name);
    in.checkpoints = true;
    in.n_inputs = 1;
    str_copy(in.inputs[0].name, 64, "x");
    str_copy(in.inputs[0].digest, 72, "sha256:aa");
    rig_content(&r, "aa", "input");
    return in;
}

static void tell(const char *log) {
    for (const char *p = log; *p;) {
        size_t n = strcspn(p, "\n");
        if (!strncmp(p, "ESCAPED", 7) || !strncmp(p, "refused", 7)) {
            char name[128];
            snprintf(name, sizeof name, "%.*s", (int)n - 8, p + 8);
            ok(p[0] == 'r', name);
        } else
            printf("# %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
}

/* One agent, its neighbour task and the attacker, in surroundings that main has made. */
static void surround(int where, const char *title) {
    struct err e = {0};
    char net[16], name[64], path[300];
    struct arena ar = ARENA_INIT;
    printf("# -- %s\n", title);
    memset(&r, 0, sizeof r);
    snprintf(r.name, sizeof r.name, "box%d-%d", where, (int)getpid());
    r.config.programs = programs;
    r.config.share = share;
    int a = listen_at(AF_INET, net, sizeof net), b = listen_at(AF_UNIX, name, sizeof name);
    if (!ok(a >= 0 && b >= 0 && !rig_open(&r, NULL, &e), "an agent opens")) {
        printf("# %s: %s\n", e.message, e.detail);
        return;
    }
    snprintf(path, sizeof path, "%s/secret", r.folder);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    struct exec_start in = rig_shell("neighbour", 1, "echo mine > out/mine; attack attack leave");
    rig_start(&r, &in);
    struct exec_report *p = rig_await(&r, "neighbour", EXEC_DONE, 20000000);
    is_str(where & SPACES && p ? p->result : "left", "left", "a task leaves what outlives processes");
    in = attacker(where, net, name);
    rig_start(&r, &in);
    p = rig_await(&r, "attacker", EXEC_DONE, 30000000);
    is_str(p ? p->result : "", "tried", "what a task needs works");
    struct exec_log_chunk c = {0};
    struct exec_logs q = {0};
    str_copy(q.task, sizeof q.task, "attacker");
    task_logs(&r.a, &q, &c, &ar, &e);
    tell(c.text ? c.text->str.p : "");
    if (p && p->state != EXEC_DONE)
        printf("# %s\n", p->reason);
    ok(p && p->state == EXEC_DONE, "it ended by itself, and all it had started with it");
    printf("# confined: %s\n", r.a.confined);
    ok(where == ROOT ? !strcmp(r.a.confined, "fully") || !r.a.cgroups.version : strstr(r.a.confined, "without") != NULL,
       "what is missing is said");
    ok(where != BARE || strstr(r.a.confined, "pid namespace"), "namespaces too");
    arena_free(&ar);
    rig_close(&r);
}

static bool program_copy(void) {
    char path[128];
    const char *tmp = getenv("TMPDIR");
    snprintf(programs, sizeof programs, "%.40s/suan-prog-XXXXXX", tmp ? tmp : "/tmp");
    snprintf(share, sizeof share, "%.40s/suan-data-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(programs) || !mkdtemp(share) || chmod(programs, 0755) || chmod(share, 0755))
        return false;
    snprintf(path, sizeof path, "%s/given", share);
    close(open(path, O_WRONLY | O_CREAT, 0644));
    snprintf(path, sizeof path, "%s/attack", programs);
    return rig_program(path);
}

static bool become_user(void) {
    return !geteuid() ? !setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534) &&
                            !prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) /* as a user's own program is */
                      : true;
}

/* As in a container that refuses namespaces. */
static bool forbid_namespaces(void) {
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    bool good = f && !seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) &&
                !seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 0) && !seccomp_load(f);
    seccomp_release(f);
    return good;
}

/* Not where we stand in a chroot, and not where the machine forbids it: what an agent then lacks is `bare`'s subject. */
static bool may_make_user_namespaces(void) {
    int status = 1;
    pid_t pid = fork();
    if (!pid)
        _exit(unshare(CLONE_NEWUSER) != 0);
    waitpid(pid, &status, 0);
    return !status;
}

int main(int argc, char **argv) {
    const char *where = argc > 1 ? argv[1] : "root";
    if (!strcmp(where, "runner"))
        return runner_main();
    if (!strcmp(where, "attack"))
        return argc > 2 && !strcmp(argv[2], "leave") ? leave() : attack(argv);
    if (!program_copy())
        return 1;
    if (!strcmp(where, "user") ? !become_user() : geteuid() != 0)
        skip("not root");
    else if (!strcmp(where, "user") && !may_make_user_namespaces())
        skip("no user namespaces here");
    else if (!strcmp(where, "user"))
        surround(USERNS, "without root");
    else if (!strcmp(where, "bare"))
        ok(forbid_namespaces(), "namespaces are forbidden"), surround(BARE, "without namespaces");
    else
        surround(ROOT, "as root");
    folder_remove(programs);
    folder_remove(share);
    return tap_done();
}
