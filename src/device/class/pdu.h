/* Class pdu: a rack power distribution unit with switched outlets, a power reading and a limit.
 * Verbs: read {} -> {power_w, outlet_on[], limit_w}; switch {outlet, on}; set limit {limit_w}.
 * Real ones: Modbus TCP (device/live/modbus/pdu_map.c holds the register map), SNMP, Redfish RackPDU. */
#ifndef SUAN_DEVICE_CLASS_PDU_H
#define SUAN_DEVICE_CLASS_PDU_H

#include "device/device.h"
#include "estate/kinds.h"

struct pdu_reading {
    double power_w; /* 1 W steps, as the registers have it */
    double limit_w;
    bool outlet_on[48];
    uint32_t n_outlet_on;
    bool tripped;
};
struct pdu_switch {
    int64_t outlet; /* from 1 */
    bool on;
};
struct pdu_limit {
    double limit_w;
};
extern const struct device_class class_pdu;
extern const struct table table_pdu_reading, table_pdu_switch, table_pdu_limit;

#endif
