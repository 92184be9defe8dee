/* What a confined process can still do, looked at from inside. */
#include "core/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static bool can_make(const char *folder, const char *name) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool status_has(const char *line) {
    char text[4096] = "";
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    close(fd);
    return strstr(text, line) != NULL;
}

int main(void) {
    char in[] = "/tmp/suan-confine-in-XXXXXX", out[] = "/tmp/suan-confine-out-XXXXXX", from[160], to[160];
    struct err e = {0};
    if (!mkdtemp(in) || !mkdtemp(out))
        return 1;
    snprintf(from, sizeof from, "%s/a", in);
    snprintf(to, sizeof to, "%s/b", in);
    pid_t pid = fork();
    if (!pid) {
        int rc = confine_to(in, &e);
        if (rc == E_UNSUPPORTED)
            skip("no Landlock here");
        else
            is_int(rc, 0, "confined");
        ok(status_has("CapEff:\t0000000000000000"), "no capability is left");
        ok(status_has("NoNewPrivs:\t1"), "and none will come");
        if (rc == E_UNSUPPORTED)
            _exit(tap_done());
        ok(can_make(in, "a") && !rename(from, to), "files are made and renamed in its folder");
        ok(!can_make(out, "a") && errno == EACCES, "and nowhere else");
        ok(rmdir(out) && errno == EACCES, "nothing elsewhere is removed");
        ok(open("/etc/passwd", O_RDONLY) >= 0, "what is readable is read");
        execl("/bin/true", "true", NULL);
        ok(errno == EACCES, "nothing is executed");
        fflush(stdout);
        _exit(tap_done());
    }
    int status;
    waitpid(pid, &status, 0);
    unlink(from);
    unlink(to);
    snprintf(from, sizeof from, "%s/a", out);
    unlink(from);
    rmdir(in);
    rmdir(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
