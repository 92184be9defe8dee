/* Closing the HTTP front while somebody listens to events and somebody else waits for an answer: the library insists
 * that nothing is suspended, and the call that is under way must not answer into freed memory. */
#include "tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/http.h"
#include "estate/kinds.h"

static struct loop *loop;
static struct host host;
static struct call *pending;

static int verb_wait(struct call *c) {
    pending = c;
    return CALL_LATER;
}
static const struct verb wait_verbs[] = {
    {"wait", "slow", false, NULL, NULL, ROLE_VIEWER, VERB_READ | VERB_FREE_FORM, 0, NULL, "Answers when the test says so.", NULL, verb_wait}};
static const struct cap cap_slow = {.name = "slow", .title = "Slow", .title_zh = "慢", .family = "test", .verbs = wait_verbs, .nverbs = 1};
static const struct cap *const caps[] = {&cap_slow, NULL};

static int ask(int port, const char *path, const char *token) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char request[256];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", path, token);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) || write(fd, request, (size_t)n) != n)
        return -1;
    return fd;
}

int main(void) {
    struct http_config config = {.address = "127.0.0.1"};
    struct http *http = NULL;
    struct err e = {0};
    char token[65], answer[512];
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    loop = loop_new(LOOP_REAL, 0);
    ok(!host_open(&host, loop, kinds_foundation, n, caps, NULL, 1, &e) && !host_start(&host, &e), "a host");
    ok(!auth_create(host.auth, "eye", ROLE_VIEWER, "", 0, token, &e), "a token");
    ok(!http_open(&host, &config, &http, &e), "an HTTP front");
    int events = ask(http_port(http), "/api/v1/events", token), slow = ask(http_port(http), "/api/v1/slow/wait", token);
    ssize_t got = 0;
    for (int i = 0; i < 2000 && (!pending || got <= 0); i++) {
        loop_turn(loop, 5000);
        if (got <= 0)
            got = recv(events, answer, sizeof answer - 1, MSG_DONTWAIT);
    }
    answer[got > 0 ? got : 0] = '\0';
    ok(strstr(answer, "text/event-stream") != NULL, "one client listens");
    ok(pending != NULL, "another waits for its answer");
    for (int i = 0; i < 5; i++) /* let the stream fall silent */
        loop_turn(loop, 1000);
    http_close(http);
    ok(true, "the front closes");
    if (pending)
        call_done(pending, 0);
    ok(true, "the answer comes too late, and harms nobody");
    ok(recv(slow, answer, sizeof answer, 0) <= 0, "the one who waited sees the end");
    close(events);
    close(slow);
    host_close(&host);
    loop_free(loop);
    return tap_done();
}
