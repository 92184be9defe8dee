/* /proc/self/cgroup as the kernel, or a container that lies, may write it. */
#include "plane/agent/cgroup.h"
#include "fuzz.h"

int fuzz_cgroup(const uint8_t *p, size_t n);

int fuzz_cgroup(const uint8_t *p, size_t n) {
    char *s = fuzz_text(p, n);
    struct cgroup_set set;
    cgroup_probe(&set, "/nowhere", s, "fuzz");
    FUZZ_CHECK(set.version >= 0 && set.version <= 2);
    FUZZ_CHECK(strnlen(set.cpu, CG_PATH) < CG_PATH && strnlen(set.memory, CG_PATH) < CG_PATH);
    free(s);
    return 0;
}
