/* Units: a table of what people write, by dimension. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/field.h"

struct unit {
    const char *name;
    const char *dimension;
    double factor; /* to the dimension's base */
    double offset; /* base = value * factor + offset */
};

static const struct unit units[] = {
    {"W", "power", 1, 0},         {"mW", "power", 1e-3, 0},    {"kW", "power", 1e3, 0},      {"MW", "power", 1e6, 0},
    {"GW", "power", 1e9, 0},      {"J", "energy", 1, 0},       {"kJ", "energy", 1e3, 0},     {"MJ", "energy", 1e6, 0},
    {"Wh", "energy", 3600, 0},    {"kWh", "energy", 3.6e6, 0}, {"MWh", "energy", 3.6e9, 0},  {"GWh", "energy", 3.6e12, 0},
    {"us", "time", 1e-6, 0},      {"ms", "time", 1e-3, 0},     {"s", "time", 1, 0},          {"m", "time", 60, 0},
    {"min", "time", 60, 0},       {"h", "time", 3600, 0},      {"d", "time", 86400, 0},      {"B", "bytes", 1, 0},
    {"kB", "bytes", 1e3, 0},      {"MB", "bytes", 1e6, 0},     {"GB", "bytes", 1e9, 0},      {"TB", "bytes", 1e12, 0},
    {"PB", "bytes", 1e15, 0},     {"KiB", "bytes", 1024, 0},   {"MiB", "bytes", 1048576, 0}, {"GiB", "bytes", 1073741824, 0},
    {"TiB", "bytes", 1099511627776.0, 0},                      {"PiB", "bytes", 1125899906842624.0, 0},
    {"bit/s", "rate", 1, 0},      {"kbit/s", "rate", 1e3, 0},  {"Mbit/s", "rate", 1e6, 0},   {"Gbit/s", "rate", 1e9, 0},
    {"Tbit/s", "rate", 1e12, 0},  {"degC", "temperature", 1, 273.15},                        {"K", "temperature", 1, 0},
    {"1", "ratio", 1, 0},         {"%", "ratio", 0.01, 0},     {"Pa", "pressure", 1, 0},     {"kPa", "pressure", 1e3, 0},
    {"hPa", "pressure", 100, 0},  {"bar", "pressure", 1e5, 0}, {"kg", "mass", 1, 0},         {"g", "mass", 1e-3, 0},
    {"t", "mass", 1000, 0},       {"kg/kWh", "emission", 1, 0},{"g/kWh", "emission", 1e-3, 0},
    {"g/h", "emission rate", 1, 0},{"kg/h", "emission rate", 1e3, 0},
    {"CNY", "money", 1, 0},       {"CNY/kWh", "energy price", 1, 0},                         {"CNY/GB", "data price", 1, 0},
    {"CNY/h", "time price", 1, 0},{"CNY/kg", "carbon price", 1, 0},                          {"deg", "angle", 1, 0},
    {"U", "height", 1, 0},        {"Hz", "frequency", 1, 0},   {"kHz", "frequency", 1e3, 0}, {"MHz", "frequency", 1e6, 0},
    {"GHz", "frequency", 1e9, 0}, {"V", "voltage", 1, 0},      {"A", "current", 1, 0},       {"J/K", "heat capacity", 1, 0},
    {"kJ/K", "heat capacity", 1e3, 0},                         {"W/K", "conductance", 1, 0}, {"TFLOP/s", "compute", 1, 0},
    {"PFLOP/s", "compute", 1e3, 0},{"core s", "work", 1, 0},   {"1/s", "frequency", 1, 0},   {"m/s", "speed", 1, 0},
};

static const struct unit *find(const char *name) {
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (!strcmp(units[i].name, name))
            return &units[i];
    return NULL;
}

bool unit_known(const char *unit) { return find(unit) != NULL; }

static int wrong(struct err *e, const char *text, const char *unit) {
    return err_set(e, E_INVAL, "'%.64s' is not a number%s%s", text, *unit ? " in " : "", unit);
}

/* "1h30m": a sum of terms is allowed for time. */
static int time_sum(const char *text, const struct unit *want, double *out) {
    double sum = 0;
    const char *p = text;
    while (*p) {
        char *end, name[8];
        size_t n = 0;
        double v = strtod(p, &end);
        if (end == p || !(isdigit((unsigned char)*p) || *p == '.'))
            return E_INVAL;
        for (p = end; isalpha((unsigned char)*p) && n + 1 < sizeof name; p++)
            name[n++] = *p;
        name[n] = '\0';
        const struct unit *u = find(name);
        if (!u || strcmp(u->dimension, "time"))
            return E_INVAL;
        sum += v * u->factor;
    }
    *out = sum / want->factor;
    return isfinite(*out) ? 0 : E_INVAL;
}

int unit_parse(const char *text, const char *unit, double *out, struct err *e) {
    const struct unit *want = unit ? find(unit) : NULL;
    char *end;
    const char *shown = unit ? unit : "";
    /* strtod also reads hexadecimal, infinities and NaN: nobody means them here. */
    const char *digits = text + (*text == '-' || *text == '+');
    if (!(isdigit((unsigned char)*digits) || *digits == '.') || (digits[0] == '0' && (digits[1] | 32) == 'x'))
        return wrong(e, text, shown);
    double v = strtod(text, &end);
    if (end == text || !isfinite(v))
        return wrong(e, text, shown);
    while (*end == ' ')
        end++;
    if (!*end) {
        *out = v;
        return 0;
    }
    const struct unit *given = find(end);
    if (!want)
        return err_set(e, E_INVAL, "'%.64s': a plain number is wanted, without a unit", text);
    if (!given && !strcmp(want->dimension, "time") && !time_sum(text, want, out))
        return 0;
    if (!given) {
        err_set(e, E_INVAL, "'%.64s': unknown unit '%.16s'", text, end);
        err_hint(e, "the value is kept in %s; a unit of %s is wanted", unit, want->dimension);
        return E_INVAL;
    }
    if (strcmp(given->dimension, want->dimension)) {
        err_set(e, E_INVAL, "'%.64s' is of %s, a value of %s in %s is wanted", text, given->dimension, want->dimension, unit);
        return E_INVAL;
    }
    double base = v * given->factor + given->offset;
    *out = given == want ? v : (base - want->offset) / want->factor;
    return isfinite(*out) ? 0 : err_set(e, E_INVAL, "'%.64s' is too large a number", text);
}

/* The units a person reads most easily, in rising order. */
static const char *const ladders[][7] = {
    {"mW", "W", "kW", "MW", "GW"},          {"Wh", "kWh", "MWh", "GWh"},
    {"us", "ms", "s", "min", "h", "d"},     {"B", "KiB", "MiB", "GiB", "TiB", "PiB"},
    {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"}, {"g/kWh", "kg/kWh"}, {"g", "kg", "t"},
    {"g/h", "kg/h"},                        {"Hz", "kHz", "MHz", "GHz"}, {"TFLOP/s", "PFLOP/s"},
};

static void number(struct text *out, double v) {
    double a = fabs(v);
    if (a >= 1e15)
        text_addf(out, "%.4g", v);
    else if (v == floor(v) && a < 1e6)
        text_addf(out, "%.0f", v);
    else if (a >= 100)
        text_addf(out, "%.0f", v);
    else if (a >= 1)
        text_addf(out, "%.3g", v);
    else
        text_addf(out, "%.2g", v);
}

void unit_print(double value, const char *unit, struct text *out) {
    const struct unit *u = unit ? find(unit) : NULL;
    if (u && !strcmp(u->dimension, "ratio")) {
        number(out, value);
        return;
    }
    const struct unit *best = u;
    if (u && u->offset == 0 && value != 0) {
        for (size_t l = 0; l < sizeof ladders / sizeof ladders[0]; l++) {
            bool own = false;
            for (size_t i = 0; i < 7 && ladders[l][i]; i++)
                own |= !strcmp(ladders[l][i], unit) || (!strcmp(find(ladders[l][i])->dimension, u->dimension));
            if (!own)
                continue;
            best = find(ladders[l][0]);
            for (size_t i = 1; i < 7 && ladders[l][i]; i++)
                if (fabs(value) * u->factor >= find(ladders[l][i])->factor * 0.99999)
                    best = find(ladders[l][i]);
            break;
        }
    }
    number(out, best ? value * u->factor / best->factor : value);
    if (unit)
        text_addf(out, " %s", !strcmp(best ? best->name : unit, "degC") ? "°C" : best ? best->name : unit);
}
