/* The link between our own processes: who is let in, what a frame may be, what happens to a slow, dead or hostile peer.
 * The source is included so that a test can put any bytes into the encrypted stream.
 * Again: build/test/core/test_link SEED */
#include "core/link.c"

#include <openssl/pem.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "core/pki.h"
#include "tap.h"

static char root[200];
static struct loop *loop;
static struct link_listener *door;
static int port;

struct side {
    struct wire_link *l;
    int opened, closed, messages, pieces, drained;
    size_t bytes;
    uint64_t hash, stream;
    int code;
    char why[256], peer[96], print[65], last[400];
};
static struct side server, client;

static void on_opened(void *ctx, struct wire_link *l, const char *peer, const char *print) {
    struct side *s = ctx;
    s->l = l;
    s->opened++;
    str_copy(s->peer, sizeof s->peer, peer);
    str_copy(s->print, sizeof s->print, print);
}
static void mix(struct side *s, const void *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        s->hash = (s->hash ^ ((const unsigned char *)p)[i]) * 1099511628211u;
}
static void on_message(void *ctx, struct wire_link *l, struct doc *d, struct arena *a) {
    struct side *s = ctx;
    struct text t = TEXT_INIT;
    (void)l, (void)a;
    s->messages++;
    json_print(&t, d, 0);
    mix(s, t.p, t.n);
    str_copy(s->last, sizeof s->last, text_str(&t));
    text_free(&t);
}
static void on_bytes(void *ctx, struct wire_link *l, uint64_t stream, const void *p, size_t n) {
    struct side *s = ctx;
    (void)l;
    s->pieces++;
    s->bytes += n;
    s->stream = stream;
    mix(s, p, n);
}
static void on_closed(void *ctx, struct wire_link *l, const struct err *why) {
    struct side *s = ctx;
    s->closed++;
    s->code = why->code;
    if (l)
        str_copy(s->peer, sizeof s->peer, link_peer(l));
    str_copy(s->why, sizeof s->why, why->message);
    s->l = NULL;
}
static void on_drained(void *ctx, struct wire_link *l) {
    (void)l;
    ((struct side *)ctx)->drained++;
}
static const struct link_handler handler = {on_opened, on_message, on_bytes, on_closed, on_drained};

static void turn_until(const int *n, int want, int64_t most_us) {
    int64_t stop = loop_mono_fresh_us() + most_us;
    while (*n < want && loop_mono_fresh_us() < stop)
        loop_turn(loop, 10000);
}
static void turn_for(int64_t us) {
    int never = 0;
    turn_until(&never, 1, us);
}

static const char *file(const char *folder, const char *name) {
    static char path[4][300];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s/%s", root, folder, name);
    return path[i];
}

static struct link_identity *identity(const char *folder, const char *name, const char *ca_folder) {
    struct link_identity *id = NULL;
    struct err e = {0};
    char crt[80], key[80];
    snprintf(crt, sizeof crt, "%s.crt", name);
    snprintf(key, sizeof key, "%s.key", name);
    if (link_identity_load(file(folder, crt), file(folder, key), file(ca_folder, "ca.crt"), &id, &e))
        printf("# %s: %s (%s)\n", name, e.message, e.detail);
    return id;
}

static bool dial(struct link_identity *id, const char *expect) {
    struct err e = {0};
    client = server = (struct side){.hash = 14695981039346656037u};
    struct side *c = &client;
    return !link_connect(loop, "127.0.0.1", port, expect, id, &handler, c, &client.l, &e);
}

static bool connect_both(struct link_identity *id) {
    dial(id, "controller");
    turn_until(&server.opened, 1, 3000000);
    turn_until(&client.opened, 1, 3000000);
    return server.opened == 1 && client.opened == 1;
}

static void part(void) {
    if (client.l)
        link_close(client.l);
    turn_until(&server.closed, 1, 2000000);
    turn_for(1000);
}

/* -- who is let in -- */

/* A certificate of the right authority that ended yesterday. */
static void make_expired(const char *folder, const char *name) {
    char crt[80], key[80];
    snprintf(crt, sizeof crt, "%s.crt", name);
    snprintf(key, sizeof key, "%s.key", name);
    FILE *f = fopen(file(folder, crt), "r");
    X509 *c = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    f = fopen(file(folder, "ca.key"), "r");
    EVP_PKEY *ca = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    X509_gmtime_adj(X509_getm_notBefore(c), -10 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(c), -86400);
    X509_sign(c, ca, EVP_sha256());
    f = fopen(file(folder, crt), "w");
    PEM_write_X509(f, c);
    fclose(f);
    X509_free(c);
    EVP_PKEY_free(ca);
}

static void test_identities(struct link_identity *good) {
    struct err e = {0};
    ok(connect_both(good), "an agent of the estate's authority is let in");
    is_str(server.peer, "agent/a", "the listener knows its name");
    is_str(client.peer, "controller", "and the agent the controller's");
    char print[65];
    pki_fingerprint(file("pki", "a.crt"), print, NULL);
    is_str(server.print, print, "and the fingerprint of its certificate");
    part();
    is_int(client.code, E_CANCELLED, "who closes is told so");
    is_int(server.code, E_UNAVAIL, "the other side sees the link end");

    struct link_identity *other = identity("other", "a", "pki");
    dial(other, "controller");
    turn_until(&client.closed, 1, 3000000);
    turn_until(&server.closed, 1, 3000000);
    ok(!server.opened && server.code == E_AUTH, "an agent of another authority is refused");
    ok(strstr(server.why, "certificate") != NULL, "with the reason in words");
    is_str(server.peer, "agent/a", "and the name it claims");
    is_int(client.code, E_AUTH, "it learns that it is refused");
    printf("# listener: %s | dialler: %s\n", server.why, client.why);
    link_identity_free(other);

    struct link_identity *trusts_other = identity("pki", "a", "other");
    dial(trusts_other, "controller");
    turn_until(&client.closed, 1, 3000000);
    ok(!client.opened && client.code == E_AUTH, "a controller of another authority is refused by the agent");
    link_identity_free(trusts_other);

    dial(good, "agent/b");
    turn_until(&client.closed, 1, 3000000);
    ok(!client.opened && client.code == E_AUTH && strstr(client.why, "controller"), "a peer with another name is refused, and named");

    struct link_identity *old = identity("pki", "old", "pki");
    dial(old, "controller");
    turn_until(&server.closed, 1, 3000000);
    turn_until(&client.closed, 1, 3000000);
    ok(!server.opened && server.code == E_AUTH && strstr(server.why, "expired"), "an expired certificate is refused by name");
    ok(client.code == E_AUTH && strstr(client.why, "expired"), "and its owner told");
    printf("# dialler: %s\n", client.why);
    link_identity_free(old);

    is_int(link_connect(loop, "localhost", 1, "x", good, &handler, &client, &client.l, &e), E_INVAL, "an address must be one");
    client = (struct side){0};
    int rc = link_connect(loop, "127.0.0.1", 1, "controller", good, &handler, &client, &client.l, &e);
    if (!rc)
        turn_until(&client.closed, 1, 2000000);
    ok(rc || client.code == E_UNAVAIL, "a closed port is unavailable");
    struct link_identity *none = NULL;
    ok(link_identity_load(file("pki", "a.crt"), file("pki", "b.key"), file("pki", "ca.crt"), &none, &e) < 0,
       "a key that does not belong to the certificate is refused");
}

/* No certificate at all, and no TLS at all: from a child, so that blocking calls are fine. */
static void test_strangers(void) {
    for (int how = 0; how < 2; how++) {
        server = (struct side){0};
        pid_t pid = fork();
        if (!pid) {
            struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
            at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            if (connect(fd, (struct sockaddr *)&at, sizeof at))
                _exit(2);
            if (how) {
                static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
                char back[64];
                if (write(fd, http, sizeof http - 1) < 0)
                    _exit(3);
                while (read(fd, back, sizeof back) > 0)
                    ;
                _exit(0);
            }
            SSL_CTX *c = SSL_CTX_new(TLS_client_method());
            SSL *s = SSL_new(c);
            char back[8];
            SSL_set_fd(s, fd);
            _exit(SSL_connect(s) == 1 && SSL_read(s, back, sizeof back) > 0 ? 1 : 0);
        }
        turn_until(&server.closed, 1, 3000000);
        ok(server.closed == 1 && !server.opened && server.code == E_AUTH,
           how ? "a browser at the wrong door is refused" : "a peer without a certificate is refused");
        printf("# %s\n", server.why);
        int status = 1;
        waitpid(pid, &status, 0);
        ok(status == 0, "and got nothing");
    }
}

/* -- frames -- */

static void test_order(struct link_identity *id, struct rng *rng) {
    static unsigned char data[300000];
    struct side want = {.hash = 14695981039346656037u};
    int n_json = 0, n_bytes = 0;
    connect_both(id);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)rng_u64(rng);
    for (int i = 0; i < 300; i++) {
        if (rng_below(rng, 2)) {
            size_t n = (size_t)rng_below(rng, i % 10 ? 2000 : sizeof data);
            link_send_bytes(client.l, (uint64_t)i << 40 | 7, data, n, NULL);
            mix(&want, data, n);
            n_bytes++;
        } else {
            struct arena a = ARENA_INIT;
            struct text t = TEXT_INIT;
            struct doc *d = doc_map(&a);
            doc_put_int(&a, d, "event", i);
            doc_put(d, "hex", doc_strn(&a, "0123456789", (size_t)rng_below(rng, 10)));
            link_send(client.l, d, NULL);
            json_print(&t, d, 0);
            mix(&want, t.p, t.n);
            text_free(&t);
            arena_free(&a);
            n_json++;
        }
        if (!rng_below(rng, 5))
            loop_turn(loop, 0);
    }
    turn_until(&server.pieces, n_bytes, 3000000);
    turn_until(&server.messages, n_json, 3000000);
    ok(server.pieces == n_bytes && server.messages == n_json && server.hash == want.hash,
       "messages and bytes of any size arrive whole and in order");
    ok(server.stream >> 40 > 200, "with their stream's number");
    struct err e = {0};
    char *huge = calloc(1, LINK_FRAME_MAX + 1);
    is_int(link_send_bytes(client.l, 1, huge, LINK_FRAME_MAX - 7, &e), E_LIMIT, "a frame above the limit is refused here");
    is_int(link_send_bytes(client.l, 1, huge, LINK_FRAME_MAX - 8, &e), 0, "one of just the limit is sent");
    turn_until(&server.pieces, n_bytes + 1, 5000000);
    is_int(server.pieces, n_bytes + 1, "and arrives");
    free(huge);
    part();
    turn_for(10000);
}

/* Puts bytes into the stream as they are. */
static void raw(const void *p, size_t n) {
    if (!client.l)
        return;
    text_add_n(&client.l->plain, p, n);
    flush_soon(client.l);
}

static void raw_frame(unsigned size, char type, const char *payload) {
    unsigned char h[5] = {(unsigned char)(size >> 24), (unsigned char)(size >> 16), (unsigned char)(size >> 8),
                          (unsigned char)size, (unsigned char)type};
    raw(h, 5);
    raw(payload, strlen(payload));
}

static void test_hostile(struct link_identity *id) {
    static char deep[200], wide[2100001];
    memset(deep, '[', sizeof deep - 1);
    wide[0] = '[';
    for (size_t i = 1; i + 2 < sizeof wide; i += 2)
        memcpy(wide + i, "1,", 2);
    static const struct {
        unsigned size;
        char type;
        const char *payload, *why;
        int code;
    } rows[] = {
        {0xffffffff, 'J', "", "larger than the limit", E_LIMIT},
        {LINK_FRAME_MAX + 1, 'B', "", "larger than the limit", E_LIMIT},
        {2, 'X', "{}", "unknown type", E_PARSE},
        {3, 'B', "abc", "unknown type", E_PARSE},
        {1, 'P', "x", "unknown type", E_PARSE},
        {0, 'J', "", "no JSON", E_PARSE},
        {2, 'J', "{]", "no JSON", E_PARSE},
        {4, 'J', "\"\xff\xfe\"", "no JSON", E_PARSE},
        {2, 'J', "[]", "not a map", E_PARSE},
        {4, 'J', "null", "not a map", E_PARSE},
        {sizeof deep - 1, 'J', deep, "no JSON", E_PARSE},
        {sizeof wide - 2, 'J', wide, "no JSON", E_PARSE},
        {15, 'J', "{\"a\":1,\"a\":1}  ", "no JSON", E_PARSE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[100];
        connect_both(id);
        raw_frame(rows[i].size, rows[i].type, rows[i].payload);
        turn_until(&server.closed, 1, 2000000);
        snprintf(name, sizeof name, "frame %zu ends the link: %s", i, rows[i].why);
        if (!ok(server.closed == 1 && strstr(server.why, rows[i].why) && server.code == rows[i].code, name))
            printf("#   got %d: %s\n", server.code, server.why);
        part();
    }
}

static void test_fuzz(struct link_identity *id, struct rng *rng) {
    static const char seeds[][40] = {"{\"call\":1,\"verb\":\"x\",\"in\":{}}", "{\"reply\":1,\"out\":{\"a\":[1,2]}}",
                                     "{\"event\":\"task\",\"data\":{\"t\":1.5}}", "\001\002\003\004\005\006\007\010abc"};
    int survived = 0, ended = 0, odd = 0;
    for (int i = 0; i < 200; i++) {
        connect_both(id);
        for (int k = 0; k < 20 && client.l && server.l; k++) {
            unsigned char frame[64] = {0};
            const char *s = seeds[rng_below(rng, 4)];
            size_t n = strlen(s);
            frame[3] = (unsigned char)n;
            frame[4] = "JBP?"[rng_below(rng, 4)];
            memcpy(frame + 5, s, n);
            for (uint64_t m = rng_below(rng, 4); m; m--)
                frame[rng_below(rng, 3) ? 5 + rng_below(rng, n) : rng_below(rng, 5)] = (unsigned char)rng_u64(rng);
            raw(frame, 5 + n);
            loop_turn(loop, 0);
        }
        turn_for(1000);
        survived += !server.closed;
        ended += server.closed;
        odd += server.closed && server.code != E_PARSE && server.code != E_LIMIT;
        part();
    }
    printf("# %d links ended, %d survived\n", ended, survived);
    ok(ended > 100 && !odd, "mutated frames end the link with a reason, or are frames");
}

/* Messages of any shape are read or refused, never half. */
static void test_messages(void) {
    static const struct {
        const char *text;
        int rc, kind;
    } rows[] = {
        {"{\"call\":1,\"verb\":\"start\",\"in\":{}}", 0, LINK_CALL}, {"{\"call\":1,\"verb\":\"start\"}", 0, LINK_CALL},
        {"{\"reply\":9,\"out\":{}}", 0, LINK_REPLY}, {"{\"reply\":9,\"err\":{\"code\":\"conflict\",\"message\":\"m\"}}", 0, LINK_REPLY},
        {"{\"event\":\"task\",\"data\":{}}", 0, LINK_EVENT}, {"{}", E_INVAL, 0}, {"{\"call\":-1,\"verb\":\"x\"}", E_INVAL, 0},
        {"{\"call\":1}", E_INVAL, 0}, {"{\"call\":\"1\",\"verb\":\"x\"}", E_INVAL, 0}, {"{\"call\":1,\"verb\":7}", E_INVAL, 0},
        {"{\"call\":1,\"verb\":\"\"}", E_INVAL, 0}, {"{\"call\":1,\"verb\":\"a\\u0000b\"}", E_INVAL, 0},
        {"{\"reply\":0}", E_INVAL, 0}, {"{\"reply\":1,\"err\":[]}", E_INVAL, 0}, {"{\"event\":{}}", E_INVAL, 0},
    };
    int bad = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a = ARENA_INIT;
        struct doc *d;
        struct link_message m;
        struct err e = {0};
        json_parse(&a, "m", rows[i].text, strlen(rows[i].text), NULL, &d, &e);
        int rc = link_message_read(d, &m, &e);
        if (rc != rows[i].rc || (!rc && (int)m.kind != rows[i].kind) || (rc && !*e.message)) {
            printf("#   %s: %d\n", rows[i].text, rc);
            bad++;
        }
        if (i == 3)
            bad += m.err.code != E_CONFLICT || strcmp(m.err.message, "m");
        arena_free(&a);
    }
    is_int(bad, 0, "calls, replies and events are told apart, and what is none is refused");
}

/* -- slow, dead, many -- */

static void test_slow(struct link_identity *id) {
    static char piece[1 << 20];
    int sent = 0;
    struct err e = {0};
    connect_both(id);
    link_pause(server.l, true);
    turn_for(20000);
    while (sent < 200 && !link_send_bytes(client.l, 1, piece, sizeof piece, &e)) {
        sent++;
        loop_turn(loop, 0);
    }
    ok(sent > 60 && sent < 100 && e.code == E_LIMIT, "a peer that does not read fills the queue to its limit, no further");
    int before = server.pieces, drained = client.drained;
    turn_for(50000);
    is_int(server.pieces, before, "a paused link delivers nothing");
    is_int(client.drained, drained, "nothing has drained");
    link_pause(server.l, false);
    turn_until(&server.pieces, sent, 5000000);
    is_int(server.pieces, sent, "read on, everything arrives");
    ok(client.drained > drained && link_queued(client.l) == 0, "and the sender hears that its queue is low");
    part();
}

static void test_half_open(struct link_identity *id) {
    connect_both(id);
    /* The peer dies without a word: its descriptor stays, nothing is read nor said any more. */
    watch_stop(loop, &server.l->watch);
    timer_cancel(loop, &server.l->timer);
    int64_t begin = loop_mono_fresh_us();
    turn_until(&client.closed, 1, 12000000);
    double s = (double)(loop_mono_fresh_us() - begin) * 1e-6;
    printf("# noticed after %.1f s\n", s);
    ok(client.code == E_TIMEOUT && s > 5 && s <= 10.05, "a peer that died without a word is noticed within ten seconds");
    watch_start(loop, &server.l->watch, server.l->fd, WATCH_READ, ready, server.l);
    turn_until(&server.closed, 1, 1000000);
}

static void test_stood_still(struct link_identity *id) {
    connect_both(id);
    link_send_bytes(client.l, 1, "lease", 5, NULL);
    server.l->heard_us -= LINK_SILENCE_US + 1000000; /* as if this process had been stopped since then */
    turn_until(&server.closed, 1, 1000000);
    ok(server.code == E_TIMEOUT && server.pieces == 0, "a process that stood still does not act on what came meanwhile");
    turn_until(&client.closed, 1, 1000000);
}

static void test_alive(struct link_identity *id) {
    connect_both(id);
    turn_for(LINK_SILENCE_US + 2 * LINK_BEAT_US);
    ok(!client.closed && !server.closed, "a link on which nobody has anything to say stays");
    part();
}

static void test_crowd(struct link_identity *id) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fds[LINK_HANDSHAKES_MAX + 10];
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fds[i], (struct sockaddr *)&at, sizeof at))
            printf("# no connection\n");
        loop_turn(loop, 0);
    }
    turn_for(10000);
    is_int(door->handshakes, LINK_HANDSHAKES_MAX, "strangers who say nothing are bounded");
    ok(connect_both(id), "and an agent still gets in");
    part();
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        close(fds[i]);
    turn_for(20000);
    is_int(door->handshakes, 0, "who leaves is forgotten");
}

static void test_end_in_handler(struct link_identity *id) {
    connect_both(id);
    struct wire_link *l = server.l;
    struct err e = {0};
    link_close(l);
    ok(server.closed == 1 && link_send_bytes(l, 1, "x", 1, &e) == E_UNAVAIL, "a closed link refuses, and is safe to hold until the round ends");
    turn_until(&client.closed, 1, 1000000);
    /* The listener goes while a handshake is under way: nobody is called any more. */
    dial(id, "controller");
    loop_turn(loop, 0);
    link_listener_free(door);
    turn_until(&client.closed, 1, 1000000);
    ok(client.closed == 1 && server.closed == 0, "a listener takes its unfinished handshakes with it");
}

/* -- certificates -- */

static void test_pki(void) {
    char before[65], after[65];
    struct err e = {0};
    pki_fingerprint(file("pki", "a.crt"), before, &e);
    pki_issue(file("pki", "."), "a", "agent/a", &e);
    pki_fingerprint(file("pki", "a.crt"), after, &e);
    is_str(after, before, "a good certificate is left alone");
    pki_issue(file("pki", "."), "old", "agent/old", &e);
    struct link_identity *id = identity("pki", "old", "pki");
    ok(connect_both(id), "an expired one is issued again");
    part();
    link_identity_free(id);
    pki_issue(file("pki", "."), "a", "agent/renamed", &e);
    pki_fingerprint(file("pki", "a.crt"), after, &e);
    ok(strcmp(before, after), "one with another name is issued again");
    pki_issue(file("pki", "."), "a", "agent/a", &e);
    /* The authority was made anew: what the old one signed opens no door. */
    unlink(file("fresh", "ca.crt"));
    pki_open(file("fresh", "."), &e);
    pki_issue(file("fresh", "."), "a", "agent/a", &e);
    struct link_identity *x = identity("fresh", "a", "fresh");
    struct link_listener *ll;
    link_listen(loop, "127.0.0.1", 0, x, &handler, &server, &ll, &e);
    int was = port;
    port = link_listener_port(ll);
    dial(x, "agent/a");
    turn_until(&client.opened, 1, 2000000);
    is_int(client.opened, 1, "after a new authority, certificates are issued anew");
    part();
    port = was;
    link_listener_free(ll);
    link_identity_free(x);
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20260101;
    struct rng rng = rng_new(seed);
    struct err e = {0};
    const char *tmp = getenv("TMPDIR");
    printf("# seed %llu\n", (unsigned long long)seed);
    snprintf(root, sizeof root, "%.150s/suan-link-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root))
        return 1;
    loop = loop_new(LOOP_REAL, 0);
    static const char *const folders[] = {"pki", "other", "fresh"};
    for (int i = 0; i < 3; i++) {
        pki_open(file(folders[i], ""), &e);
        pki_issue(file(folders[i], ""), "a", "agent/a", &e);
    }
    pki_issue(file("pki", ""), "controller", "controller", &e);
    pki_issue(file("pki", ""), "b", "agent/b", &e);
    pki_issue(file("pki", ""), "old", "agent/old", &e);
    make_expired("pki", "old");
    struct link_identity *controller = identity("pki", "controller", "pki"), *agent = identity("pki", "a", "pki");
    if (link_listen(loop, "127.0.0.1", 0, controller, &handler, &server, &door, &e))
        printf("# %s\n", e.message);
    port = link_listener_port(door);
    test_identities(agent);
    test_strangers();
    test_messages();
    test_order(agent, &rng);
    test_hostile(agent);
    test_fuzz(agent, &rng);
    test_slow(agent);
    test_crowd(agent);
    test_stood_still(agent);
    test_half_open(agent);
    test_alive(agent);
    test_pki();
    link_identity_free(agent);
    agent = identity("pki", "a", "pki");
    test_end_in_handler(agent);
    turn_for(10000);
    link_identity_free(controller);
    link_identity_free(agent);
    loop_free(loop);
    char command[260];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) ? 1 : tap_done();
}
