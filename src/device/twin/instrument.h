/* Instrument: what every device of the twin shares with the real thing: it answers late, one at a time, now and then
 * not at all; its meter has an error and steps; a switch may stick. Private to this folder.
 *
 * The figures are plain ones, each can be set in the backend's options ("twin:loss=0.2,latency=1s"):
 *  - latency: a least time plus an exponential tail. Requests of one device are served one after the other.
 *  - loss: that share of the requests gets no answer. In half of these the command was carried out all the same: what
 *    was lost is the answer. Whoever asks learns of it by his deadline, as with a real network.
 *  - meter: a fixed gain error a device (calibration, class 1 of IEC 62053-21 as three sigma) and a noise that is drawn
 *    for each second, because meters sample; two reads of the same second see the same noise. Steps of 1 W.
 *  - a request that was sent is carried out even when its asker gives up meanwhile (cancel, deadline).
 *  - stuck: that share of switchings is acknowledged and not carried out. Reading back shows it. */
#ifndef SUAN_DEVICE_TWIN_INSTRUMENT_H
#define SUAN_DEVICE_TWIN_INSTRUMENT_H

#include "device/twin/twin.h"

struct instrument;
/* One verb of the class on the world; `in` is the instrument's own copy. */
struct instrument_verb {
    const char *name;
    int (*fn)(struct instrument *i, const void *in, void *out, struct err *e);
};
struct instrument_row {
    int64_t latency_us;                    /* least */
    double tail_us;                        /* mean of what comes on top */
    double gain_ratio, noise_ratio;        /* one sigma */
    bool (*is_dark)(struct instrument *i); /* no power reaches its controller */
    const struct instrument_verb *verbs;   /* ends with name NULL */
};

struct instrument_options {
    int64_t latency_us; /* least; 0 = the row's */
    double loss_ratio, stuck_ratio;
};

struct pending;
struct instrument {
    struct backend b;
    const struct instrument_row *row;
    struct instrument_options options;
    struct rng late, loss, stuck, noise;
    double gain_ratio;
    int64_t busy_until_us;
    struct pending *pending; /* unanswered, in no order */
    size_t n_pending;
};

extern const char instrument_options_doc[];
int instrument_open(struct host *h, oid id, const struct doc *options, const struct instrument_row *row,
                    struct backend **out, struct err *e);
void instrument_close(struct backend *b);
void instrument_submit(struct backend *b, struct device_request *r);
void instrument_cancel(struct backend *b, struct device_request *r);

double instrument_meter(struct instrument *i, double truth); /* as the meter shows it now, in whole steps */
bool instrument_sticks(struct instrument *i);                /* whether this switching is the one that sticks */

#endif
