#include "device/live/modbus/pdu_map.h"

#include <math.h>
#include <string.h>

uint32_t pdu_map_join(const uint16_t words[2]) {
    return (uint32_t)words[0] << 16 | words[1];
}

void pdu_map_split(uint32_t v, uint16_t words[2]) {
    words[0] = (uint16_t)(v >> 16);
    words[1] = (uint16_t)v;
}

static uint32_t watts(double w) {
    return w >= 4294967295.0 ? UINT32_MAX : w > 0 ? (uint32_t)floor(w + 0.5) : 0;
}

static uint32_t power_get(const struct pdu_reading *r, unsigned word) {
    (void)word;
    return watts(r->power_w);
}
static void power_set(struct pdu_reading *r, unsigned word, uint32_t v) {
    (void)word;
    r->power_w = v;
}
static uint32_t limit_get(const struct pdu_reading *r, unsigned word) {
    (void)word;
    return watts(r->limit_w);
}
static void limit_set(struct pdu_reading *r, unsigned word, uint32_t v) {
    (void)word;
    r->limit_w = v;
}
static uint32_t count_get(const struct pdu_reading *r, unsigned word) {
    (void)word;
    return r->n_outlet_on;
}
static void count_set(struct pdu_reading *r, unsigned word, uint32_t v) {
    (void)word;
    r->n_outlet_on = v;
}
static uint32_t status_get(const struct pdu_reading *r, unsigned word) {
    (void)word;
    return r->tripped;
}
static void status_set(struct pdu_reading *r, unsigned word, uint32_t v) {
    (void)word;
    r->tripped = v & 1;
}
static uint32_t states_get(const struct pdu_reading *r, unsigned word) {
    uint32_t v = 0;
    for (unsigned bit = 0; bit < 16; bit++)
        v |= (uint32_t)r->outlet_on[word * 16 + bit] << bit;
    return v;
}
static void states_set(struct pdu_reading *r, unsigned word, uint32_t v) {
    for (unsigned bit = 0; bit < 16; bit++)
        r->outlet_on[word * 16 + bit] = v >> bit & 1;
}

/* Two words are one number; three are three words of bits. */
const struct pdu_map_row pdu_map_inputs[] = {
    {"power_w", 0, 2, power_get, power_set, "Power through the unit, W."},
    {"limit_w", 2, 2, limit_get, limit_set, "Power above which the unit trips, W; 0 is none."},
    {"outlets", 4, 1, count_get, count_set, "How many outlets there are."},
    {"status", 5, 1, status_get, status_set, "Bit 0: the unit has tripped."},
    {"outlet_on", 6, 3, states_get, states_set, "Outlet 1 is bit 0 of the first word."},
};
const size_t pdu_map_ninputs = sizeof pdu_map_inputs / sizeof pdu_map_inputs[0];

void pdu_map_encode(const struct pdu_reading *r, uint16_t words[PDU_MAP_INPUTS]) {
    for (size_t i = 0; i < pdu_map_ninputs; i++) {
        const struct pdu_map_row *row = &pdu_map_inputs[i];
        if (row->words == 2)
            pdu_map_split(row->get(r, 0), words + row->address);
        else
            for (unsigned w = 0; w < row->words; w++)
                words[row->address + w] = (uint16_t)row->get(r, w);
    }
}

int pdu_map_decode(const uint16_t words[PDU_MAP_INPUTS], struct pdu_reading *r, struct err *e) {
    struct pdu_reading got = {0};
    for (size_t i = 0; i < pdu_map_ninputs; i++) {
        const struct pdu_map_row *row = &pdu_map_inputs[i];
        if (row->words == 2)
            row->set(&got, 0, pdu_map_join(words + row->address));
        else
            for (unsigned w = 0; w < row->words; w++)
                row->set(&got, w, words[row->address + w]);
    }
    if (got.n_outlet_on > PDU_MAP_COILS)
        return err_set(e, E_PARSE, "shows %u outlets; a PDU has at most %d", got.n_outlet_on, PDU_MAP_COILS);
    for (uint32_t o = got.n_outlet_on; o < PDU_MAP_COILS; o++)
        got.outlet_on[o] = false;
    *r = got;
    return 0;
}

void pdu_map_encode_holdings(const struct pdu_reading *r, uint16_t words[PDU_MAP_HOLDINGS]) {
    pdu_map_split(watts(r->limit_w), words);
}

void pdu_map_ask_read(struct modbus_ask *a) {
    a->function = MODBUS_READ_INPUT;
    a->address = 0;
    a->count = PDU_MAP_INPUTS;
}

void pdu_map_ask_switch(const struct pdu_switch *in, struct modbus_ask *a) {
    a->function = MODBUS_WRITE_COIL;
    a->address = (uint16_t)(in->outlet - 1);
    a->count = 1;
    a->bits[0] = in->on;
}

void pdu_map_ask_limit(const struct pdu_limit *in, struct modbus_ask *a) {
    a->function = MODBUS_WRITE_REGISTERS;
    a->address = 0;
    a->count = PDU_MAP_HOLDINGS;
    pdu_map_split(watts(in->limit_w), a->words);
}
