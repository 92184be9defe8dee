#include "device/live/modbus/frame.h"

#include <assert.h>
#include <string.h>

static uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* -- frames -- */

int modbus_frame_read(const uint8_t *p, size_t n, struct modbus_frame *out) {
    /* Refuse as soon as it can be known: a stranger's stream must not be waited for. */
    if ((n >= 3 && p[2]) || (n >= 4 && p[3]))
        return E_PARSE;
    if (n < 6)
        return 0;
    size_t length = get16(p + 4); /* unit and PDU */
    if (length < 2 || length > 1 + MODBUS_PDU_MAX)
        return E_PARSE;
    if (n < 6 + length)
        return 0;
    out->transaction = get16(p);
    out->unit = p[6];
    out->n = length - 1;
    memcpy(out->pdu, p + MODBUS_HEADER, out->n);
    return (int)(6 + length);
}

size_t modbus_frame_write(const struct modbus_frame *f, uint8_t out[MODBUS_FRAME_MAX]) {
    assert(f->n >= 1 && f->n <= MODBUS_PDU_MAX);
    put16(out, f->transaction);
    put16(out + 2, 0);
    put16(out + 4, (unsigned)f->n + 1);
    out[6] = f->unit;
    memcpy(out + MODBUS_HEADER, f->pdu, f->n);
    return MODBUS_HEADER + f->n;
}

/* -- functions: one row says what follows the address -- */

struct shape {
    uint8_t function;
    bool is_write, is_bits, is_single;
    uint16_t count_max;
};
static const struct shape shapes[] = {
    {MODBUS_READ_COILS, false, true, false, MODBUS_READ_BITS_MAX},
    {MODBUS_READ_DISCRETE, false, true, false, MODBUS_READ_BITS_MAX},
    {MODBUS_READ_HOLDING, false, false, false, MODBUS_READ_WORDS_MAX},
    {MODBUS_READ_INPUT, false, false, false, MODBUS_READ_WORDS_MAX},
    {MODBUS_WRITE_COIL, true, true, true, 1},
    {MODBUS_WRITE_REGISTER, true, false, true, 1},
    {MODBUS_WRITE_COILS, true, true, false, MODBUS_WRITE_BITS_MAX},
    {MODBUS_WRITE_REGISTERS, true, false, false, MODBUS_WRITE_WORDS_MAX},
};

static const struct shape *shape_of(unsigned function) {
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (shapes[i].function == function)
            return &shapes[i];
    return NULL;
}

static size_t bytes_of(const struct shape *s, size_t count) {
    return s->is_bits ? (count + 7) / 8 : count * 2;
}

static void bits_read(const uint8_t *p, size_t count, bool *out) {
    for (size_t i = 0; i < count; i++)
        out[i] = p[i / 8] >> i % 8 & 1;
}

static void bits_write(uint8_t *p, size_t count, const bool *bits) {
    memset(p, 0, (count + 7) / 8);
    for (size_t i = 0; i < count; i++)
        p[i / 8] |= (uint8_t)(bits[i] << i % 8);
}

static void words_read(const uint8_t *p, size_t count, uint16_t *out) {
    for (size_t i = 0; i < count; i++)
        out[i] = get16(p + 2 * i);
}

static void words_write(uint8_t *p, size_t count, const uint16_t *words) {
    for (size_t i = 0; i < count; i++)
        put16(p + 2 * i, words[i]);
}

/* -- asking -- */

static int single_read(const struct shape *s, const uint8_t *pdu, size_t n, struct modbus_ask *out) {
    if (n != 5)
        return MODBUS_ILLEGAL_VALUE;
    uint16_t value = get16(pdu + 3);
    out->count = 1;
    if (!s->is_bits) {
        out->words[0] = value;
        return 0;
    }
    out->bits[0] = value == 0xff00;
    return value == 0xff00 || !value ? 0 : MODBUS_ILLEGAL_VALUE;
}

int modbus_ask_read(const uint8_t *pdu, size_t n, struct modbus_ask *out) {
    const struct shape *s = n ? shape_of(pdu[0]) : NULL;
    if (!s)
        return MODBUS_ILLEGAL_FUNCTION;
    if (n < 5)
        return MODBUS_ILLEGAL_VALUE;
    out->function = s->function;
    out->address = get16(pdu + 1);
    if (s->is_single)
        return single_read(s, pdu, n, out);
    out->count = get16(pdu + 3);
    if (!out->count || out->count > s->count_max)
        return MODBUS_ILLEGAL_VALUE;
    if ((uint32_t)out->address + out->count > 65536)
        return MODBUS_ILLEGAL_ADDRESS;
    size_t bytes = bytes_of(s, out->count);
    if (!s->is_write)
        return n == 5 ? 0 : MODBUS_ILLEGAL_VALUE;
    if (n != 6 + bytes || pdu[5] != bytes)
        return MODBUS_ILLEGAL_VALUE;
    if (s->is_bits)
        bits_read(pdu + 6, out->count, out->bits);
    else
        words_read(pdu + 6, out->count, out->words);
    return 0;
}

size_t modbus_ask_write(const struct modbus_ask *a, uint8_t pdu[MODBUS_PDU_MAX]) {
    const struct shape *s = shape_of(a->function);
    assert(s && a->count >= 1 && a->count <= s->count_max);
    pdu[0] = a->function;
    put16(pdu + 1, a->address);
    if (s->is_single) {
        put16(pdu + 3, s->is_bits ? (a->bits[0] ? 0xff00 : 0) : a->words[0]);
        return 5;
    }
    put16(pdu + 3, a->count);
    if (!s->is_write)
        return 5;
    size_t bytes = bytes_of(s, a->count);
    pdu[5] = (uint8_t)bytes;
    if (s->is_bits)
        bits_write(pdu + 6, a->count, a->bits);
    else
        words_write(pdu + 6, a->count, a->words);
    return 6 + bytes;
}

/* -- answering: a write is answered by its own first five bytes -- */

size_t modbus_answer_write(const struct modbus_ask *asked, const struct modbus_answer *a, uint8_t pdu[MODBUS_PDU_MAX]) {
    const struct shape *s = shape_of(asked->function);
    assert(s);
    if (s->is_write) {
        uint8_t whole[MODBUS_PDU_MAX];
        modbus_ask_write(asked, whole);
        memcpy(pdu, whole, 5);
        return 5;
    }
    size_t bytes = bytes_of(s, asked->count);
    pdu[0] = asked->function;
    pdu[1] = (uint8_t)bytes;
    if (s->is_bits)
        bits_write(pdu + 2, asked->count, a->bits);
    else
        words_write(pdu + 2, asked->count, a->words);
    return 2 + bytes;
}

size_t modbus_exception_write(uint8_t function, int exception, uint8_t pdu[2]) {
    pdu[0] = function | 0x80;
    pdu[1] = (uint8_t)exception;
    return 2;
}

int modbus_answer_read(const struct modbus_ask *asked, const uint8_t *pdu, size_t n, struct modbus_answer *out,
                       struct err *e) {
    const struct shape *s = shape_of(asked->function);
    assert(s);
    if (n == 2 && pdu[0] == (asked->function | 0x80) && pdu[1])
        return pdu[1];
    if (n < 1 || pdu[0] != asked->function)
        return err_set(e, E_PARSE, "answers function %d to function %d", n ? pdu[0] : -1, asked->function);
    if (s->is_write) {
        uint8_t want[MODBUS_PDU_MAX];
        modbus_ask_write(asked, want);
        if (n != 5 || memcmp(pdu, want, 5))
            return err_set(e, E_PARSE, "does not echo what was written");
        return 0;
    }
    size_t bytes = bytes_of(s, asked->count);
    if (n != 2 + bytes || pdu[1] != bytes)
        return err_set(e, E_PARSE, "answers %zu bytes where %zu are due", n < 2 ? 0 : n - 2, bytes);
    if (s->is_bits)
        bits_read(pdu + 2, asked->count, out->bits);
    else
        words_read(pdu + 2, asked->count, out->words);
    return 0;
}

/* -- exceptions -- */

static const struct {
    int exception, error;
    const char *words;
} exceptions[] = {
    {MODBUS_ILLEGAL_FUNCTION, E_UNSUPPORTED, "illegal function"},
    {MODBUS_ILLEGAL_ADDRESS, E_INVAL, "illegal data address"},
    {MODBUS_ILLEGAL_VALUE, E_INVAL, "illegal data value"},
    {MODBUS_DEVICE_FAILURE, E_IO, "device failure"},
    {MODBUS_BUSY, E_LIMIT, "device busy"},
    {MODBUS_PARITY, E_IO, "memory parity error"},
    {MODBUS_NO_PATH, E_UNAVAIL, "gateway has no path to the unit"},
    {MODBUS_NO_RESPONSE, E_UNAVAIL, "unit does not respond to the gateway"},
    {MODBUS_ACKNOWLEDGE, E_UNAVAIL, "accepted and still at work"},
};
enum { EXCEPTIONS = sizeof exceptions / sizeof exceptions[0] };

int modbus_exception_error(int exception, const char **words) {
    *words = "an exception that the specification does not know";
    for (size_t i = 0; i < EXCEPTIONS; i++)
        if (exceptions[i].exception == exception) {
            *words = exceptions[i].words;
            return exceptions[i].error;
        }
    return E_IO;
}

int modbus_error_exception(int code) {
    if (code == E_TIMEOUT || code == E_CANCELLED)
        return MODBUS_NO_RESPONSE;
    for (size_t i = 0; i < EXCEPTIONS; i++)
        if (exceptions[i].error == code)
            return exceptions[i].exception;
    return MODBUS_DEVICE_FAILURE;
}
