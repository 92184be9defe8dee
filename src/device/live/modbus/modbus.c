/* A verb is one transaction: the row says how it is asked and what its answer means. Devices of one address share a
 * line (line.h). Exceptions become errors that name verb, unit, address and what the other side said. */
#include "device/live/modbus/modbus.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "device/live/modbus/line.h"
#include "device/live/modbus/pdu_map.h"

struct modbus_options {
    char host[48];
    int64_t port, unit, timeout_us;
};

#define S struct modbus_options
static const struct field option_fields[] = {
    FIELD_TEXT(S, host, .dflt = "127.0.0.1", .doc = "Numeric address of the server."),
    FIELD_INT(S, port, .min = 1, .max = 65535, .dflt = "502", .doc = "TCP port."),
    FIELD_INT(S, unit, .min = 0, .max = 255, .dflt = "1", .doc = "Unit behind the server; 255 is the server itself."),
    FIELD_SPAN(S, timeout_us, .min = 1e4, .max = 600e6, .unit = "us", .dflt = "6s",
               .doc = "A line that is silent so long while answers are due is closed and made anew."),
};
#undef S
static const struct table option_table = TABLE(modbus_options, option_fields, "Options of the backends named modbus.");

struct modbus {
    struct backend b;
    struct line *line;
    struct modbus_options options;
};

static void ask_read(const void *in, struct modbus_ask *a) {
    (void)in;
    pdu_map_ask_read(a);
}
static void ask_switch(const void *in, struct modbus_ask *a) {
    pdu_map_ask_switch(in, a);
}
static void ask_limit(const void *in, struct modbus_ask *a) {
    pdu_map_ask_limit(in, a);
}
static int take_read(const struct modbus_answer *a, void *out, struct err *e) {
    return pdu_map_decode(a->words, out, e);
}

static const struct row {
    const char *verb;
    void (*ask)(const void *in, struct modbus_ask *a);
    int (*take)(const struct modbus_answer *a, void *out, struct err *e);
} rows[] = {{"read", ask_read, take_read}, {"switch", ask_switch, NULL}, {"set limit", ask_limit, NULL}};

static const struct row *row_find(const char *verb) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!strcmp(rows[i].verb, verb))
            return &rows[i];
    return NULL;
}

static int modbus_open(struct host *h, oid id, const struct doc *options, struct backend *under, struct backend **out,
                       struct err *e) {
    struct modbus *m = calloc(1, sizeof *m);
    assert(m);
    (void)id, (void)under;
    table_defaults(&option_table, &m->options);
    int rc = table_read(&option_table, &m->options, options, "backend", NULL, TABLE_CREATE, e);
    if (!rc)
        rc = line_use(h, m->options.host, (uint16_t)m->options.port, m->options.timeout_us, &m->line, e);
    if (rc) {
        free(m);
        return rc;
    }
    *out = &m->b;
    return 0;
}

static void modbus_close(struct backend *b) {
    struct modbus *m = (struct modbus *)b;
    line_leave(m->line, m);
    free(m);
}

static int refused(const struct modbus *m, const struct device_request *r, int exception, struct err *e) {
    const char *words;
    int code = modbus_exception_error(exception, &words);
    err_set(e, code, "pdu %s: unit %lld at %s:%lld answers exception %d: %s", r->verb->name, (long long)m->options.unit,
            m->options.host, (long long)m->options.port, exception, words);
    if (exception == MODBUS_ILLEGAL_ADDRESS && !strcmp(r->verb->name, "switch"))
        err_hint(e, "the unit has no outlet %lld", (long long)((const struct pdu_switch *)r->in)->outlet);
    return code;
}

static void on_answer(void *ctx, int rc, const uint8_t *pdu, size_t n, const struct err *e) {
    struct device_request *r = ctx;
    struct modbus *m = (struct modbus *)r->backend;
    const struct row *row = row_find(r->verb->name);
    struct modbus_ask asked;
    struct modbus_answer answer;
    if (rc) {
        r->err = *e;
        device_finish(r, rc);
        return;
    }
    row->ask(r->in, &asked);
    rc = modbus_answer_read(&asked, pdu, n, &answer, &r->err);
    if (rc > 0)
        rc = refused(m, r, rc, &r->err);
    else if (!rc && row->take)
        rc = row->take(&answer, r->out, &r->err);
    if (rc == E_PARSE)
        err_context(&r->err, "unit %lld at %s:%lld", (long long)m->options.unit, m->options.host,
                    (long long)m->options.port);
    device_finish(r, rc);
}

static void modbus_submit(struct backend *b, struct device_request *r) {
    struct modbus *m = (struct modbus *)b;
    const struct row *row = row_find(r->verb->name);
    struct modbus_ask asked;
    uint8_t pdu[MODBUS_PDU_MAX];
    if (!row) {
        device_finish(r, err_set(&r->err, E_UNSUPPORTED, "Modbus has no verb '%s'", r->verb->name));
        return;
    }
    row->ask(r->in, &asked);
    size_t n = modbus_ask_write(&asked, pdu);
    struct line_message *message = line_send(m->line, m, (uint8_t)m->options.unit, pdu, n, on_answer, r, &r->err);
    r->backend_ctx = message;
    if (!message)
        device_finish(r, r->err.code);
}

static void modbus_cancel(struct backend *b, struct device_request *r) {
    line_forget(((struct modbus *)b)->line, r->backend_ctx);
}

const struct backend_ops backend_modbus_pdu = {
    .name = "modbus",
    .cls = "pdu",
    .open = modbus_open,
    .close = modbus_close,
    .submit = modbus_submit,
    .cancel = modbus_cancel,
    .options_doc =
        "host=ADDRESS (numeric, 127.0.0.1), port=1..65535 (502), unit=0..255 (1), timeout_us=SPAN (6s: a line "
        "silent so long while answers are due is closed and made anew)",
};
