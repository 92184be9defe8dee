/* The twin's executor as a subject: virtual time, a world of two nodes. */
#include <stdlib.h>

#include "conform_executor.h"

#include "device/twin/executor.h"

static int open_twin(struct subject *s, struct err *e) {
    struct twin *t = NULL;
    int rc = subject_host(s, loop_new(LOOP_VIRTUAL, 1767225600000000), "twin", e);
    if (!rc)
        rc = twin_open(&s->host, 1, &t, e);
    if (!rc)
        rc = subject_devices(s, e);
    s->own = t;
    if (!rc)
        twin_executors_start(&s->host);
    for (int i = 0; !rc && i < 100; i++)
        loop_turn(s->host.loop, 0);
    return rc;
}

static void close_twin(struct subject *s) {
    struct loop *l = s->host.loop;
    devices_close(s->host.devices);
    twin_close(s->own);
    loop_run_deferred(l);
    host_close(&s->host);
    loop_free(l);
}

static int cut_twin(struct subject *s, bool is_cut, struct err *e) {
    return twin_executor_cut(&s->host, s->agent, is_cut, e);
}

bool subject_called(int argc, char **argv, int *rc) {
    (void)argc, (void)argv, (void)rc;
    return false;
}

struct subject subject = {.name = "twin", .open = open_twin, .close = close_twin, .cut = cut_twin};
