#include "training.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/civil.h"
#include "base/hash.h"
#include "folder.h"

static const struct field settings_fields[] = {
    FIELD_TEXT(struct settings, series, .dflt = "de-lu", .doc = "File below data/grid."),
    FIELD_INT(struct settings, epochs, .min = 1, .max = 10000, .dflt = "80", .doc = "Passes over the training part."),
    FIELD_INT(struct settings, hidden, .min = 1, .max = HIDDEN_MAX, .dflt = "96", .doc = "Hidden units."),
    FIELD_INT(struct settings, seed, .min = 0, .max = 1e15, .dflt = "1", .doc = "Of weights and order."),
    FIELD_INT(struct settings, batch, .min = 1, .max = 4096, .dflt = "32", .doc = "Samples a step."),
    FIELD_INT(struct settings, stride_h, .min = 1, .max = 168, .dflt = "1", .doc = "Hours between training samples."),
    FIELD_INT(struct settings, every_epochs, .min = 1, .max = 10000, .dflt = "4", .doc = "Epochs between checkpoints."),
    FIELD_REAL(struct settings, rate_ratio, .unit = "1", .min = 1e-8, .max = 1, .dflt = "0.0002", .doc = "Learning rate."),
    FIELD_REAL(struct settings, decay_ratio, .unit = "1", .min = 0, .max = 1, .dflt = "1", .doc = "Weight decay."),
};
const struct table settings_table = TABLE(settings, settings_fields, "Settings of a training run.");

int training_open(struct training *t, struct err *e) {
    /* How long to train and how often to save are not part of what a checkpoint belongs to. */
    struct settings same = t->settings;
    same.epochs = same.every_epochs = 1;
    int rc = series_read(&t->series, t->settings.series, e);
    if (rc)
        return rc;
    struct rng root = rng_new((uint64_t)t->settings.seed), r = rng_fork(&root, "weights");
    t->run = table_hash(&settings_table, &same, t->series.hash);
    t->parameters = network_size((size_t)t->settings.hidden);
    double **all[] = {&t->weights, &t->best, &t->gradient, &t->adam.first, &t->adam.second};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        *all[i] = calloc(t->parameters, sizeof(double));
    t->adam.power1 = t->adam.power2 = 1;
    t->best_error = INFINITY;
    network_init(t->weights, (size_t)t->settings.hidden, &r);
    return 0;
}

void training_close(struct training *t) {
    free(t->weights);
    free(t->best);
    free(t->gradient);
    free(t->adam.first);
    free(t->adam.second);
    series_free(&t->series);
}

/* The issue hours of this epoch, shuffled (Fisher-Yates) by (seed, epoch). */
static size_t order(const struct training *t, size_t *issues) {
    char name[40];
    size_t n = 0;
    struct rng root = rng_new((uint64_t)t->settings.seed);
    snprintf(name, sizeof name, "epoch/%" PRIu64, t->epochs_done);
    struct rng r = rng_fork(&root, name);
    for (size_t i = WEEK; i + HORIZON <= t->series.validation_from; i += (size_t)t->settings.stride_h)
        issues[n++] = i;
    for (size_t i = n; i-- > 1;) {
        size_t k = rng_below(&r, i + 1), swap = issues[i];
        issues[i] = issues[k];
        issues[k] = swap;
    }
    return n;
}

double training_epoch(struct training *t) {
    size_t *issues = calloc(t->series.validation_from, sizeof *issues), n = order(t, issues);
    size_t hidden = (size_t)t->settings.hidden, batch = (size_t)t->settings.batch;
    double in[FEATURES], want[HORIZON], loss = 0;
    for (size_t at = 0; at < n; at += batch) {
        size_t count = n - at < batch ? n - at : batch;
        memset(t->gradient, 0, t->parameters * sizeof *t->gradient);
        for (size_t i = 0; i < count; i++) {
            series_features(&t->series, issues[at + i], in);
            series_target(&t->series, issues[at + i], want);
            loss += network_gradient(t->weights, hidden, in, want, t->gradient);
        }
        for (size_t i = 0; i < t->parameters; i++)
            t->gradient[i] /= (double)count;
        adam_step(&t->adam, t->weights, t->gradient, t->parameters, t->settings.rate_ratio, t->settings.decay_ratio);
    }
    t->epochs_done++;
    free(issues);
    return loss / (double)n;
}

struct errors training_errors(const struct training *t, const double *weights, size_t from, size_t to, size_t step,
                              struct text *csv) {
    const struct series *s = &t->series;
    struct errors r = {0};
    double in[FEATURES], out[HORIZON];
    for (size_t i = from; i + HORIZON <= to; i += step) {
        series_features(s, i, in);
        network_run(weights, (size_t)t->settings.hidden, in, out);
        for (int h = 0; h < HORIZON; h++, r.hours++) {
            size_t at = i + (size_t)h;
            double real = s->carbon[at], said = series_forecast(s, i, h, out[h]);
            double miss = said - real, day = s->carbon[at - 24] - real, week = s->carbon[at - WEEK] - real;
            r.mae += fabs(miss);
            r.rmse += miss * miss;
            r.naive_day_mae += fabs(day);
            r.naive_day_rmse += day * day;
            r.naive_week_mae += fabs(week);
            r.naive_week_rmse += week * week;
            if (csv) {
                char time[CIVIL_TEXT];
                civil_print(time, (s->start_h + (int64_t)at) * 3600000000);
                text_addf(csv, "%s,%.2f,%.2f,%.2f,%.2f\n", time, real, said, s->carbon[at - 24], s->carbon[at - WEEK]);
            }
        }
    }
    double n = r.hours ? (double)r.hours : 1;
    return (struct errors){r.mae / n, sqrt(r.rmse / n), r.naive_day_mae / n, sqrt(r.naive_day_rmse / n),
                           r.naive_week_mae / n, sqrt(r.naive_week_rmse / n), r.hours};
}

/* -- the checkpoint -- */

static const char magic[8] = "SUANFC01";

static void put_u64(struct text *t, uint64_t v) {
    unsigned char b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(v >> (8 * i));
    text_add_n(t, b, 8);
}

static void put_real(struct text *t, double v) {
    uint64_t bits;
    memcpy(&bits, &v, 8);
    put_u64(t, bits);
}

static uint64_t get_u64(const char **p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)(unsigned char)(*p)[i] << (8 * i);
    *p += 8;
    return v;
}

static double get_real(const char **p) {
    uint64_t bits = get_u64(p);
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

enum { HEAD_BYTES = 8 + 4 * 8 + 3 * 8 };

int training_save(const struct training *t, const char *path, struct err *e) {
    struct text out = TEXT_INIT;
    text_add_n(&out, magic, sizeof magic);
    put_u64(&out, t->run);
    put_u64(&out, t->epochs_done);
    put_u64(&out, t->best_epoch);
    put_u64(&out, t->parameters);
    put_real(&out, t->best_error);
    put_real(&out, t->adam.power1);
    put_real(&out, t->adam.power2);
    const double *all[] = {t->weights, t->best, t->adam.first, t->adam.second};
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < t->parameters; i++)
            put_real(&out, all[k][i]);
    uint32_t crc = crc32c(0, out.p, out.n);
    for (int i = 0; i < 4; i++)
        text_add_char(&out, (char)(crc >> (8 * i)));
    int rc = folder_write(path, out.p, out.n, e);
    text_free(&out);
    return rc;
}

static int refuse(const char *path, const char *why, struct err *e) {
    err_set(e, E_PARSE, "the checkpoint %.100s is refused: %s", path, why);
    err_hint(e, "remove it to start from the beginning");
    return E_PARSE;
}

/* Whole, and of this run? */
static int inspect(const struct training *t, const char *path, const struct text *in, struct err *e) {
    if (in->n < sizeof magic || memcmp(in->p, magic, sizeof magic))
        return refuse(path, "it is no checkpoint of this program", e);
    if (in->n < HEAD_BYTES + 4)
        return refuse(path, "it is cut off", e);
    uint32_t crc = 0;
    for (int i = 0; i < 4; i++)
        crc |= (uint32_t)(unsigned char)in->p[in->n - 4 + (size_t)i] << (8 * i);
    if (crc != crc32c(0, in->p, in->n - 4))
        return refuse(path, "its checksum does not fit, it is damaged or cut off", e);
    const char *p = in->p + sizeof magic;
    if (get_u64(&p) != t->run)
        return refuse(path, "it belongs to a run with other settings or data", e);
    p += 16;
    if (get_u64(&p) != t->parameters || in->n != HEAD_BYTES + 4 * 8 * t->parameters + 4)
        return refuse(path, "its size does not fit the network", e);
    return 0;
}

int training_load(struct training *t, const char *path, struct err *e) {
    struct text in = TEXT_INIT;
    if (access(path, F_OK))
        return err_set(e, E_NOTFOUND, "there is no checkpoint %.100s", path);
    int rc = folder_read(path, &in, e);
    rc = rc ? rc : inspect(t, path, &in, e);
    if (!rc) {
        const char *p = in.p + sizeof magic + 8;
        t->epochs_done = get_u64(&p);
        t->best_epoch = get_u64(&p);
        p += 8;
        t->best_error = get_real(&p);
        t->adam.power1 = get_real(&p);
        t->adam.power2 = get_real(&p);
        double *all[] = {t->weights, t->best, t->adam.first, t->adam.second};
        for (size_t k = 0; k < 4; k++)
            for (size_t i = 0; i < t->parameters; i++)
                all[k][i] = get_real(&p);
    }
    text_free(&in);
    return rc;
}
