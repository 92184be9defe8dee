/* Content by digest: the store, its quota, and the ways between two agents, over real mutual TLS on loopback. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "core/pki.h"
#include "plane/agent/blob_private.h"
#include "tap.h"

enum { BIG = 3 << 20 };

static char root[256];
static struct loop *loop;

struct one {
    struct agent_state a;
    struct agent_config config;
    char folder[300], cert[300], key[300], ca[300];
};

static void one_init(struct one *o, const char *name, int64_t max) {
    char cn[80];
    memset(o, 0, sizeof *o);
    snprintf(cn, sizeof cn, "agent/%s", name);
    snprintf(o->folder, sizeof o->folder, "%s/%s", root, name);
    snprintf(o->ca, sizeof o->ca, "%s/pki", root);
    pki_open(o->ca, NULL);
    pki_issue(o->ca, name, cn, NULL);
    snprintf(o->cert, sizeof o->cert, "%s/pki/%s.crt", root, name);
    snprintf(o->key, sizeof o->key, "%s/pki/%s.key", root, name);
    snprintf(o->ca, sizeof o->ca, "%s/pki/ca.crt", root);
    mkdir(o->folder, 0700);
    o->config = (struct agent_config){.name = name, .folder = o->folder, .cert = o->cert, .key = o->key, .ca = o->ca,
                                      .address = "127.0.0.1", .blobs_max_bytes = max};
    o->a = (struct agent_state){.loop = loop, .config = &o->config};
    struct err e = {0};
    if (blobs_open(&o->a, &e) || blob_listen(&o->a, &e))
        printf("# %s: %s\n", name, e.message);
}

static const char *file_make(const char *name, size_t n, unsigned seed) {
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "w");
    for (size_t i = 0; i < n; i++)
        fputc((int)((i * 2654435761u + seed * 40503u) >> 13 & 255), f);
    fclose(f);
    return path;
}

static struct exec_input input(struct one *from, const char *name, const char *digest, int64_t size) {
    struct exec_input in = {.size_bytes = size};
    blob_address(&from->a, in.peer);
    snprintf(in.peer_name, sizeof in.peer_name, "agent/%s", name);
    str_copy(in.digest, sizeof in.digest, digest);
    return in;
}

struct got {
    int n, rc;
    double moved;
    struct err err;
};
static void on_got(void *ctx, int rc, double moved, const struct err *e) {
    struct got *g = ctx;
    g->n++;
    g->rc = rc;
    g->moved = moved;
    if (rc && e)
        g->err = *e;
}

static void turn_until(const int *n, int want, int64_t most_us) {
    int64_t end = loop_mono_fresh_us() + most_us;
    while (*n < want && loop_mono_fresh_us() < end)
        loop_turn(loop, 20000);
}

static int parts_in(const struct one *o) {
    char path[400];
    snprintf(path, sizeof path, "%s/blobs", o->folder);
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *x; (x = readdir(d));)
        n += str_starts(x->d_name, ".part-");
    closedir(d);
    return n;
}

static void test_store(struct one *o) {
    char digest[72], again[72], path[400], hex[65];
    int64_t size = 0, n;
    struct err e = {0};
    is_int(blob_put(&o->a, file_make("f1", 1000, 1), digest, &size, &e), 0, "a file is taken in");
    is_int(size, 1000, "its size is told");
    is_int(blob_path(&o->a, digest, path, sizeof path, &e), 0, "and found by its digest");
    sha256_file(path, hex, &n, &e);
    ok(!strcmp(hex, digest + 7) && n == 1000, "what lies there is what the digest says");
    struct stat st;
    ok(!stat(path, &st) && (st.st_mode & 0777) == 0444, "and is read-only");
    blob_put(&o->a, file_make("f1", 1000, 1), again, &size, &e);
    ok(!strcmp(digest, again) && o->a.blobs->bytes == 1000, "the same content is kept once");
    is_int(blob_put(&o->a, "/dev/zero", again, &size, &e), E_INVAL, "a device is refused");
    char link[400];
    snprintf(link, sizeof link, "%s/symlink", root);
    if (symlink("/etc/hostname", link))
        printf("# no symlink\n");
    ok(blob_put(&o->a, link, again, &size, &e) < 0, "a symbolic link is not followed");
    static const char *const bad[] = {"", "sha256:", "sha256:../../../../etc/passwd", "sha1:00",
                                      "sha256:ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789", NULL};
    bool all = true;
    for (int i = 0; bad[i]; i++)
        all &= blob_path(&o->a, bad[i], path, sizeof path, &e) == E_INVAL;
    ok(all, "what is no digest is refused");
    snprintf(again, sizeof again, "sha256:%064d", 0);
    is_int(blob_path(&o->a, again, path, sizeof path, &e), E_NOTFOUND, "content that is not here is not found");
}

static void test_fetch(struct one *x, struct one *y) {
    char digest[72], path[400], hex[65];
    int64_t size, n;
    struct err e = {0};
    struct got g1 = {0}, g2 = {0}, g3 = {0};
    blob_put(&x->a, file_make("big", BIG, 2), digest, &size, &e);
    struct exec_input in = input(x, "x", digest, size);
    blob_fetch(&y->a, &in, on_got, &g1);
    blob_fetch(&y->a, &in, on_got, &g2);
    is_int(g1.n, 0, "a fetch never answers inside the call");
    turn_until(&g2.n, 1, 5000000);
    ok(g1.n == 1 && g2.n == 1 && !g1.rc && !g2.rc, "two who wait for the same content get it");
    ok(g1.moved == BIG && g2.moved == 0, "it was moved once");
    ok(!blob_path(&y->a, digest, path, sizeof path, &e) && !sha256_file(path, hex, &n, &e) && !strcmp(hex, digest + 7),
       "and is the same here");
    blob_fetch(&y->a, &in, on_got, &g3);
    turn_until(&g3.n, 1, 1000000);
    ok(g3.n == 1 && !g3.rc && g3.moved == 0, "what is here is not moved again");
}

static void test_pace(struct one *x, struct one *y) {
    char digest[72];
    int64_t size;
    struct got g = {0};
    blob_put(&x->a, file_make("paced", 500000, 3), digest, &size, NULL);
    struct exec_input in = input(x, "x", digest, size);
    in.wan_bandwidth_bps = 20e6;
    in.wan_delay_us = 30000;
    loop_turn(loop, 0); /* the loop's clock stood while the file was made */
    int64_t begin = loop_mono_fresh_us();
    blob_fetch(&y->a, &in, on_got, &g);
    turn_until(&g.n, 1, 5000000);
    double s = (double)(loop_mono_fresh_us() - begin) * 1e-6;
    printf("# 500,000 bytes at 20 Mbit/s with a round trip of 60 ms: %.3f s, wanted 0.26\n", s);
    ok(!g.rc && s > 0.25 && s < 1.0, "a fetch takes what the wide area would take");
}

static void test_refusals(struct one *x, struct one *y) {
    char digest[72], hex[BLOB_HEX], path[400];
    int64_t size;
    struct err e = {0};
    struct got g = {0};
    snprintf(digest, sizeof digest, "sha256:%064d", 7);
    struct exec_input in = input(x, "x", digest, 10);
    blob_fetch(&y->a, &in, on_got, &g);
    turn_until(&g.n, 1, 5000000);
    is_int(g.rc, E_NOTFOUND, "content the peer does not have is not found");
    in.peer[0] = 0;
    g = (struct got){0};
    blob_fetch(&y->a, &in, on_got, &g);
    turn_until(&g.n, 1, 1000000);
    is_int(g.rc, E_NOTFOUND, "content nobody is named for is not found");
    blob_put(&x->a, file_make("liar", 50000, 4), digest, &size, &e);
    in = input(x, "z", digest, size);
    g = (struct got){0};
    blob_fetch(&y->a, &in, on_got, &g);
    turn_until(&g.n, 1, 3000000);
    is_int(g.rc, E_AUTH, "a peer with another name is refused at once");
    in = input(x, "x", digest, size + 1);
    g = (struct got){0};
    blob_fetch(&y->a, &in, on_got, &g);
    turn_until(&g.n, 1, 3000000);
    is_int(g.rc, E_CONFLICT, "another size than promised is refused");
    /* The holder's disk lies: same size, another byte. */
    blob_path(&x->a, digest, path, sizeof path, &e);
    chmod(path, 0600);
    int fd = open(path, O_WRONLY);
    if (pwrite(fd, "?", 1, 100) != 1)
        printf("# no write\n");
    close(fd);
    in = input(x, "x", digest, size);
    g = (struct got){0};
    blob_fetch(&y->a, &in, on_got, &g);
    turn_until(&g.n, 1, 3000000);
    is_int(g.rc, E_CONFLICT, "content that is not what its digest says is refused");
    digest_hex(digest, hex, NULL);
    ok(!content_find(y->a.blobs, hex) && parts_in(y) == 0, "and nothing of it is left");
}

static void test_broken(struct one *x, struct one *y) {
    char digest[72];
    int64_t size;
    struct got g = {0};
    int never = 0;
    blob_put(&x->a, file_make("broken", 600000, 5), digest, &size, NULL);
    struct exec_input in = input(x, "x", digest, size);
    in.wan_bandwidth_bps = 20e6;
    blob_fetch(&y->a, &in, on_got, &g);
    turn_until(&never, 1, 100000);
    ok(x->a.blobs->conns != NULL, "the peer is connected");
    while (x->a.blobs->conns)
        link_close(x->a.blobs->conns->link);
    turn_until(&g.n, 1, 6000000);
    ok(g.n == 1 && !g.rc, "a broken fetch goes on");
    ok(g.moved <= 600000 + (1 << 16), "from where it broke");
    struct got c = {0};
    blob_put(&x->a, file_make("cancelled", 600000, 6), digest, &size, NULL);
    in = input(x, "x", digest, size);
    in.wan_bandwidth_bps = 10e6;
    blob_fetch(&y->a, &in, on_got, &c);
    turn_until(&never, 1, 50000);
    is_int(parts_in(y), 1, "a fetch under way has its part");
    blob_fetch_cancel(&y->a, &c);
    is_int(parts_in(y), 0, "a cancelled one has none");
    turn_until(&never, 1, 50000);
    is_int(c.n, 0, "and does not answer");
}

static void age_all(struct one *o, int64_t by_us) {
    for (size_t i = 0; i < o->a.blobs->contents.n; i++)
        ((struct content *)o->a.blobs->contents.entries[i].value.ptr)->used_us -= by_us;
}

static void test_quota(void) {
    struct one o;
    char d[4][72], path[400], twin[500];
    int64_t size;
    struct err e = {0};
    one_init(&o, "q", 100000);
    blob_put(&o.a, file_make("q0", 40000, 10), d[0], &size, &e);
    age_all(&o, 300000000);
    blob_put(&o.a, file_make("q1", 40000, 11), d[1], &size, &e);
    is_int(blob_put(&o.a, file_make("q2", 40000, 12), d[2], &size, &e), 0, "a third fits when the first may go");
    is_int(blob_path(&o.a, d[0], path, sizeof path, &e), E_NOTFOUND, "the least recently used went");
    is_int(blob_put(&o.a, file_make("q3", 40000, 13), d[3], &size, &e), E_LIMIT, "what is in use stays: no room");
    ok(strstr(e.message, "100000") != NULL, "and the message says the limit");
    age_all(&o, 300000000);
    /* A task's folder holds a second name of d[1], the older one: then d[2] goes. */
    age_all(&o, 1);
    blob_path(&o.a, d[1], path, sizeof path, &e);
    snprintf(twin, sizeof twin, "%s/held", root);
    if (link(path, twin))
        printf("# no link\n");
    age_all(&o, 300000000);
    is_int(blob_put(&o.a, file_make("q3", 40000, 13), d[3], &size, &e), 0, "later there is room again");
    ok(!blob_path(&o.a, d[1], path, sizeof path, &e) && blob_path(&o.a, d[2], path, sizeof path, &e) == E_NOTFOUND,
       "content a task holds is not evicted");
    is_int(blob_put(&o.a, file_make("q4", 200000, 14), d[0], &size, &e), E_LIMIT, "a file above the quota is refused");
    is_int(parts_in(&o), 0, "nothing half is left");
    FILE *f = fopen(strcat(strcpy(path, o.folder), "/blobs/.part-left"), "w");
    fclose(f);
    blobs_close(&o.a);
    blobs_open(&o.a, &e);
    ok(!blob_path(&o.a, d[1], path, sizeof path, &e) && o.a.blobs->bytes == 80000, "a restart finds what was there");
    is_int(parts_in(&o), 0, "and sweeps what was half");
    blobs_close(&o.a);
}

static void seen_open(void *ctx, struct wire_link *l, const char *p, const char *f) { (void)ctx, (void)l, (void)p, (void)f; }
static void seen_closed(void *ctx, struct wire_link *l, const struct err *why) {
    (void)l, (void)why;
    ++*(int *)ctx;
}

static void test_door(struct one *x) {
    char path[300], crt[400], key[400], address[64];
    struct link_identity *id = NULL;
    struct wire_link *l;
    int closed = 0;
    static const struct link_handler h = {.opened = seen_open, .closed = seen_closed};
    snprintf(path, sizeof path, "%s/pki", root);
    pki_issue(path, "controller", "controller", NULL);
    snprintf(crt, sizeof crt, "%s/controller.crt", path);
    snprintf(key, sizeof key, "%s/controller.key", path);
    link_identity_load(crt, key, x->ca, &id, NULL);
    blob_address(&x->a, address);
    link_connect(loop, "127.0.0.1", atoi(strrchr(address, ':') + 1), "agent/x", id, &h, &closed, &l, NULL);
    turn_until(&closed, 1, 3000000);
    is_int(closed, 1, "only agents get content: not even the controller does");
    link_identity_free(id);
}

int main(void) {
    struct one x, y;
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/suan-blob-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root))
        return 1;
    log_setup("test_blob", LOG_LEVEL_ERROR, false);
    loop = loop_new(LOOP_REAL, 0);
    one_init(&x, "x", 0);
    one_init(&y, "y", 0);
    test_store(&x);
    test_fetch(&x, &y);
    test_pace(&x, &y);
    test_refusals(&x, &y);
    test_broken(&x, &y);
    test_door(&x);
    test_quota();
    struct got g = {0};
    char digest[72];
    snprintf(digest, sizeof digest, "sha256:%064d", 9);
    struct exec_input in = input(&x, "x", digest, 10);
    blob_fetch(&y.a, &in, on_got, &g);
    blobs_close(&y.a);
    ok(g.n == 1 && g.rc == E_CANCELLED, "who still waits at the end is told");
    blobs_close(&x.a);
    loop_run_deferred(loop);
    loop_free(loop);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) ? 1 : tap_done();
}
