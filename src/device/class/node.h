/* Class node: a server as its management controller shows it: power reading, cap, state.
 * Verbs: read {} -> {power_w, utilisation_ratio, temperature_c, cap_w, on}; set cap_w {value} (0 = none); power {on}.
 * Real ones: Redfish, IPMI DCMI, RAPL through the agent. */
#ifndef SUAN_DEVICE_CLASS_NODE_H
#define SUAN_DEVICE_CLASS_NODE_H

#include "device/device.h"
#include "estate/kinds.h"

struct node_reading {
    double power_w, utilisation_ratio, temperature_c, cap_w;
    bool on;
};
struct node_cap {
    double value; /* W; 0 = no cap */
};
struct node_power {
    bool on;
};
extern const struct device_class class_node;
extern const struct table table_node_reading, table_node_cap, table_node_power;

#endif
