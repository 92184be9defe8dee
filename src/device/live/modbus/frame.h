/* Modbus TCP on the wire: MODBUS Application Protocol V1.1b3 and MODBUS Messaging on TCP/IP V1.0b.
 *
 * A frame (ADU) is a header of seven bytes (transaction, protocol 0, length, unit) and a PDU of at most 253: at most
 * 260 bytes in all. Functions here: the eight that switchgear uses. Pure: bytes in, structs out; nothing is kept. Used
 * by the driver (modbus.c) and by the server of the twin (device/wire), and fuzzed from both sides. */
#ifndef SUAN_DEVICE_LIVE_MODBUS_FRAME_H
#define SUAN_DEVICE_LIVE_MODBUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    MODBUS_HEADER = 7,
    MODBUS_PDU_MAX = 253,
    MODBUS_FRAME_MAX = 260,
    MODBUS_READ_BITS_MAX = 2000,
    MODBUS_READ_WORDS_MAX = 125,
    MODBUS_WRITE_BITS_MAX = 1968,
    MODBUS_WRITE_WORDS_MAX = 123
};

enum modbus_function {
    MODBUS_READ_COILS = 1,
    MODBUS_READ_DISCRETE = 2,
    MODBUS_READ_HOLDING = 3,
    MODBUS_READ_INPUT = 4,
    MODBUS_WRITE_COIL = 5,
    MODBUS_WRITE_REGISTER = 6,
    MODBUS_WRITE_COILS = 15,
    MODBUS_WRITE_REGISTERS = 16
};

enum modbus_exception {
    MODBUS_ILLEGAL_FUNCTION = 1,
    MODBUS_ILLEGAL_ADDRESS = 2,
    MODBUS_ILLEGAL_VALUE = 3,
    MODBUS_DEVICE_FAILURE = 4,
    MODBUS_ACKNOWLEDGE = 5,
    MODBUS_BUSY = 6,
    MODBUS_PARITY = 8,
    MODBUS_NO_PATH = 10,
    MODBUS_NO_RESPONSE = 11
};

struct modbus_frame {
    uint16_t transaction;
    uint8_t unit;
    uint8_t pdu[MODBUS_PDU_MAX];
    size_t n; /* bytes of the PDU, at least 1 */
};
/* One frame from the front of a stream: bytes used, 0 = more are needed, E_PARSE = this is no Modbus TCP. */
int modbus_frame_read(const uint8_t *p, size_t n, struct modbus_frame *out);
size_t modbus_frame_write(const struct modbus_frame *f, uint8_t out[MODBUS_FRAME_MAX]);

/* What is asked. Bits and words of a write are in `bits` and `words`, of which the first `count` count. */
struct modbus_ask {
    uint8_t function;
    uint16_t address, count;
    bool bits[MODBUS_WRITE_BITS_MAX];
    uint16_t words[MODBUS_WRITE_WORDS_MAX];
};
/* 0, or the exception that a server must answer (address ranges are the server's own matter). */
int modbus_ask_read(const uint8_t *pdu, size_t n, struct modbus_ask *out);
size_t modbus_ask_write(const struct modbus_ask *a, uint8_t pdu[MODBUS_PDU_MAX]);

/* What is answered to a read. */
struct modbus_answer {
    bool bits[MODBUS_READ_BITS_MAX];
    uint16_t words[MODBUS_READ_WORDS_MAX];
};
size_t modbus_answer_write(const struct modbus_ask *asked, const struct modbus_answer *a, uint8_t pdu[MODBUS_PDU_MAX]);
size_t modbus_exception_write(uint8_t function, int exception, uint8_t pdu[2]);
/* 0; an exception (> 0); or E_PARSE with the reason, when this is no answer to what was asked. */
int modbus_answer_read(const struct modbus_ask *asked, const uint8_t *pdu, size_t n, struct modbus_answer *out,
                       struct err *e);

/* Both directions of the exceptions: what a driver reports, what a server of ours answers. */
int modbus_exception_error(int exception, const char **words);
int modbus_error_exception(int code);

#endif
