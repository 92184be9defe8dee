/* The limits of the HTTP front, as a stranger with a raw socket meets them: heads and bodies that are too large, JSON that
 * is too deep, lines that are no request, connections without end, requests that trickle; cookies, origins and host names;
 * preconditions; event streams that resume and overflow. Time is virtual: a limit of 30 s is met at once. */
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/http.h"
#include "estate/kinds.h"

static const int64_t SECOND = 1000000;
static struct loop *loop;
static struct host host;
static struct http *http;
static char token[65], viewer[65], answer[400000];

static int dial(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_port(http)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at)) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Time stands while rounds go by: descriptors are served, no limit is reached. */
static void rounds(int n) {
    loop_hold(loop);
    for (int i = 0; i < n; i++)
        loop_turn(loop, 1000);
    loop_release(loop);
}

/* A timer of the front at this very moment is let through; nothing later. */
static void serve(void) {
    rounds(2);
    loop_run_until(loop, loop_now_us(loop) + 10000);
}

static void put(int fd, const char *p, size_t n) {
    for (int i = 0; n && i < 20000; i++) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno != EAGAIN)
            return;
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
        serve();
    }
}

static bool is_whole(const char *a) {
    const char *end = strstr(a, "\r\n\r\n"), *length = end ? strcasestr(a, "Content-Length: ") : NULL;
    return end && (!length || length > end || strlen(end + 4) >= strtoul(length + 16, NULL, 10));
}

/* What comes until the answer is whole, or the end. True when the connection was closed. */
static bool get(int fd) {
    size_t n = 0;
    *answer = '\0';
    for (int i = 0; i < 400; i++) {
        serve();
        ssize_t k = recv(fd, answer + n, sizeof answer - 1 - n, 0);
        if (!k || (k < 0 && errno != EAGAIN))
            return true;
        n += k > 0 ? (size_t)k : 0;
        answer[n] = '\0';
        if (is_whole(answer))
            return false;
    }
    return false;
}

static int status(void) { return !strncmp(answer, "HTTP/1.1 ", 9) ? atoi(answer + 9) : 0; }

/* One request on a connection of its own; its status, 0 when it was closed without one. */
static int ask_with(const char *method, const char *path, const char *headers, const char *body, size_t n) {
    char head[4096];
    int fd = dial(), len = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nConnection: close\r\n%s", method, path, headers);
    if (body)
        len += snprintf(head + len, sizeof head - (size_t)len, "Content-Length: %zu\r\n", n);
    len += snprintf(head + len, sizeof head - (size_t)len, "\r\n");
    put(fd, head, (size_t)len);
    if (body)
        put(fd, body, n);
    get(fd);
    close(fd);
    serve();
    return status();
}

static const char *authorised(const char *more) {
    static char h[1024];
    snprintf(h, sizeof h, "Host: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s", token, more);
    return h;
}
static int ask(const char *method, const char *path, const char *body) {
    return ask_with(method, path, authorised(""), body, body ? strlen(body) : 0);
}
static bool said(const char *what) { return strstr(answer, what) != NULL; }

/* -- sizes -- */
static void sizes(void) {
    size_t n = 5u << 20;
    char *big = malloc(n + 1);
    memset(big, 'a', n);
    big[n] = '\0';
    int fd = dial();
    put(fd, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ", 48);
    put(fd, big, 33 << 10);
    put(fd, "\r\n\r\n", 4);
    get(fd);
    ok(status() == 431 || status() == 413 || status() == 0, "a head over 32 KiB is refused");
    printf("#   %.40s\n", answer);
    close(fd);
    is_int(ask("GET", "/healthz", NULL), 200, "and others are served");
    snprintf(big, n, "GET /api/v1/");
    memset(big + 12, 'a', 300);
    big[312] = '\0';
    is_int(ask("GET", big + 4, NULL), 429, "a path over 255 bytes");
    memset(big, ' ', n);
    is_int(ask_with("POST", "/api/v1/tenant", authorised(""), big, n), 413, "a body over 4 MiB");
    ok(said("application/problem+json") && said("4194304"), "with the limit in its words");
    is_int(ask_with("POST", "/api/v1/tenant", authorised(""), big, (4 << 20) - 1), 400, "one below is read");
    is_int(ask_with("POST", "/api/v1/session", "Host: 127.0.0.1\r\n", big, 5000), 413, "a stranger's over 4 KiB");
    fd = dial();
    snprintf(big, n, "POST /api/v1/tenant HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n", authorised(""));
    put(fd, big, strlen(big));
    memset(big, ' ', n);
    for (int i = 0; i < 5; i++) {
        put(fd, "100000\r\n", 8);
        put(fd, big, 1 << 20);
        put(fd, "\r\n", 2);
    }
    put(fd, "0\r\n\r\n", 5);
    get(fd);
    is_int(status(), 413, "nor in pieces");
    close(fd);
    for (int deep = 31; deep <= 33; deep += 2) {
        int k = snprintf(big, n, "{\"name\":\"x\",\"title\":");
        for (int i = 0; i < deep - 1; i++)
            big[k++] = '[';
        for (int i = 0; i < deep - 1; i++)
            big[k++] = ']';
        strcpy(big + k, "}");
        is_int(ask("POST", "/api/v1/tenant", big), deep > 32 ? 429 : 400, deep > 32 ? "JSON deeper than 32 is refused by its depth"
                                                                                  : "JSON of 31 is refused for what it says");
    }
    free(big);
}

/* -- lines that are no request -- */
static void malformed(void) {
    static const char *const lines[] = {"\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
                                        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
                                        "GET /healthz HTTP/1.1\r\n\x01\x02: x\r\n\r\n", "POST /api/v1/tenant HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char name[80];
        int fd = dial();
        size_t n = strlen(lines[i]);
        put(fd, lines[i], n ? n : 1);
        shutdown(fd, SHUT_WR);
        get(fd);
        snprintf(name, sizeof name, "malformed %zu: status %d, and no more", i, status());
        ok(status() != 200 || i == 6, name); /* an odd header's name harms nobody */
        close(fd);
        serve();
    }
    is_int(ask("GET", "/healthz", NULL), 200, "the front goes on");
    is_int(ask("GET", "/api/v1/%2e%2e/%2e%2e/etc/passwd", NULL), 404, "a path that climbs");
    is_int(ask("GET", "/api/v1/tenant/x/y/z", NULL), 404, "one with too many parts");
}

static void methods(void) {
    static const struct {
        const char *method, *path, *allow;
    } rows[] = {{"BREW", "/api/v1/tenant", "Allow: GET, POST\r"},        {"PUT", "/api/v1/tenant/lab", "Allow: GET, PATCH, DELETE\r"},
                {"DELETE", "/api/v1/tenant", "Allow: GET, POST\r"},      {"PATCH", "/api/v1/system/status", "Allow: GET, POST\r"},
                {"POST", "/metrics", "Allow: GET, HEAD\r"},             {"DELETE", "/healthz", "Allow: GET, HEAD\r"},
                {"POST", "/api/v1/schema", "Allow: GET, HEAD\r"},       {"POST", "/api/v1/events", "Allow: GET, HEAD\r"},
                {"GET", "/api/v1/session", "Allow: POST, DELETE\r"},    {"ET", "/metrics", "Allow: GET, HEAD\r"},
                {"GET", "/api/v1/token/create", "Allow: POST\r"},       {"PUT", "/api/v1/tenant/lab/set", "Allow: GET, POST\r"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[120];
        snprintf(name, sizeof name, "%s %s: 405 with its Allow", rows[i].method, rows[i].path);
        ok(ask(rows[i].method, rows[i].path, NULL) == 405 && said(rows[i].allow) && said("problem+json"), name);
    }
    is_int(ask("HEAD", "/api/v1/tenant", NULL), 200, "HEAD as GET");
}

/* -- preconditions, query and body -- */
static void conditions(void) {
    char tag[64], more[120];
    is_int(ask("POST", "/api/v1/tenant", "{\"name\":\"lab\",\"title\":\"Lab\"}"), 200, "a tenant");
    is_int(ask("GET", "/api/v1/tenant/lab", NULL), 200, "is read");
    const char *e = strstr(answer, "ETag: ");
    ok(e && sscanf(e, "ETag: %60s", tag) == 1 && tag[0] == '"', "with an ETag");
    snprintf(more, sizeof more, "If-Match: %s\r\n", tag);
    static const char body[] = "{\"title\":\"Laboratory\"}";
    is_int(ask_with("PATCH", "/api/v1/tenant/lab", authorised(more), body, strlen(body)), 200, "changed as it was read");
    is_int(ask_with("PATCH", "/api/v1/tenant/lab", authorised(more), body, strlen(body)), 412, "not twice");
    is_int(ask_with("DELETE", "/api/v1/tenant/lab", authorised(more), NULL, 0), 412, "nor deleted");
    is_int(ask_with("PATCH", "/api/v1/tenant/lab", authorised("If-Match: *\r\n"), body, strlen(body)), 200, "* means any");
    is_int(ask("PATCH", "/api/v1/tenant/lab?dryrun=1", "{\"title\":\"Oops\"}"), 400, "a misspelt parameter beside a body");
    is_int(ask("PATCH", "/api/v1/tenant/lab?dry_run=1", "{\"title\":\"Oops\"}"), 200, "a dry run");
    ask("GET", "/api/v1/tenant/lab", NULL);
    ok(said("Laboratory") && !said("Oops"), "and neither changed anything");
    is_int(ask_with("POST", "/api/v1/tenant", "Host: 127.0.0.1\r\nContent-Type: text/xml\r\n", "<a/>", 4), 401, "a stranger is refused before its body is judged");
    is_int(ask("POST", "/api/v1/tenant", "[1]"), 400, "a body that is no map");
}

/* -- who asks -- */
static int with(const char *method, const char *path, const char *headers) { return ask_with(method, path, headers, "{\"title\":\"c\"}", 13); }
static void cookies(void) {
    char h[512], body[128];
    snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    is_int(ask_with("POST", "/api/v1/session", "Host: 127.0.0.1\r\n", body, strlen(body)), 200, "a cookie for a token");
    ok(said("HttpOnly") && said("SameSite=Strict") && said(token), "HttpOnly, SameSite=Strict");
    is_int(ask_with("POST", "/api/v1/session", "Host: 127.0.0.1\r\n", "{\"token\":\"x\"}", 13), 401, "none for a wrong one");
    snprintf(h, sizeof h, "Host: 127.0.0.1:1\r\nCookie: suan=%s\r\n", token);
    is_int(ask_with("GET", "/api/v1/tenant/lab", h, NULL, 0), 200, "the cookie reads");
    is_int(with("PATCH", "/api/v1/tenant/lab", h), 403, "without an Origin it changes nothing");
    snprintf(h, sizeof h, "Host: 127.0.0.1:1\r\nCookie: suan=%s\r\nOrigin: http://evil.example\r\n", token);
    is_int(with("PATCH", "/api/v1/tenant/lab", h), 403, "nor from a page elsewhere");
    snprintf(h, sizeof h, "Host: 127.0.0.1:1\r\nCookie: suan=%s\r\nOrigin: http://127.0.0.1:2\r\n", token);
    is_int(with("PATCH", "/api/v1/tenant/lab", h), 403, "nor from another port");
    snprintf(h, sizeof h, "Host: 127.0.0.1:1\r\nCookie: suan=%s\r\nOrigin: null\r\n", token);
    is_int(with("PATCH", "/api/v1/tenant/lab", h), 403, "nor from nowhere");
    snprintf(h, sizeof h, "Host: 127.0.0.1:1\r\nCookie: suan=%s\r\nOrigin: http://127.0.0.1:1\r\n", token);
    is_int(with("PATCH", "/api/v1/tenant/lab", h), 200, "from our own page it does");
    snprintf(h, sizeof h, "Host: evil.example\r\nAuthorization: Bearer %s\r\n", token);
    is_int(ask_with("GET", "/api/v1/tenant", h, NULL, 0), 403, "a name that is not ours (DNS rebinding)");
    snprintf(h, sizeof h, "Host: localhost.evil.example\r\nAuthorization: Bearer %s\r\n", token);
    is_int(ask_with("GET", "/api/v1/tenant", h, NULL, 0), 403, "nor one that begins like ours");
    is_int(ask_with("DELETE", "/api/v1/session", "Host: 127.0.0.1\r\n", NULL, 0), 200, "the cookie is taken back");
    ok(said("Max-Age=0"), "at once");
    ask_with("GET", "/api/v1/tenant", "Host: 127.0.0.1\r\n", NULL, 0);
    ok(status() == 401 && said("WWW-Authenticate: Bearer"), "nobody: 401 says how");
    snprintf(h, sizeof h, "Host: 127.0.0.1\r\nAuthorization: bearer %s\r\n", viewer);
    is_int(ask_with("GET", "/api/v1/tenant", h, NULL, 0), 200, "a viewer reads");
    is_int(with("PATCH", "/api/v1/tenant/lab", h), 403, "and changes nothing");
}

/* -- time and number -- */
static void slow(void) {
    int fd = dial();
    put(fd, "GET /healthz HTTP/1.1\r\n", 23);
    bool ended = false;
    int64_t begun = loop_now_us(loop);
    /* One header each second keeps the library's limit for silence away. */
    for (int i = 0; i < 60 && !ended; i++) {
        char line[32];
        int n = snprintf(line, sizeof line, "X-%d: 1\r\n", i);
        ended = send(fd, line, (size_t)n, MSG_NOSIGNAL) < 0;
        rounds(2);
        loop_run_until(loop, loop_now_us(loop) + SECOND);
    }
    int64_t took = loop_now_us(loop) - begun;
    ok(ended && took >= 29 * SECOND && took < 34 * SECOND, "a head that trickles is cut off after 30 s");
    printf("#   after %.1f s\n", (double)took * 1e-6);
    close(fd);
    fd = dial();
    char head[512];
    int n = snprintf(head, sizeof head, "POST /api/v1/tenant HTTP/1.1\r\n%sContent-Length: 1000\r\n\r\n", authorised(""));
    put(fd, head, (size_t)n);
    begun = loop_now_us(loop);
    ended = false;
    for (int i = 0; i < 60 && !ended; i++) {
        ended = send(fd, " ", 1, MSG_NOSIGNAL) < 0;
        rounds(2);
        loop_run_until(loop, loop_now_us(loop) + SECOND);
    }
    took = loop_now_us(loop) - begun;
    ok(ended && took >= 29 * SECOND && took < 34 * SECOND, "so is a body");
    close(fd);
    serve();
}

static bool is_served(int fd) {
    static const char line[] = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    put(fd, line, sizeof line - 1);
    return !get(fd) && status() == 200;
}

static void many(void) {
    enum { MOST = 256, MORE = 20 };
    int fds[MOST + MORE], served = 0, over = 0;
    struct rlimit files = {2048, 4096};
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 0; i < MOST + MORE; i++) {
        fds[i] = dial();
        serve();
    }
    for (int i = 0; i < MOST; i++)
        served += is_served(fds[i]);
    is_int(served, MOST, "256 connections are served");
    for (int i = MOST; i < MOST + MORE; i++) {
        put(fds[i], "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 42);
        serve();
        over += recv(fds[i], answer, sizeof answer - 1, 0) > 0;
    }
    is_int(over, 0, "more are not");
    for (int i = 0; i < MOST + MORE; i++)
        close(fds[i]);
    rounds(20);
    serve();
    is_int(ask("GET", "/healthz", NULL), 200, "when they have gone others are");
}

/* -- event streams -- */
static int listen_from(const char *path, const char *last) {
    char head[512];
    int fd = dial(), n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n%s%s%s\r\n", path, viewer,
                                  last ? "Last-Event-ID: " : "", last ? last : "", last ? "\r\n" : "");
    put(fd, head, (size_t)n);
    return fd;
}
static size_t hear(int fd, const char *until) {
    size_t n = 0;
    *answer = '\0';
    for (int i = 0; i < 60 && !(*until && strstr(answer, until)); i++) {
        serve();
        ssize_t k = recv(fd, answer + n, sizeof answer - 1 - n, 0);
        n += k > 0 ? (size_t)k : 0;
        answer[n] = '\0';
    }
    return n;
}
static void title(const char *t) {
    char body[128];
    snprintf(body, sizeof body, "{\"title\":\"%s\"}", t);
    ask("PATCH", "/api/v1/tenant/lab", body);
}
static void streams(void) {
    char id[64] = "", old[64];
    int fd = listen_from("/api/v1/events?kinds=tenant", NULL);
    hear(fd, "hello");
    ok(said("text/event-stream") && said(": hello"), "a stream");
    char kept[4096];
    title("first");
    hear(fd, "first");
    str_copy(kept, sizeof kept, answer);
    const char *p = strstr(answer, "id: ");
    ok(p && sscanf(p, "id: %60s", id) == 1 && strstr(kept, "event: change"), "a change comes with an id");
    close(fd);
    serve();
    title("second");
    fd = listen_from("/api/v1/events?kinds=tenant", id);
    hear(fd, "second");
    ok(said("second") && !said("resync") && !said("\"first\""), "whoever comes back with it gets what it missed, and only that");
    close(fd);
    str_copy(old, sizeof old, id);
    old[0] = old[0] == 'a' ? 'b' : 'a';
    fd = listen_from("/api/v1/events?kinds=tenant", old);
    hear(fd, "resync");
    ok(said("event: resync"), "an id of another start: read everything again");
    close(fd);
    fd = listen_from("/api/v1/events", "rubbish");
    hear(fd, "resync");
    ok(said("event: resync"), "so does rubbish");
    close(fd);
    fd = listen_from("/api/v1/events?kinds=rack", NULL);
    hear(fd, "hello");
    title("third");
    hear(fd, "event: change");
    ok(!said("event: change"), "a kind that was not asked for does not come");
    close(fd);
    serve();
}

/* A reader that does not read: its queue has an end, it is told so once, and the house goes on. */
static void overflow(void) {
    int fd = listen_from("/api/v1/events", NULL);
    struct arena a = ARENA_INIT;
    char text[20000];
    memset(text, 'e', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    hear(fd, "hello");
    struct doc *d = doc_map(&a);
    doc_put_str(&a, d, "text", text);
    for (int i = 0; i < 2000; i++) { /* 40 MB: more than both ends' buffers */
        host_event(&host, "flood", SEV_NOTICE, "", d, "x");
        if (i % 200 == 0)
            serve();
    }
    size_t most = 0;
    int resyncs = 0, quiet = 0;
    while (quiet < 30) {
        serve();
        ssize_t k = recv(fd, answer, sizeof answer - 1, 0);
        quiet = k > 0 ? 0 : quiet + 1;
        most += k > 0 ? (size_t)k : 0;
        answer[k > 0 ? k : 0] = '\0';
        for (const char *p = answer; (p = strstr(p, "event: resync")); p++)
            resyncs++;
    }
    printf("#   %zu bytes of 40 MB came, %d resync\n", most, resyncs);
    ok(most > 100000 && most < 30u << 20, "a slow reader's queue has an end");
    ok(resyncs >= 1, "and it is told to read everything again");
    title("after");
    hear(fd, "after");
    ok(said("after"), "what happens then reaches it");
    close(fd);
    arena_free(&a);
    serve();
}

static void revoked(void) {
    struct err e = {0};
    int fd = listen_from("/api/v1/events", NULL);
    hear(fd, "hello");
    ok(!auth_revoke(host.auth, "eye", &e), "a listener's token is revoked");
    loop_run_until(loop, loop_now_us(loop) + 40 * SECOND);
    bool ended = false;
    for (int i = 0; i < 50 && !ended; i++) {
        serve();
        ssize_t k = recv(fd, answer, sizeof answer - 1, 0);
        answer[k > 0 ? k : 0] = '\0';
        ended = k == 0 || said("0\r\n\r\n"); /* the last chunk */
    }
    ok(ended, "its stream ends");
    close(fd);
}

int main(void) {
    struct http_config config = {.address = "127.0.0.1"};
    struct err e = {0};
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    loop = loop_new(LOOP_VIRTUAL, 1767225600 * SECOND);
    ok(!host_open(&host, loop, kinds_foundation, n, NULL, NULL, 1, &e) && !host_start(&host, &e), "a host");
    ok(!auth_create(host.auth, "root", ROLE_ADMIN, "", 0, token, &e) && !auth_create(host.auth, "eye", ROLE_VIEWER, "", 0, viewer, &e), "tokens");
    ok(!http_open(&host, &config, &http, &e), "an HTTP front");
    conditions();
    sizes();
    malformed();
    methods();
    cookies();
    slow();
    many();
    streams();
    overflow();
    revoked();
    http_close(http);
    host_close(&host);
    loop_free(loop);
    return tap_done();
}
