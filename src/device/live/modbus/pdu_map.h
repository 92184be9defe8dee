/* The register map of a rack PDU: one table, read by the driver (modbus.c) and by the twin's server (device/wire).
 *
 * Addresses count from 0, as they go over the wire. A number of 32 bits is two registers, the high word first, each
 * word big-endian. Powers are in steps of 1 W (scale factor 1).
 *
 *   input registers (function 4)                      coils (functions 1, 5, 15)
 *     0-1  power_w         32 bits, W                   0…47  outlet 1…48: on; the unit's own count of them exists
 *     2-3  limit_w         32 bits, W; 0 is none      holding registers (functions 3, 16)
 *     4    outlets         how many there are           0-1   limit_w, 32 bits, W; written whole: half of a number
 *     5    status          bit 0: tripped                     (function 6) is refused as an illegal value
 *     6-8  outlet states   outlet 1 is bit 0 of 6
 *
 * All that `read` shows lies in one run of nine registers, so that a read is one transaction: a picture of one
 * instant, and one delay. */
#ifndef SUAN_DEVICE_LIVE_MODBUS_PDU_MAP_H
#define SUAN_DEVICE_LIVE_MODBUS_PDU_MAP_H

#include "device/class/pdu.h"
#include "device/live/modbus/frame.h"

enum { PDU_MAP_INPUTS = 9, PDU_MAP_HOLDINGS = 2, PDU_MAP_COILS = 48 };

struct pdu_map_row {
    const char *name;
    uint16_t address, words;
    uint32_t (*get)(const struct pdu_reading *r, unsigned word);
    void (*set)(struct pdu_reading *r, unsigned word, uint32_t v);
    const char *doc;
};
extern const struct pdu_map_row pdu_map_inputs[];
extern const size_t pdu_map_ninputs;

void pdu_map_encode(const struct pdu_reading *r, uint16_t words[PDU_MAP_INPUTS]);

/* E_PARSE when the registers cannot be a PDU's (more than 48 outlets). */
int pdu_map_decode(const uint16_t words[PDU_MAP_INPUTS], struct pdu_reading *r, struct err *e);
void pdu_map_encode_holdings(const struct pdu_reading *r, uint16_t words[PDU_MAP_HOLDINGS]);

void pdu_map_ask_read(struct modbus_ask *a);
void pdu_map_ask_switch(const struct pdu_switch *in, struct modbus_ask *a);
void pdu_map_ask_limit(const struct pdu_limit *in, struct modbus_ask *a);

uint32_t pdu_map_join(const uint16_t words[2]); /* high word first */
void pdu_map_split(uint32_t v, uint16_t words[2]);

#endif
