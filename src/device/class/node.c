#include "device/class/node.h"

#define S struct node_reading
static const struct field node_reading_fields[] = {
    FIELD_REAL(S, power_w, .unit = "W", .doc = "Input power, in steps of 1 W."),
    FIELD_REAL(S, utilisation_ratio, .unit = "1", .doc = "Share of the processors that is busy."),
    FIELD_REAL(S, temperature_c, .unit = "degC", .doc = "Temperature of its inlet air."),
    FIELD_REAL(S, cap_w, .unit = "W", .doc = "Power cap in force; 0 is none."),
    FIELD_BOOL(S, on, .doc = "The machine is powered."),
};
#undef S
const struct table table_node_reading = TABLE(node_reading, node_reading_fields, "What a server's controller shows.");

#define S struct node_cap
static const struct field node_cap_fields[] = {
    FIELD_REAL(S, value, .unit = "W", .min = 0, .max = 1e6, .flags = F_REQUIRED, .doc = "Power cap; 0 removes it."),
};
#undef S
const struct table table_node_cap = TABLE(node_cap, node_cap_fields, "Set the power cap of a server.");

#define S struct node_power
static const struct field node_power_fields[] = {
    FIELD_BOOL(S, on, .flags = F_REQUIRED, .doc = "On or off."),
};
#undef S
const struct table table_node_power = TABLE(node_power, node_power_fields, "Switch a server on or off.");

static const struct verb node_verbs[] = {
    {.name = "read", .on = "node", .on_object = true, .out = &table_node_reading, .role = ROLE_VIEWER,
     .flags = VERB_READ, .timeout_us = 2000000, .doc = "Read power, load, temperature and cap of a server.",
     .example = "node read zhangjiakou-a-r01-n01"},
    {.name = "set cap_w", .on = "node", .on_object = true, .in = &table_node_cap, .role = ROLE_OPERATOR,
     .flags = VERB_IDEMPOTENT, .timeout_us = 5000000, .doc = "Cap the power of a server; 0 removes the cap.",
     .example = "node set-cap_w n1 value=300"},
    {.name = "power", .on = "node", .on_object = true, .in = &table_node_power, .role = ROLE_OPERATOR,
     .flags = VERB_IDEMPOTENT | VERB_DANGEROUS, .timeout_us = 5000000, .doc = "Switch a server on or off.",
     .example = "node power zhangjiakou-a-r01-n16 on=false"},
};

static void node_observe(struct estate *s, oid id, const void *out, int64_t now_us) {
    const struct node_reading *r = out;
    struct node *n = estate_observe(s, id, node);
    (void)now_us;
    n->power_w = r->power_w;
    n->utilisation_ratio = r->utilisation_ratio;
    n->temperature_c = r->temperature_c;
    n->cap_w = r->cap_w;
    /* A drained node stays drained whatever its power says: that state is a person's decision. */
    if (n->state == NODE_UP && !r->on)
        (void)estate_move(s, id, NODE_DOWN, NULL);
    else if (n->state == NODE_DOWN && r->on)
        (void)estate_move(s, id, NODE_UP, NULL);
}

const struct device_class class_node = {
    .name = "node",
    .verbs = node_verbs,
    .nverbs = sizeof node_verbs / sizeof node_verbs[0],
    .period_us = 30000000,
    .poll_verb = "read",
    .observe = node_observe,
    .doc = "A server as its management controller shows it: power, cap, load, temperature.",
};
