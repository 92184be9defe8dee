/* Class node on the world: a management controller. Slower than a PDU's card, and its power reading comes from the
 * power supplies (a few per cent). Temperature in whole degrees, load in per cent, as IPMI and Redfish give them.
 * A controller lives on its server's standby power: outlet off, unit tripped or rack dark means silence. */
#include "device/class/node.h"

#include <math.h>

#include "device/twin/instrument.h"

static bool is_dark(struct instrument *i) {
    return !world_node_fed(twin_look(i->b.host->twin), i->b.id);
}

static int serve_read(struct instrument *i, const void *ask, void *answer, struct err *e) {
    (void)ask;
    struct world_node n;
    struct node_reading *out = answer;
    int rc = world_node(twin_look(i->b.host->twin), i->b.id, &n, e);
    if (rc)
        return rc;
    out->power_w = instrument_meter(i, n.power_w);
    out->utilisation_ratio = floor(n.utilisation_ratio * 100 + 0.5) / 100;
    out->temperature_c = floor(n.temperature_c + 0.5);
    out->cap_w = n.cap_w;
    out->on = n.on;
    return 0;
}

static int serve_cap(struct instrument *i, const void *ask, void *answer, struct err *e) {
    (void)answer;
    const struct node_cap *in = ask;
    return world_set_cap(twin_world(i->b.host->twin), i->b.id, floor(in->value + 0.5), e);
}

static int serve_power(struct instrument *i, const void *ask, void *answer, struct err *e) {
    (void)answer;
    const struct node_power *in = ask;
    if (instrument_sticks(i))
        return 0;
    return world_set_on(twin_world(i->b.host->twin), i->b.id, in->on, e);
}

static int open(struct host *h, oid id, const struct doc *options, struct backend *under, struct backend **out,
                struct err *e) {
    static const struct instrument_verb verbs[] = {
        {"read", serve_read}, {"set cap_w", serve_cap}, {"power", serve_power}, {0}};
    static const struct instrument_row row = {.latency_us = 40000,
                                              .tail_us = 25000,
                                              .gain_ratio = 0.01,
                                              .noise_ratio = 0.005,
                                              .is_dark = is_dark,
                                              .verbs = verbs};
    struct world_node known;
    (void)under;
    if (h->twin && world_node(twin_look(h->twin), id, &known, e))
        return err_context(e, "made after the twin was");
    return instrument_open(h, id, options, &row, out, e);
}

const struct backend_ops backend_twin_node = {
    .name = "twin",
    .cls = "node",
    .open = open,
    .close = instrument_close,
    .submit = instrument_submit,
    .cancel = instrument_cancel,
    .options_doc = instrument_options_doc,
};
