#include "psychro.h"

#include "base/fx.h"

static double saturation(double t_c, int ice) {
    double t = t_c + 273.15;
    if (ice)
        return fx_exp(-5.6745359e3 / t + 6.3925247 +
                      t * (-9.677843e-3 + t * (6.2215701e-7 + t * (2.0747825e-9 + t * -9.484024e-13))) +
                      4.1635019 * fx_log(t));
    return fx_exp(-5.8002206e3 / t + 1.3914993 + t * (-4.8640239e-2 + t * (4.1764768e-5 + t * -1.4452093e-8)) +
                  6.5459673 * fx_log(t));
}

double psychro_saturation_pa(double t_c) { return saturation(t_c, t_c < 0); }

double psychro_saturation_water_pa(double t_c) { return saturation(t_c, 0); }

static double ratio(double vapour_pa, double pressure_pa) {
    return 0.621945 * vapour_pa / (pressure_pa - vapour_pa);
}

/* Humidity ratio of air at dry bulb t whose bulb shows w. */
static double bulb_ratio(double t, double w, double pressure_pa, int ice) {
    double ws = ratio(saturation(w, ice), pressure_pa);
    if (ice)
        return ((2830 - 0.24 * w) * ws - 1.006 * (t - w)) / (2830 + 1.86 * t - 2.1 * w);
    return ((2501 - 2.326 * w) * ws - 1.006 * (t - w)) / (2501 + 1.86 * t - 4.186 * w);
}

double psychro_wet_bulb_c(double t_c, double vapour_pa, double pressure_pa) {
    double sat = psychro_saturation_pa(t_c);
    if (vapour_pa >= sat)
        return t_c;
    double want = ratio(vapour_pa > 0 ? vapour_pa : 0, pressure_pa);
    int ice = t_c < 0 || want < bulb_ratio(t_c, 0, pressure_pa, 0);
    /* Rising in w; the wet bulb of bone-dry air at 60 degC lies 41 K below it. */
    double lo = ice ? t_c - 60 : 0, hi = ice && t_c > 0 ? 0 : t_c;
    double w = (lo + hi) / 2;
    for (int i = 0; i < 100 && hi - lo > 1e-9; i++) {
        double miss = bulb_ratio(t_c, w, pressure_pa, ice) - want;
        if (miss > 0)
            hi = w;
        else
            lo = w;
        double slope = (bulb_ratio(t_c, w + 1e-4, pressure_pa, ice) - bulb_ratio(t_c, w - 1e-4, pressure_pa, ice)) / 2e-4;
        double step = slope > 0 ? miss / slope : 0, next = w - step;
        if (step > -1e-10 && step < 1e-10 && slope > 0)
            return next;
        w = next > lo && next < hi ? next : (lo + hi) / 2;
    }
    return w;
}

double psychro_station_pa(double sea_level_pa, double height_m) {
    return sea_level_pa * fx_pow(1 - 2.25577e-5 * height_m, 5.2559);
}
