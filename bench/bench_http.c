/* Authenticated GETs of one object through the whole path (HTTP, token, dispatcher, field tables, JSON): requests for each
 * second of the server's CPU time, and p99 as 16 keep-alive connections of another process see it. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/host.h"
#include "core/http.h"
#include "estate/kinds.h"

enum { CONNECTIONS = 16 };

static int by_time(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

struct result {
    int64_t p50_us, p99_us, bad;
};

static int connect_to(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 && !connect(fd, (struct sockaddr *)&at, sizeof at) ? fd : -1;
}

/* The load: each connection sends its next request when the answer to the last is complete. */
static struct result load(int port, const char *request, int64_t total) {
    struct pollfd fds[CONNECTIONS];
    static struct { char in[4096]; size_t n; int64_t begun; } c[CONNECTIONS];
    int64_t *took = malloc((size_t)total * sizeof *took), done = 0, sent = 0;
    struct result r = {0};
    size_t size = strlen(request);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = (struct pollfd){.fd = connect_to(port), .events = POLLIN};
        c[i].begun = loop_mono_fresh_us();
        sent++;
        r.bad += write(fds[i].fd, request, size) != (ssize_t)size;
    }
    while (done < total && !r.bad && poll(fds, CONNECTIONS, 5000) > 0)
        for (int i = 0; i < CONNECTIONS && done < total; i++) {
            if (!fds[i].revents)
                continue;
            ssize_t n = read(fds[i].fd, c[i].in + c[i].n, sizeof c[i].in - 1 - c[i].n);
            if (n <= 0) {
                r.bad++;
                break;
            }
            c[i].n += (size_t)n;
            c[i].in[c[i].n] = '\0';
            const char *end = strstr(c[i].in, "\r\n\r\n"), *length = strcasestr(c[i].in, "Content-Length:");
            if (!end || !length || c[i].n < (size_t)(end + 4 - c[i].in) + strtoull(length + 15, NULL, 10))
                continue;
            r.bad += strncmp(c[i].in, "HTTP/1.1 200", 12) != 0;
            took[done++] = loop_mono_fresh_us() - c[i].begun;
            c[i].n = 0;
            if (sent++ < total) {
                c[i].begun = loop_mono_fresh_us();
                r.bad += write(fds[i].fd, request, size) != (ssize_t)size;
            }
        }
    r.bad += done < total;
    qsort(took, (size_t)done, sizeof *took, by_time);
    r.p50_us = done ? took[done / 2] : 0;
    r.p99_us = done ? took[done * 99 / 100] : 0;
    free(took);
    return r;
}

static void ended(void *ctx, pid_t pid, int status) {
    (void)pid, (void)status;
    loop_stop(ctx);
}

int main(int argc, char **argv) {
    int64_t total = argc > 1 && !strcmp(argv[1], "--quick") ? 40000 : 200000;
    struct loop *l = loop_new(LOOP_REAL, 0);
    struct host h;
    struct http *http = NULL;
    struct err e = {0};
    char secret[65], request[256];
    struct http_config config = {.address = "127.0.0.1"};
    size_t n = 0;
    int pipes[2];
    while (kinds_foundation[n])
        n++;
    int rc = host_open(&h, l, kinds_foundation, n, NULL, NULL, 1, &e);
    rc = rc ? rc : auth_create(h.auth, "bench", ROLE_VIEWER, "", 0, secret, &e);
    struct txn *t = estate_begin(h.estate);
    rc = rc ? rc : txn_create(t, "tenant", "lab", 0, NULL, "bench", NULL, &e);
    rc = rc ? rc : txn_commit(t, "bench", "", NULL, &e);
    rc = rc ? rc : host_start(&h, &e);
    rc = rc ? rc : http_open(&h, &config, &http, &e);
    if (rc || pipe(pipes)) {
        fprintf(stderr, "%s\n", e.message);
        return 2;
    }
    snprintf(request, sizeof request, "GET /api/v1/tenant/lab HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", secret);
    pid_t pid = fork();
    if (!pid) {
        struct result r = load(http_port(http), request, total);
        _exit(write(pipes[1], &r, sizeof r) == (ssize_t)sizeof r ? 0 : 1);
    }
    struct child child;
    int64_t begin = loop_cpu_us();
    child_watch(l, &child, pid, ended, l);
    loop_run(l);
    double cpu_s = (double)(loop_cpu_us() - begin) * 1e-6;
    struct result r = {.bad = 1};
    if (read(pipes[0], &r, sizeof r) != (ssize_t)sizeof r)
        r.bad++;
    double rate = (double)total / cpu_s;
    bool good = !r.bad && rate >= 20000, quick = r.p99_us < 5000;
    printf("{\"goal\":\"http-get\",\"value\":%.0f,\"unit\":\"1/s of server CPU\",\"target\":20000,\"peer\":null,\"ok\":%s,\"bad\":%lld}\n",
           rate, good ? "true" : "false", (long long)r.bad);
    printf("{\"goal\":\"http-p99\",\"value\":%.2f,\"unit\":\"ms wall\",\"target\":5,\"peer\":null,\"ok\":%s,\"p50\":%.2f}\n",
           (double)r.p99_us * 1e-3, quick ? "true" : "false", (double)r.p50_us * 1e-3);
    http_close(http);
    host_close(&h);
    loop_free(l);
    return good && quick ? 0 : 1;
}
