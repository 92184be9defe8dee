/* wetbulb: a function. One JSON object a line in, one out, until the input ends.
 *
 *   {"t_c":30,"rh_ratio":0.5,"pressure_pa":101325}   ->  {"wet_bulb_c":22.0…}
 *   {"t_c":30,"dew_point_c":18.4}                    ->  the same, at the standard pressure
 * A line that cannot be answered is answered {"error":"…","hint":"…"}: the instance lives on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/field.h"
#include "psychro.h"

enum { LINE_MAX_BYTES = 65536 };

struct ask {
    double t_c, rh_ratio, dew_point_c, pressure_pa;
};
static const struct field ask_fields[] = {
    FIELD_REAL(struct ask, t_c, .unit = "degC", .min = -60, .max = 60, .flags = F_REQUIRED, .doc = "Dry bulb."),
    FIELD_REAL(struct ask, rh_ratio, .unit = "1", .min = 0, .max = 1, .doc = "Relative humidity, 0 to 1."),
    FIELD_REAL(struct ask, dew_point_c, .unit = "degC", .min = -80, .max = 60, .doc = "Dew point, instead."),
    FIELD_REAL(struct ask, pressure_pa, .unit = "Pa", .min = 50000, .max = 110000, .dflt = "101325", .doc = "Of the station."),
};
static const struct table ask_table = TABLE(ask, ask_fields, "What the function is asked.");

static int answer(const char *line, size_t n, double *wet_bulb_c, struct err *e) {
    static const struct doc_limits limits = {LINE_MAX_BYTES, 8, 64, 256};
    struct arena a = ARENA_INIT;
    struct ask in = {0};
    struct doc *d;
    table_defaults(&ask_table, &in);
    int rc = json_parse(&a, "input", line, n, &limits, &d, e);
    if (!rc && d->type != DOC_MAP)
        rc = err_set(e, E_INVAL, "an object is wanted, not a %s", doc_type_name(d->type));
    if (!rc)
        rc = table_read(&ask_table, &in, d, "input", NULL, TABLE_CREATE, e);
    if (!rc) {
        const struct doc *rh = doc_get(d, "rh_ratio"), *dew = doc_get(d, "dew_point_c");
        if (!rh == !dew) {
            rc = err_set(e, E_INVAL, "exactly one of rh_ratio and dew_point_c is wanted");
        } else {
            double vapour = rh ? in.rh_ratio * psychro_saturation_pa(in.t_c) : psychro_saturation_pa(in.dew_point_c);
            if (dew && in.dew_point_c > in.t_c)
                rc = err_set(e, E_INVAL, "dew_point_c %g is above t_c %g", in.dew_point_c, in.t_c);
            else
                *wet_bulb_c = psychro_wet_bulb_c(in.t_c, vapour, in.pressure_pa);
        }
    }
    arena_free(&a);
    return rc;
}

static void print_error(const struct err *e) {
    struct text t = TEXT_INIT;
    text_add(&t, "{\"error\":");
    text_add_json(&t, e->message, strlen(e->message));
    if (*e->hint) {
        text_add(&t, ",\"hint\":");
        text_add_json(&t, e->hint, strlen(e->hint));
    }
    printf("%s}\n", text_str(&t));
    text_free(&t);
}

int main(void) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct err e = {0};
        double wet_bulb_c = 0;
        n -= line[n - 1] == '\n';
        int rc = n > LINE_MAX_BYTES ? err_set(&e, E_LIMIT, "a line is at most %d bytes", LINE_MAX_BYTES)
                                    : answer(line, (size_t)n, &wet_bulb_c, &e);
        if (rc)
            print_error(&e);
        else
            printf("{\"wet_bulb_c\":%.6f}\n", wet_bulb_c);
        if (fflush(stdout))
            break;
    }
    free(line);
    return 0;
}
