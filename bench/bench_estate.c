/* Loading an estate of 10,000 nodes: time and memory of a process that holds it, store included, and its idle CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/host.h"
#include "estate/kinds.h"

static double rss_mb(void) {
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static int row(const char *goal, double value, const char *unit, double target) {
    bool good = value < target;
    printf("{\"goal\":\"%s\",\"value\":%.3g,\"unit\":\"%s\",\"target\":%g,\"peer\":null,\"ok\":%s}\n", goal, value, unit, target,
           good ? "true" : "false");
    return good ? 0 : 1;
}

int main(int argc, char **argv) {
    char folder[] = "/tmp/suan-bench-XXXXXX", file[64];
    int idle_s = argc > 1 && !strcmp(argv[1], "--quick") ? 3 : 10;
    struct host h;
    struct err e = {0};
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    if (!mkdtemp(folder))
        return 2;
    snprintf(file, sizeof file, "%s/estate.yaml", folder);
    FILE *f = fopen(file, "we");
    fputs("model: [{name: m}]\ncentre:\n- name: c\n  hall:\n  - name: h[01-10]\n    rack:\n    - name: r[01-50]\n      node:\n", f);
    for (int i = 1; i <= 20; i++)
        fprintf(f, "      - {name: n%02d, model: m, priority: %d, position_u: %d}\n", i, i % 10, i * 2);
    fclose(f);
    struct loop *l = loop_new(LOOP_REAL, 0);
    int64_t begin = loop_cpu_us();
    if (host_open(&h, l, kinds_foundation, n, NULL, folder, 1, &e) || host_import(&h, file, &e) || host_start(&h, &e)) {
        fprintf(stderr, "%s: %s\n", e.place, e.message);
        return 2;
    }
    host_cycle(&h);
    double load_s = (double)(loop_cpu_us() - begin) * 1e-6;
    size_t nodes = estate_count(h.estate, "node");
    loop_run_until(l, loop_now_us(l) + 500000);
    begin = loop_cpu_us();
    loop_run_until(l, loop_now_us(l) + idle_s * 1000000LL);
    double idle = (double)(loop_cpu_us() - begin) * 1e-6 / idle_s * 100;
    int bad = row("estate-load", load_s, "s (CPU)", 2) | row("estate-memory", rss_mb(), "MB", 150) | row("estate-idle", idle, "%", 1);
    host_close(&h);
    loop_free(l);
    static const char *const names[] = {"estate.yaml", "state.db", "state.db-wal", "state.db-shm", "state.db.lock", "token"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, names[i]);
        unlink(file);
    }
    rmdir(folder);
    return bad || nodes != 10000;
}
