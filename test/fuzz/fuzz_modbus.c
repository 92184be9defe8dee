/* Modbus TCP streams, read as a server reads requests and as a driver reads answers: what is accepted is written back
 * to the same meaning, and nothing beyond the frame's 260 bytes is taken or made. */
#include "device/live/modbus/pdu_map.h"
#include "fuzz.h"

int fuzz_modbus(const uint8_t *p, size_t n);

static void as_request(const struct modbus_frame *f) {
    static struct modbus_ask ask, again;
    uint8_t pdu[MODBUS_PDU_MAX];
    int exception = modbus_ask_read(f->pdu, f->n, &ask);
    FUZZ_CHECK(exception >= 0 && exception <= MODBUS_ILLEGAL_VALUE);
    if (exception)
        return;
    size_t n = modbus_ask_write(&ask, pdu);
    FUZZ_CHECK(n == f->n && !memcmp(pdu, f->pdu, n < 6 ? n : 6));
    FUZZ_CHECK(!modbus_ask_read(pdu, n, &again));
    FUZZ_CHECK(again.function == ask.function && again.address == ask.address && again.count == ask.count);
    FUZZ_CHECK((uint32_t)ask.address + ask.count <= 65536);
    /* An answer of ours to it is an answer in the driver's eyes. */
    static struct modbus_answer given, taken;
    n = modbus_answer_write(&ask, &given, pdu);
    FUZZ_CHECK(!modbus_answer_read(&ask, pdu, n, &taken, NULL));
    n = modbus_exception_write(ask.function, MODBUS_BUSY, pdu);
    FUZZ_CHECK(modbus_answer_read(&ask, pdu, n, &taken, NULL) == MODBUS_BUSY);
}

static void as_answer(const struct modbus_frame *f) {
    static struct modbus_ask asked[3];
    static struct modbus_answer got;
    struct pdu_reading r;
    struct err e = {0};
    const char *words;
    pdu_map_ask_read(&asked[0]);
    pdu_map_ask_switch(&(struct pdu_switch){.outlet = 4, .on = true}, &asked[1]);
    pdu_map_ask_limit(&(struct pdu_limit){.limit_w = 6000}, &asked[2]);
    for (int i = 0; i < 3; i++) {
        int rc = modbus_answer_read(&asked[i], f->pdu, f->n, &got, &e);
        FUZZ_CHECK(rc >= 0 ? rc <= 255 : rc == E_PARSE && *e.message);
        if (rc > 0)
            FUZZ_CHECK(modbus_exception_error(rc, &words) < 0 && *words);
        if (rc || i)
            continue;
        uint16_t back[PDU_MAP_INPUTS];
        if (!pdu_map_decode(got.words, &r, &e)) {
            FUZZ_CHECK(r.n_outlet_on <= 48 && !table_check(&table_pdu_reading, &r, &e));
            pdu_map_encode(&r, back);
            FUZZ_CHECK(!memcmp(back, got.words, 4 * sizeof back[0])); /* powers and limits come back to the bit */
        }
    }
}

int fuzz_modbus(const uint8_t *p, size_t n) {
    struct modbus_frame f;
    for (size_t from = 0; from < n;) {
        uint8_t bytes[MODBUS_FRAME_MAX];
        /* Exactly as long as it is, so that the address sanitizer sees one byte too many. */
        uint8_t *exact = malloc(n - from);
        memcpy(exact, p + from, n - from);
        int used = modbus_frame_read(exact, n - from, &f);
        free(exact);
        FUZZ_CHECK(used == E_PARSE || (used >= 0 && used <= MODBUS_FRAME_MAX && (size_t)used <= n - from));
        if (used <= 0)
            break;
        FUZZ_CHECK(modbus_frame_write(&f, bytes) == (size_t)used && !memcmp(bytes, p + from, (size_t)used));
        as_request(&f);
        as_answer(&f);
        from += (size_t)used;
    }
    return 0;
}
