/* Heat: one lumped air node a rack, C dT/dt = P - G (T - T_supply) (Incropera 7e, ch. 5), whose exact solution over
 * a time with constant P is T = T_eq + (T0 - T_eq) exp(-G t / C), T_eq = T_supply + P / G: stable for any step.
 * Weather: yearly and daily wave of the wet bulb. */
#include "world/world_private.h"

void rack_air_to(struct world *w, uint32_t r, int64_t to_us) {
    int64_t dt_us = to_us - w->r_since[r];
    if (dt_us <= 0)
        return;
    const struct world_model *m = w->m;
    double dt_s = (double)dt_us * 1e-6;
    double decay = dt_us == STEP_US ? m->r_decay[r] : fx_exp(-dt_s * m->r_conductance[r] / m->r_mass[r]);
    double settled = w->r_supply[r] + w->r_power[r] / m->r_conductance[r];
    w->r_air[r] = settled + (w->r_air[r] - settled) * decay;
    w->r_energy_j[r] += w->r_power[r] * dt_s;
    w->r_since[r] = to_us;
}

double wet_bulb_c(const struct world_model *m, uint32_t c, int64_t at_us) {
    static const double turn = 6.283185307179586;
    double day = (double)(at_us / 1000000) / 86400;
    double year = day / 365.2425;
    year -= (double)(int64_t)year;
    double local = day + m->c_utc_offset_h[c] / 24;
    local -= (double)(int64_t)local;
    /* Warmest around 20 July and at 15 h; a day swings a fifth of the year. */
    return m->c_wet_mean[c] +
           m->c_wet_amplitude[c] * (fx_cos((year - 0.55) * turn) + 0.2 * fx_cos((local - 0.625) * turn));
}
