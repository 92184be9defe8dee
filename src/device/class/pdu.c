#include "device/class/pdu.h"

#include <string.h>

#define S struct pdu_reading
static const struct field pdu_reading_fields[] = {
    FIELD_REAL(S, power_w, .unit = "W", .doc = "Power through the unit, in steps of 1 W."),
    FIELD_REAL(S, limit_w, .unit = "W", .doc = "Power above which the unit trips."),
    FIELD_ARRAY(S, outlet_on, FIELD_BOOL, bool, .doc = "Whether each outlet is switched on."),
    FIELD_BOOL(S, tripped, .doc = "The unit has tripped and feeds nothing."),
};
#undef S
const struct table table_pdu_reading = TABLE(pdu_reading, pdu_reading_fields, "What a power distribution unit shows.");

#define S struct pdu_switch
static const struct field pdu_switch_fields[] = {
    FIELD_INT(S, outlet, .min = 1, .max = 48, .flags = F_REQUIRED, .doc = "Outlet, counted from 1."),
    FIELD_BOOL(S, on, .flags = F_REQUIRED, .doc = "On or off."),
};
#undef S
const struct table table_pdu_switch = TABLE(pdu_switch, pdu_switch_fields, "Switch one outlet.");

#define S struct pdu_limit
static const struct field pdu_limit_fields[] = {
    FIELD_REAL(S, limit_w, .unit = "W", .min = 0, .max = 1e6, .flags = F_REQUIRED,
               .doc = "New limit; 0 is none."),
};
#undef S
const struct table table_pdu_limit = TABLE(pdu_limit, pdu_limit_fields, "Set the limit of the unit.");

static const struct verb pdu_verbs[] = {
    {.name = "read", .on = "pdu", .on_object = true, .out = &table_pdu_reading, .role = ROLE_VIEWER, .flags = VERB_READ,
     .timeout_us = 2000000, .doc = "Read power, limit and outlets of a unit.", .example = "pdu read zhangjiakou-a-r01-p1"},
    {.name = "switch", .on = "pdu", .on_object = true, .in = &table_pdu_switch, .role = ROLE_OPERATOR,
     .flags = VERB_IDEMPOTENT | VERB_DANGEROUS, .timeout_us = 5000000, .doc = "Switch one outlet of a unit on or off.",
     .example = "pdu switch zhangjiakou-a-r01-p1 outlet=3 on=false"},
    {.name = "set limit", .on = "pdu", .on_object = true, .in = &table_pdu_limit, .role = ROLE_OPERATOR,
     .flags = VERB_IDEMPOTENT | VERB_DANGEROUS, .timeout_us = 5000000, .doc = "Set the power above which a unit trips.",
     .example = "pdu set-limit p1 limit_w=12000"},
};

static void pdu_observe(struct estate *s, oid id, const void *out, int64_t now_us) {
    const struct pdu_reading *r = out;
    struct pdu *p = estate_observe(s, id, pdu);
    p->power_w = r->power_w;
    memcpy(p->outlet_on, r->outlet_on, sizeof p->outlet_on);
    p->n_outlet_on = r->n_outlet_on;
    p->read_us = now_us;
    estate_condition(s, id, "tripped", SEV_CRITICAL, "device", now_us,
                     r->tripped ? "the unit has tripped and feeds nothing" : NULL);
}

const struct device_class class_pdu = {
    .name = "pdu",
    .verbs = pdu_verbs,
    .nverbs = sizeof pdu_verbs / sizeof pdu_verbs[0],
    .period_us = 10000000,
    .poll_verb = "read",
    .observe = pdu_observe,
    .doc = "A rack power distribution unit with switched outlets, a power reading and a limit.",
};
