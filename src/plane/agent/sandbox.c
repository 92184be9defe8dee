#include "plane/agent/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

enum { FILES_MAX = 4096, CAPS = 64 };
static const int64_t FILE_BYTES_MAX = (int64_t)64 << 30;

void sandbox_lacks(struct sandbox *s, const char *what) {
    size_t n = strlen(s->lacks);
    snprintf(s->lacks + n, sizeof s->lacks - n, "%s%s", n ? ", " : "", what);
}

/* -- the root -- */

static const char *const system_folders[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt",
                                             "sys/devices/system/cpu"};
static const char *const devices[] = {"null", "zero", "full", "random", "urandom"};
static const struct {
    const char *at, *to;
} links[] = {{"dev/fd", "/proc/self/fd"}, {"dev/stdin", "/proc/self/fd/0"}, {"dev/stdout", "/proc/self/fd/1"},
             {"dev/stderr", "/proc/self/fd/2"}, {"dev/shm", "/var/tmp"}, {"tmp", "/var/tmp"}};

static void folders_make(const char *path) {
    char part[64];
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        mkdir(part, 0755);
    }
    mkdir(path, 0755);
}

static bool bind_folder(const char *from, const char *to) {
    folders_make(to);
    return !mount(from, to, NULL, MS_BIND | MS_REC, NULL);
}

/* In the new root, which is the working folder. A link (/bin on merged systems) stays a link. */
static bool system_bind(const char *name) {
    char from[64], to[128];
    struct stat st;
    snprintf(from, sizeof from, "/%s", name);
    if (lstat(from, &st))
        return true;
    ssize_t n = S_ISLNK(st.st_mode) ? readlink(from, to, sizeof to - 1) : -1;
    if (n > 0) {
        to[n] = 0;
        return !symlink(to, name);
    }
    return bind_folder(from, name);
}

static bool devices_bind(void) {
    char from[32];
    bool good = !mkdir("dev", 0755);
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        snprintf(from, sizeof from, "/dev/%s", devices[i]);
        int fd = open(from + 1, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
        good &= fd >= 0 && !mount(from, from + 1, NULL, MS_BIND, NULL);
        close(fd);
    }
    return good;
}

static bool harden(const char *path, uint64_t flags) {
    struct mount_attr attr = {.attr_set = flags};
    return !mount_setattr(AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof attr);
}

/* The message queues of our ipc namespace, as a folder that only this descriptor shows. */
static DIR *queues_open(void) {
    if (mount("mqueue", "queues", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
        return NULL;
    int fd = open("queues", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (umount2("queues", MNT_DETACH) || fd < 0) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    return fdopendir(fd);
}

static bool root_fill(struct sandbox *s, const struct runner_setup *setup) {
    bool good = devices_bind();
    for (size_t i = 0; i < sizeof system_folders / sizeof system_folders[0]; i++)
        good &= system_bind(system_folders[i]);
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        good &= !symlink(links[i].to, links[i].at);
    good &= !setup->share[0] || bind_folder(setup->share, "share");
    good &= !setup->programs[0] || bind_folder(setup->programs, "programs");
    mkdir("proc", 0555);
    mkdir("var", 0755);
    mkdir("tasks", 0755);
    mkdir("queues", 0);
    good &= harden(".", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
    if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2"))
        sandbox_lacks(s, "/proc");
    /* /var holds one link: /var/tmp, to the tmp of the task that runs. */
    good &= !mount("tmpfs", "var", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,nr_inodes=8,mode=755");
    good &= !mount(setup->tasks, "tasks", NULL, MS_BIND, NULL);
    s->queues = queues_open();
    return good && harden("tasks", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

/* Over <folder>/run, whose sockets are bound already. */
static bool root_build(struct sandbox *s, const struct runner_setup *setup) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", setup->run, "tmpfs", MS_NOSUID, "size=1m,mode=755"))
        return false;
    if (!chdir(setup->run) && root_fill(s, setup) && !syscall(SYS_pivot_root, ".", ".") && !umount2(".", MNT_DETACH) &&
        !chdir("/"))
        return true;
    if (!chdir("/"))
        umount2(setup->run, MNT_DETACH);
    return false;
}

static void loopback_up(struct sandbox *s) {
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r))
        sandbox_lacks(s, "loopback");
    if (fd >= 0)
        close(fd);
}

/* -- Landlock -- */

enum { READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR };
#define EXECUTE LANDLOCK_ACCESS_FS_EXECUTE
#define DEVICE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
/* REFER since version 2, TRUNCATE since 3; IOCTL_DEV (5) stays unhandled: the device files are harmless ones. */
static uint64_t access_all(int abi) {
    uint64_t first = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    return first | (abi >= 2 ? 1ull << 13 : 0) | (abi >= 3 ? 1ull << 14 : 0);
}

static void allow(struct sandbox *s, const char *path, uint64_t access) {
    int fd = *path && s->n_allowed < SANDBOX_PATHS ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    s->allowed[s->n_allowed].fd = fd;
    s->allowed[s->n_allowed++].access = access;
}

static void landlock_open(struct sandbox *s) {
    char path[64];
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    s->landlock_abi = abi > 0 ? (int)abi : 0;
    if (!s->landlock_abi) {
        sandbox_lacks(s, "Landlock");
        return;
    }
    for (size_t i = 0; i < sizeof system_folders / sizeof system_folders[0]; i++) {
        snprintf(path, sizeof path, "/%s", system_folders[i]);
        allow(s, path, READ | EXECUTE);
    }
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        snprintf(path, sizeof path, "/dev/%s", devices[i]);
        allow(s, path, DEVICE);
    }
    allow(s, "/proc", READ);
    allow(s, s->share, READ | EXECUTE);
    allow(s, s->programs, READ | EXECUTE);
}

static bool rule_add(int rules, int fd, uint64_t access) {
    struct landlock_path_beneath_attr r = {.allowed_access = access, .parent_fd = fd};
    return !syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &r, 0);
}

int sandbox_rules(const struct sandbox *s, const char *task_folder) {
    if (!s->landlock_abi)
        return -1;
    /* By number: older kernel headers know only the first member. Scope (6): abstract sockets and signals stay inside. */
    struct {
        uint64_t fs, net, scoped;
    } attr = {.fs = access_all(s->landlock_abi), .scoped = s->landlock_abi >= 6 ? 3 : 0};
    size_t size = s->landlock_abi >= 6 ? 24 : s->landlock_abi >= 4 ? 16 : 8;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    int folder = rules < 0 ? -1 : open(task_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool good = folder >= 0 && rule_add(rules, folder, access_all(s->landlock_abi));
    for (uint32_t i = 0; good && i < s->n_allowed; i++)
        good = rule_add(rules, s->allowed[i].fd, s->allowed[i].access);
    if (folder >= 0)
        close(folder);
    if (good || rules < 0)
        return rules;
    close(rules);
    return -1;
}

/* -- system calls -- */

static const char *const refused[] = {
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module", "fanotify_init",
    "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "io_uring_enter", "io_uring_register",
    "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie",
    "modify_ldt", "mount", "mount_setattr", "move_mount", "move_pages", "name_to_handle_at", "nfsservctl",
    "open_by_handle_at", "open_tree", "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise",
    "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "quotactl_fd", "reboot", "request_key",
    "setdomainname", "sethostname", "setns", "settimeofday", "swapoff", "swapon", "syslog", "umount2", "unshare",
    "userfaultfd", "uselib", "ustat", "vhangup"};

/* CLONE_NEWIPC is not here: the runner may need it for each task, and a task lacks the capability. */
static const uint64_t new_namespaces[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWUTS,
                                          CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */};

static bool filter_load(void) {
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int bad = !f;
    for (size_t i = 0; f && i < sizeof refused / sizeof refused[0]; i++) {
        int number = seccomp_syscall_resolve_name(refused[i]);
        if (number != __NR_SCMP_ERROR && number >= 0)
            bad |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), number, 0);
    }
    for (size_t i = 0; f && i < sizeof new_namespaces / sizeof new_namespaces[0]; i++)
        bad |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, new_namespaces[i], new_namespaces[i]));
    /* Its arguments stand in memory, where no filter looks: the C library then falls back to clone. */
    bad |= !f || seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    /* Sockets: unix, inet, inet6, netlink (the C library asks it for addresses). Others (vsock!) know no namespace. */
    for (unsigned family = AF_AX25; f && family < AF_NETLINK; family++)
        if (family != AF_INET6)
            bad |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, family));
    bad |= !f || seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
    bad |= !f || seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
    bad |= !f || seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) || seccomp_load(f);
    if (f)
        seccomp_release(f);
    return !bad;
}

/* -- all of it -- */

static void limits_set(void) {
    struct rlimit files;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)FILE_BYTES_MAX, (rlim_t)FILE_BYTES_MAX});
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_max = files.rlim_max > FILES_MAX ? FILES_MAX : files.rlim_max;
        files.rlim_cur = files.rlim_cur > 1024 ? 1024 : files.rlim_cur;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Ours in another namespace of this kind has another number than the parent's: the agent's pid is not visible. */
static bool is_own_net(void) {
    char line[256];
    FILE *f = fopen("/proc/self/net/dev", "re");
    int n = 0;
    while (f && fgets(line, sizeof line, f))
        n++;
    if (f)
        fclose(f);
    return n == 3; /* two lines of heading, and lo */
}

void sandbox_open(struct sandbox *s, const struct runner_setup *setup) {
    memset(s, 0, sizeof *s);
    s->uid = setup->uid;
    s->own_pids = getpid() == 1;
    if (!s->own_pids)
        sandbox_lacks(s, "pid namespace");
    if (!setup->own_root || !(s->own_root = s->own_pids && root_build(s, setup)))
        sandbox_lacks(s, "own root");
    s->new_ipc = s->own_pids && !(s->own_root && s->queues);
    str_copy(s->tasks, sizeof s->tasks, s->own_root ? "/tasks" : setup->tasks);
    str_copy(s->share, sizeof s->share, s->own_root && setup->share[0] ? "/share" : setup->share);
    str_copy(s->programs, sizeof s->programs, s->own_root && setup->programs[0] ? "/programs" : setup->programs);
    if (s->own_pids && is_own_net())
        loopback_up(s);
    else
        sandbox_lacks(s, "network namespace");
    landlock_open(s);
    limits_set();
    for (int cap = 0; cap < CAPS; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        sandbox_lacks(s, "no_new_privs");
    else if (!filter_load())
        sandbox_lacks(s, "seccomp");
    if (!s->uid)
        sandbox_lacks(s, "own user");
}

/* By place in the table: what "STAT" finds there is an id, which IPC_RMID takes. SHM_INFO and its like say the last place. */
void sandbox_ipc_clear(struct sandbox *s) {
    union semun {
        int value;
        struct semid_ds *set;
        struct seminfo *all;
    } sem;
    struct shm_info shm;
    struct seminfo sems;
    struct msginfo msgs;
    struct shmid_ds one_shm;
    struct semid_ds one_sem;
    struct msqid_ds one_msg;
    if (!s->queues)
        return;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shm);
    for (int i = 0, id; shm.used_ids && i <= last; i++)
        if ((id = shmctl(i, SHM_STAT, &one_shm)) >= 0)
            shmctl(id, IPC_RMID, NULL);
    sem.all = &sems;
    last = semctl(0, 0, SEM_INFO, sem);
    sem.set = &one_sem;
    for (int i = 0, id; sems.semusz && i <= last; i++)
        if ((id = semctl(i, 0, SEM_STAT, sem)) >= 0)
            semctl(id, 0, IPC_RMID);
    last = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&msgs);
    for (int i = 0, id; msgs.msgpool && i <= last; i++)
        if ((id = msgctl(i, MSG_STAT, &one_msg)) >= 0)
            msgctl(id, IPC_RMID, NULL);
    rewinddir(s->queues);
    for (struct dirent *x; (x = readdir(s->queues));)
        if (strcmp(x->d_name, ".") && strcmp(x->d_name, ".."))
            unlinkat(dirfd(s->queues), x->d_name, 0);
}

int sandbox_enter(const struct sandbox *s, int rules) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    if (rules >= 0 && syscall(SYS_landlock_restrict_self, rules, 0))
        return errno;
    if (s->uid && (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, s->uid, s->uid, s->uid) ||
                   syscall(SYS_setresuid, s->uid, s->uid, s->uid)))
        return errno;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, none) ? errno : 0;
}
