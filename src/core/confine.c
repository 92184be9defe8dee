#include "core/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPS = 64 };

/* All that changes files, and executing them. REFER since version 2, TRUNCATE since 3. */
static uint64_t changes(long abi) {
    uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    all &= ~(uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
    return all | (abi >= 2 ? 1ull << 13 : 0) | (abi >= 3 ? 1ull << 14 : 0);
}

static int landlock(int folder, struct err *e) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return err_set(e, E_UNSUPPORTED, "this kernel knows no Landlock: files outside the state folder could be written");
    uint64_t handled = changes(abi); /* the first member of the kernel's struct; the others stay unhandled */
    int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    struct landlock_path_beneath_attr beneath = {.allowed_access = handled & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE,
                                                 .parent_fd = folder};
    bool bad = rules < 0 || syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) ||
               syscall(SYS_landlock_restrict_self, rules, 0);
    int why = errno;
    if (rules >= 0)
        close(rules);
    return bad ? err_errno(e, why, "cannot be confined to its folder") : 0;
}

int confine_to(const char *folder, struct err *e) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    struct stat st;
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        int rc = err_errno(e, errno, "cannot open %s", folder);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = st.st_uid == geteuid() ? 0 : err_set(e, E_STATE, "%s belongs to user %u: nothing is given up", folder, st.st_uid);
    for (int cap = 0; !rc && cap < CAPS; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* refused where we have none: then there is nothing to drop */
    if (!rc && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) ||
                syscall(SYS_capset, &header, none)))
        rc = err_errno(e, errno, "cannot give up its capabilities");
    if (!rc)
        rc = landlock(fd, e);
    close(fd);
    return rc;
}
