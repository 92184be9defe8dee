/* The deterministic driver of one target: corpus, then mutations of it from a seed.
 *   fuzz_<name> CORPUS [--seed N] [--count N]     as a test (TAP)
 *   fuzz_<name> FILE                              one input, nothing caught: for the debugger */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "fuzz.h"

enum { INPUTS_MAX = 512, SIZE_MAX_INPUT = 65536, HANG_S = 20, COUNT = 4000, CPU_S = 4 };

int FUZZ_TARGET(const uint8_t *p, size_t n);

struct input {
    uint8_t *p;
    size_t n;
};

/* Seen by parent and child: what the child is at. */
static struct shared {
    size_t n, done, mutations;
    uint8_t bytes[SIZE_MAX_INPUT];
} *at;

static struct input inputs[INPUTS_MAX];
static size_t n_inputs;

static int read_file(const char *path, struct input *in) {
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    in->p = malloc(SIZE_MAX_INPUT);
    in->n = fread(in->p, 1, SIZE_MAX_INPUT, f);
    fclose(f);
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int read_corpus(const char *folder) {
    struct dirent **names;
    int n = scandir(folder, &names, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && n_inputs < INPUTS_MAX && !read_file(path, &inputs[n_inputs]))
            n_inputs++;
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return n < 0 ? -1 : 0;
}

/* An allocation of just the size, so that reading one byte too far is seen. */
static void run_one(const uint8_t *p, size_t n) {
    memcpy(at->bytes, p, n);
    at->n = n;
    uint8_t *own = malloc(n ? n : 1);
    memcpy(own, p, n);
    alarm(HANG_S);
    FUZZ_TARGET(own, n);
    alarm(0);
    free(own);
}

static size_t insert(uint8_t *p, size_t n, size_t where, const uint8_t *what, size_t size) {
    if (n + size > SIZE_MAX_INPUT)
        return n;
    memmove(p + where + size, p + where, n - where);
    memcpy(p + where, what, size);
    return n + size;
}

/* A slice of any input: the words of the language come from the corpus itself. */
static void slice(struct rng *r, const uint8_t **p, size_t *n, size_t most) {
    const struct input *in = &inputs[rng_below(r, n_inputs)];
    size_t from = in->n ? rng_below(r, in->n) : 0, size = in->n ? 1 + rng_below(r, in->n - from) : 0;
    *p = in->p + from;
    *n = size < most ? size : most;
}

static size_t mutate_once(struct rng *r, uint8_t *p, size_t n) {
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, 0xf3, 0xc2, '"', '\'', '\\', '\n', '\t', ' ', ':', ',', '-',
                                  '[', ']', '{', '}', '&', '*', '%', '#', '!', '<', '~', '0', '9', 'e', '.', '/', '='};
    size_t where = n ? rng_below(r, n) : 0, size;
    const uint8_t *piece;
    uint8_t byte = odd[rng_below(r, sizeof odd)], copy[4096];
    switch (rng_below(r, 8)) {
    case 0:
        if (n)
            p[where] ^= (uint8_t)(1u << rng_below(r, 8));
        return n;
    case 1:
        if (n)
            p[where] = byte;
        return n;
    case 2:
        return insert(p, n, where, &byte, 1);
    case 3: /* drop some */
        size = n ? 1 + rng_below(r, n - where) : 0;
        size = rng_below(r, 2) && size > 4 ? size % 4 + 1 : size;
        memmove(p + where, p + where + size, n - where - size);
        return n - size;
    case 4: /* repeat some, often: depth and length */
        size = n ? 1 + rng_below(r, n - where < 16 ? n - where : 16) : 0;
        memcpy(copy, p + where, size);
        for (uint64_t k = rng_below(r, 8) ? rng_below(r, 8) : rng_below(r, 600); k && size; k--)
            n = insert(p, n, where, copy, size);
        return n;
    case 5: /* a piece of another input */
        slice(r, &piece, &size, 64);
        return insert(p, n, where, piece, size);
    case 6: /* this one's head, another's tail */
        slice(r, &piece, &size, SIZE_MAX_INPUT - where);
        memcpy(p + where, piece, size);
        return where + size;
    default: /* a number at an edge */
        size = (size_t)snprintf((char *)copy, sizeof copy, "%lld",
                                (long long[]){0, -1, 255, 65536, 2147483648, 4294967296, INT64_MAX, INT64_MIN}[rng_below(r, 8)]);
        return insert(p, n, where, copy, size);
    }
}

static void child(uint64_t seed, size_t count) {
    static uint8_t p[SIZE_MAX_INPUT];
    struct rng root = rng_new(seed);
    for (; at->done < n_inputs; at->done++)
        run_one(inputs[at->done].p, inputs[at->done].n);
    while (at->mutations < count) {
        char name[32];
        struct rusage used;
        snprintf(name, sizeof name, "mutation/%zu", at->mutations);
        struct rng r = rng_fork(&root, name);
        const struct input *in = &inputs[rng_below(&r, n_inputs)];
        size_t n = in->n;
        memcpy(p, in->p, n);
        for (uint64_t k = 1 + rng_below(&r, 6); k; k--)
            n = mutate_once(&r, p, n);
        run_one(p, n);
        at->mutations++;
        /* A slow build does fewer; the same ones, from the first. */
        getrusage(RUSAGE_SELF, &used);
        if (used.ru_utime.tv_sec + used.ru_stime.tv_sec >= CPU_S)
            break;
    }
    exit(0); /* through the leak check of the sanitizer */
}

static void keep(const char *program, const char *name, int status) {
    char path[4096];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/%s-%ld.input", folder ? folder : "/tmp", name, (long)getpid());
    FILE *f = fopen(path, "we");
    if (f) {
        fwrite(at->bytes, 1, at->n, f);
        fclose(f);
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("#   hung for %d s\n", HANG_S);
    else if (WIFSIGNALED(status))
        printf("#   ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        printf("#   ended with %d\n", WEXITSTATUS(status));
    printf("#   again: %s %s\n", program, path);
}

#define STRING_(X) #X
#define STRING(X) STRING_(X)

int main(int argc, char **argv) {
    const char *name = STRING(FUZZ_TARGET);
    uint64_t seed = 1;
    size_t count = COUNT;
    struct stat st;
    int status = 0;
    if (argc < 2 || stat(argv[1], &st)) {
        fprintf(stderr, "usage: %s CORPUS [--seed N] [--count N] | FILE\n", argv[0]);
        return 2;
    }
    for (int i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--count"))
            count = (size_t)strtoull(argv[i + 1], NULL, 10);
    }
    if (S_ISREG(st.st_mode)) {
        struct input one;
        return read_file(argv[1], &one) ? 2 : FUZZ_TARGET(one.p, one.n);
    }
    at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || read_corpus(argv[1]) || !n_inputs) {
        printf("not ok 1 - %s: a corpus in %s\n1..1\n", name, argv[1]);
        return 1;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (!pid)
        child(seed, count);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    bool corpus_good = at->done == n_inputs, good = !status;
    printf("%s 1 - %s: its corpus of %zu inputs\n", corpus_good ? "ok" : "not ok", name, n_inputs);
    if (!corpus_good)
        keep(argv[0], name, status);
    printf("%s 2 - %s: %zu mutations of it from seed %llu\n", good ? "ok" : "not ok", name, at->mutations, (unsigned long long)seed);
    if (!good && corpus_good)
        keep(argv[0], name, status);
    printf("1..2\n");
    return good ? 0 : 1;
}
