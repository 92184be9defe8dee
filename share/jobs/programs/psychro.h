/* Moist air: wet bulb from dry bulb, vapour pressure and station pressure.
 * Method: ASHRAE Handbook Fundamentals 2017, chapter 1: saturation pressure eq. 5 and 6 (Hyland and Wexler), humidity
 * ratio eq. 20 and 33/35 (adiabatic saturation), solved for the wet bulb by Newton steps kept inside a bracket.
 * Stull's formula (2011) is a fit for sea level with errors up to 1 K; it is not used.
 * Around 0 degC the equations of a wet and an iced bulb overlap: where both have a solution, the wet one is given. */
#ifndef SUAN_JOBS_PSYCHRO_H
#define SUAN_JOBS_PSYCHRO_H

/* -100 .. 200 degC; over ice below 0. */
double psychro_saturation_pa(double t_c);
/* Over water also below 0: what the dew point and humidity of a weather report mean (WMO no. 8). */
double psychro_saturation_water_pa(double t_c);
/* Dry bulb -60 .. 60 degC, 0 < pressure; a vapour pressure above saturation counts as saturated. */
double psychro_wet_bulb_c(double t_c, double vapour_pa, double pressure_pa);
/* ICAO standard atmosphere (ASHRAE eq. 3) from sea level to `height_m`. */
double psychro_station_pa(double sea_level_pa, double height_m);

#endif
