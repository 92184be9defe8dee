/* Class pdu on the world. Latency and accuracy are those of a rack PDU's own network card: some ten milliseconds, a
 * class 1 meter. A tripped unit still talks (its card hangs before the breaker); one in a rack without feed does not.
 */
#include "device/class/pdu.h"

#include <math.h>
#include <string.h>

#include "device/twin/instrument.h"

static bool is_dark(struct instrument *i) {
    struct world_pdu p;
    return world_pdu(twin_look(i->b.host->twin), i->b.id, &p, NULL) || !p.fed;
}

static int serve_read(struct instrument *i, const void *ask, void *answer, struct err *e) {
    (void)ask;
    struct world_pdu p;
    struct pdu_reading *out = answer;
    int rc = world_pdu(twin_look(i->b.host->twin), i->b.id, &p, e);
    if (rc)
        return rc;
    out->power_w = instrument_meter(i, p.power_w);
    out->limit_w = floor(p.limit_w + 0.5);
    out->tripped = p.tripped;
    out->n_outlet_on = p.n_outlet_on;
    memcpy(out->outlet_on, p.outlet_on, sizeof out->outlet_on);
    return 0;
}

static int serve_switch(struct instrument *i, const void *ask, void *answer, struct err *e) {
    (void)answer;
    const struct pdu_switch *in = ask;
    struct world_pdu p;
    int rc = world_pdu(twin_look(i->b.host->twin), i->b.id, &p, e);
    if (!rc && in->outlet > p.n_outlet_on)
        rc = err_set(e, E_INVAL, "outlet %lld: the unit has 1 to %u", (long long)in->outlet, p.n_outlet_on);
    if (rc || instrument_sticks(i))
        return rc;
    return world_set_outlet(twin_world(i->b.host->twin), i->b.id, in->outlet, in->on, e);
}

static int serve_limit(struct instrument *i, const void *ask, void *answer, struct err *e) {
    (void)answer;
    const struct pdu_limit *in = ask;
    return world_set_pdu_limit(twin_world(i->b.host->twin), i->b.id, floor(in->limit_w + 0.5), e);
}

static int open(struct host *h, oid id, const struct doc *options, struct backend *under, struct backend **out,
                struct err *e) {
    static const struct instrument_verb verbs[] = {
        {"read", serve_read}, {"switch", serve_switch}, {"set limit", serve_limit}, {0}};
    static const struct instrument_row row = {.latency_us = 8000,
                                              .tail_us = 6000,
                                              .gain_ratio = 0.0033,
                                              .noise_ratio = 0.001,
                                              .is_dark = is_dark,
                                              .verbs = verbs};
    struct world_pdu known;
    (void)under;
    if (h->twin && world_pdu(twin_look(h->twin), id, &known, e))
        return err_context(e, "made after the twin was");
    return instrument_open(h, id, options, &row, out, e);
}

const struct backend_ops backend_twin_pdu = {
    .name = "twin",
    .cls = "pdu",
    .open = open,
    .close = instrument_close,
    .submit = instrument_submit,
    .cancel = instrument_cancel,
    .options_doc = instrument_options_doc,
};
