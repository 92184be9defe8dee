/* forecast-train [setting=value…]: trains a day-ahead forecast of a grid's carbon intensity; settings in training.c.
 *
 * Goes on from ckpt/latest when it is there; saves there every few epochs. Writes out/metrics.json (errors on the test part
 * beside the seasonal-naive ones), out/forecast.csv (the test part, hour by hour) and out/model (a checkpoint). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "folder.h"
#include "training.h"

static int settings_read(struct settings *s, int argc, char **argv, struct err *e) {
    table_defaults(&settings_table, s);
    for (int i = 1; i < argc; i++) {
        const char *names[32];
        char name[32];
        const char *is = strchr(argv[i], '=');
        snprintf(name, sizeof name, "%.*s", is ? (int)(is - argv[i]) : 31, argv[i]);
        const struct field *f = table_find(&settings_table, name);
        if (!is || !f) {
            for (uint32_t k = 0; k < settings_table.nfields; k++)
                names[k] = settings_table.fields[k].name;
            const char *near = str_nearest(name, names, settings_table.nfields);
            err_set(e, E_INVAL, "'%.60s' is no setting=value", argv[i]);
            if (near)
                err_hint(e, "did you mean '%s='?", near);
            return E_INVAL;
        }
        int rc = field_read_text(f, s, is + 1, NULL, e);
        if (rc)
            return err_context(e, "%.60s", argv[i]);
    }
    return table_check(&settings_table, s, e);
}

static int train(struct training *t, struct err *e) {
    const struct series *s = &t->series;
    while (t->epochs_done < (uint64_t)t->settings.epochs) {
        double loss = training_epoch(t);
        struct errors r = training_errors(t, t->weights, s->validation_from, s->test_from, 6, NULL);
        if (r.mae < t->best_error) {
            t->best_error = r.mae;
            t->best_epoch = t->epochs_done;
            memcpy(t->best, t->weights, t->parameters * sizeof *t->best);
        }
        printf("epoch %" PRIu64 "/%" PRId64 " loss %.5f validation %.3f best %.3f g/kWh\n", t->epochs_done,
               t->settings.epochs, loss, r.mae, t->best_error);
        fflush(stdout);
        bool last = t->epochs_done == (uint64_t)t->settings.epochs;
        if (last || t->epochs_done % (uint64_t)t->settings.every_epochs == 0) {
            int rc = training_save(t, "ckpt/latest", e);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int report(const struct training *t, uint64_t resumed, struct err *e) {
    struct text csv = TEXT_INIT, json = TEXT_INIT;
    text_add(&csv, "time_utc,carbon_g_per_kwh,forecast,naive_day,naive_week\n");
    struct errors r = training_errors(t, t->best, t->series.test_from, t->series.n, HORIZON, &csv);
    double naive = r.naive_day_mae < r.naive_week_mae ? r.naive_day_mae : r.naive_week_mae;
    text_addf(&json, "{\"series\":\"%s\",\"test_hours\":%zu,\"mae\":%.4f,\"rmse\":%.4f,\"naive_day_mae\":%.4f,"
              "\"naive_day_rmse\":%.4f,\"naive_week_mae\":%.4f,\"naive_week_rmse\":%.4f,\"skill_ratio\":%.4f,"
              "\"epochs\":%" PRIu64 ",\"best_epoch\":%" PRIu64 ",\"resumed_epoch\":%" PRIu64 ",\"weights\":\"%016" PRIx64 "\"}",
              t->settings.series, r.hours, r.mae, r.rmse, r.naive_day_mae, r.naive_day_rmse, r.naive_week_mae,
              r.naive_week_rmse, 1 - r.mae / naive, t->epochs_done, t->best_epoch, resumed,
              hash_once(t->best, t->parameters * sizeof *t->best, 0));
    int rc = folder_write("out/forecast.csv", csv.p, csv.n, e);
    rc = rc ? rc : training_save(t, "out/model", e);
    rc = rc ? rc : folder_write("out/metrics.json", json.p, json.n, e);
    if (!rc)
        printf("result %s\n", json.p);
    text_free(&csv);
    text_free(&json);
    return rc;
}

int main(int argc, char **argv) {
    struct training t = {0};
    struct err e = {0};
    int rc = settings_read(&t.settings, argc, argv, &e);
    rc = rc ? rc : training_open(&t, &e);
    if (!rc && (rc = training_load(&t, "ckpt/latest", &e)) == E_NOTFOUND)
        rc = 0;
    uint64_t resumed = t.epochs_done;
    if (!rc && resumed)
        printf("resumed after epoch %" PRIu64 "\n", resumed);
    rc = rc ? rc : train(&t, &e);
    rc = rc ? rc : report(&t, resumed, &e);
    training_close(&t);
    return rc ? folder_fail("forecast-train", &e) : 0;
}
