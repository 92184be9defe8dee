/* Modbus TCP: bytes of the specification's own examples, the server's limits against a raw client, and the driver
 * against servers that misbehave. */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device/live/modbus/frame.h"
#include "device/live/modbus/modbus.h"
#include "device/live/modbus/pdu_map.h"
#include "room.h"
#include "tap.h"

#define PLAIN "twin:loss_ratio=0,stuck_ratio=0,latency_us=1ms"
#define MS(n) ((int64_t)(n)*1000)

static const struct device_class *const classes[] = {&class_pdu, &class_node, NULL};
static const struct backend_ops *const backends[] = {&backend_modbus_pdu, &backend_twin_pdu, &backend_twin_node, NULL};
static struct room m;

/* -- bytes -- */

static size_t hex(const char *text, uint8_t *out) {
    size_t n = strlen(text) / 2;
    if (!hex_decode(out, n, text))
        abort();
    return n;
}

static void examples(void) {
    /* MODBUS Application Protocol V1.1b3, sections 6.1, 6.3, 6.4, 6.5, 6.6, 6.11, 6.12: request, answer. */
    static const struct {
        const char *ask, *answer, *name;
    } rows[] = {
        {"0100130013", "0103cd6b05", "read coils 20-38"},
        {"03006b0003", "0306022b00000064", "read holding registers 108-110"},
        {"0400080001", "0402000a", "read input register 9"},
        {"0500acff00", "0500acff00", "write coil 173"},
        {"0600010003", "0600010003", "write register 2"},
        {"0f0013000a02cd01", "0f0013000a", "write ten coils from 20"},
        {"100001000204000a0102", "1000010002", "write two registers from 2"},
    };
    static struct modbus_ask a;
    static struct modbus_answer got;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t ask[64], answer[64], pdu[MODBUS_PDU_MAX];
        size_t n = hex(rows[i].ask, ask), n_answer = hex(rows[i].answer, answer);
        bool good = !modbus_ask_read(ask, n, &a) && modbus_ask_write(&a, pdu) == n && !memcmp(pdu, ask, n);
        good &= !modbus_answer_read(&a, answer, n_answer, &got, NULL);
        good &= modbus_answer_write(&a, &got, pdu) == n_answer && !memcmp(pdu, answer, n_answer);
        ok(good, rows[i].name);
    }
    struct pdu_reading r = {.power_w = 70000, .limit_w = 65536, .n_outlet_on = 24, .tripped = true}, back;
    uint16_t regs[PDU_MAP_INPUTS];
    r.outlet_on[0] = r.outlet_on[23] = true;
    pdu_map_encode(&r, regs);
    ok(regs[0] == 1 && regs[1] == 4464 && regs[2] == 1 && regs[3] == 0, "32 bits: the high word first");
    ok(regs[5] == 1 && regs[6] == 1 && regs[7] == 0x80 && !regs[8], "outlet 1 is bit 0, outlet 24 bit 7 of the next");
    ok(!pdu_map_decode(regs, &back, NULL) && back.power_w == 70000 && back.outlet_on[23], "and back");
    regs[4] = 49;
    is_int(pdu_map_decode(regs, &back, NULL), E_PARSE, "49 outlets are no PDU");
}

/* -- a raw client -- */

static int raw_port(void) {
    char spec[BACKEND_TEXT];
    int port = 0;
    wire_modbus_spec(m.wire, room_find(&m, "pdu/c-h-r01-p"), spec, &m.err);
    sscanf(spec, "modbus:host=127.0.0.1,port=%d", &port);
    return port;
}

static int raw_connect(int port) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a))
        abort();
    return fd;
}

static void raw_send(int fd, const char *text) {
    uint8_t bytes[2048];
    size_t n = hex(text, bytes);
    if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
        abort();
}

/* What comes back within 400 ms of turning the loop, as hex; "closed" when the server closed. */
static const char *raw_answer(int fd, size_t want) {
    static char text[4200];
    uint8_t bytes[2048] = {0};
    size_t n = 0;
    bool is_closed = false;
    for (int i = 0; i < 200 && n < want && !is_closed; i++) {
        loop_turn(m.loop, 2000);
        ssize_t got = recv(fd, bytes + n, sizeof bytes - n, MSG_DONTWAIT);
        is_closed = !got;
        n += got > 0 ? (size_t)got : 0;
    }
    hex_encode(text, bytes, n);
    return is_closed && !n ? "closed" : text;
}

static void begin(const struct wire_modbus_options *options) {
    room_open(&m, LOOP_REAL, classes, backends, "twin", "twin", 3);
    room_serve(&m, PLAIN, options);
}

static void strangers(void) {
    int fd = raw_connect(raw_port());
    raw_send(fd, "000100010006010400020002");
    is_str(raw_answer(fd, 1), "closed", "another protocol is closed");
    close(fd);
    fd = raw_connect(raw_port());
    raw_send(fd, "00010000ffff01");
    is_str(raw_answer(fd, 1), "closed", "so is a frame of 65,541 bytes");
    close(fd);
    fd = raw_connect(raw_port());
    raw_send(fd, "474554202f");
    is_str(raw_answer(fd, 1), "closed", "and HTTP");
    close(fd);
}

static void server(void) {
    static const struct {
        const char *ask, *answer, *name;
    } rows[] = {
        {"000100000006010300000002",
         "00010000000701030400"
         "00ea60",
         "the limit, as holding registers"},
        {"000200000006010400020002",
         "00020000000701040400"
         "00ea60",
         "and as input registers"},
        {"000300000006010100000018",
         "00030000000601010"
         "3ffffff",
         "24 coils, all on"},
        {"000400000006010400000020", "000400000003018402", "registers beyond the map: illegal address"},
        {"00050000000601010000"
         "0019",
         "000500000003018102", "coil 25 of 24: illegal address"},
        {"000600000006010500"
         "30ff00",
         "000600000003018502", "coil 49: illegal address"},
        {"000700000006010500000001", "000700000003018503", "a coil that is neither on nor off: illegal value"},
        {"000800000006010600000001", "000800000003018603", "half of a 32-bit number: illegal value"},
        {"000900000006010600090001", "000900000003018602", "a register that is not there: illegal address"},
        {"000a00000006010200000001", "000a00000003018201", "discrete inputs: illegal function"},
        {"000b000000020107", "000b00000003018701", "function 7: illegal function"},
        {"000c00000006030400000001", "000c0000000303840a", "a unit that is not there: no path"},
        {"000d00000009010f0000000a02"
         "fffc",
         "000d00000006010f0000000a", "ten coils at once"},
        {"000e00000006010100000010",
         "000e0000000501010"
         "2fffc",
         "of which two went off"},
        {"000f0000000b0110000000020400001770",
         "000f000000060110"
         "00000002",
         "a limit of 6,000 W"},
        {"00100000000b01100000000204ffffffff", "001000000003019003", "one above the class's range: illegal value"},
    };
    begin(NULL);
    int fd = raw_connect(raw_port());
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        raw_send(fd, rows[i].ask);
        is_str(raw_answer(fd, strlen(rows[i].answer) / 2), rows[i].answer, rows[i].name);
    }
    for (size_t i = 0; i < 12; i++) {
        char byte[3] = {rows[0].ask[2 * i], rows[0].ask[2 * i + 1], 0};
        raw_send(fd, byte);
        for (int k = 0; k < 3; k++)
            loop_turn(m.loop, 1000);
    }
    is_str(raw_answer(fd, 13), "00010000000701030400001770", "a request in twelve pieces");
    raw_send(fd, "000100000006010400020002"
                 "000200000006010400020002"
                 "000300000006010400020002");
    is_int(strlen(raw_answer(fd, 39)) / 2, 39, "three requests in one piece");
    close(fd);
    strangers();
    is_int(wire_modbus_stats(m.wire).bad_streams, 3, "each is counted");
    room_close(&m);
}

static void limits(void) {
    struct wire_modbus_options o = {.connections_max = 2, .in_flight_max = 4, .idle_timeout_us = MS(300)};
    begin(&o);
    int a = raw_connect(raw_port()), b = raw_connect(raw_port()), c = raw_connect(raw_port());
    is_str(raw_answer(c, 1), "closed", "connections_max: the third is closed");
    close(c);
    for (int i = 0; i < 40; i++)
        raw_send(a, "000100000006010400020002");
    is_int(strlen(raw_answer(a, 520)) / 2, 520, "in_flight_max: forty at once wait and are all answered");
    is_int(wire_modbus_stats(m.wire).refused_connections, 1, "and counted");
    is_str(raw_answer(b, 1), "closed", "idle_timeout: who says nothing is closed");
    is_int(wire_modbus_stats(m.wire).idle_closes >= 1, 1, "and counted");
    close(a);
    close(b);
    a = raw_connect(raw_port());
    for (int i = 0; i < 5; i++)
        raw_send(a, "000100000006010500000000");
    close(a);
    loop_run_until(m.loop, loop_now_us(m.loop) + MS(200));
    struct world_pdu w;
    world_pdu(twin_look(m.twin), room_find(&m, "pdu/c-h-r01-p"), &w, NULL);
    ok(!w.outlet_on[0], "a command whose sender hung up was carried out");
    is_int(wire_modbus_open(&m.host, &backend_twin_pdu, PLAIN,
                            &(struct wire_modbus_options){.port = (uint16_t)raw_port()}, &(struct wire_modbus *){NULL},
                            &m.err),
           E_IO, "a port that is taken is refused");
    room_close(&m);
}

/* -- the driver against servers that misbehave -- */

static int rogue, rogue_port;

static void rogue_begin(void) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)rogue_port)};
    socklen_t size = sizeof a;
    int one = 1;
    rogue = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(rogue, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(rogue, (struct sockaddr *)&a, sizeof a) || listen(rogue, 8) ||
        getsockname(rogue, (struct sockaddr *)&a, &size))
        abort();
    rogue_port = ntohs(a.sin_port);
}

/* Takes the connection and the first request; answers `text`. */
static int rogue_answer(const char *text) {
    uint8_t bytes[300];
    for (int i = 0; i < 20; i++)
        loop_turn(m.loop, 1000);
    int fd = accept(rogue, NULL, NULL);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < 100 && !poll(&p, 1, 0); i++)
        loop_turn(m.loop, 1000);
    if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) < 8)
        abort();
    raw_send(fd, text);
    return fd;
}

static void driver(void) {
    static const struct {
        const char *answer, *words, *name;
        int rc;
    } rows[] = {
        {"00010000000307840b", "exception 11", "gateway: no response", E_UNAVAIL},
        {"000100000003078406", "exception 6", "busy", E_LIMIT},
        {"000100000003078404", "exception 4", "device failure", E_IO},
        {"0001000000030784ff", "exception 255", "an exception that is none", E_IO},
        {"000100000003078302", "function 131", "an exception to another function", E_PARSE},
        {"000100000007070404"
         "00000000",
         "4 bytes where 18", "fewer registers than asked", E_PARSE},
        {"000100000015080412"
         "000000000000000000000000000000000000",
         "another unit", "another unit's answer", E_PARSE},
        {"000100000015070412"
         "000000000000000000310000000000000000",
         "49 outlets", "49 outlets", E_PARSE},
        {"485454502f312e3120343030", "Modbus", "HTTP", E_PARSE},
    };
    char spec[BACKEND_TEXT];
    struct asked a;
    rogue_begin();
    snprintf(spec, sizeof spec, "modbus:port=%d,unit=7", rogue_port);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        room_open(&m, LOOP_REAL, classes, backends, spec, "twin", 3);
        ask(&m, room_find(&m, "pdu/c-h-r01-p"), "read", NULL, &a);
        int fd = rogue_answer(rows[i].answer);
        await(&m, &a);
        ok(a.rc == rows[i].rc && strstr(a.err.message, rows[i].words), rows[i].name);
        if (a.rc != rows[i].rc)
            printf("#   got %d: %s\n", a.rc, a.err.message);
        close(fd);
        room_close(&m);
    }
    room_open(&m, LOOP_REAL, classes, backends, spec, "twin", 3);
    oid p = room_find(&m, "pdu/c-h-r01-p");
    ask(&m, p, "read", NULL, &a);
    int fd = rogue_answer("ffff00000003078404"
                          "00010000000307840b");
    is_int(await(&m, &a), E_UNAVAIL, "an answer that nobody asked is passed over");
    ask(&m, p, "read", NULL, &a);
    for (int i = 0; i < 5; i++)
        loop_turn(m.loop, 1000);
    close(fd);
    is_int(await(&m, &a), E_UNAVAIL, "a connection that breaks ends what is on its way");
    ask(&m, p, "read", NULL, &a);
    fd = rogue_answer("00020000000307840b"
                      "00030000000307840b");
    await(&m, &a);
    ok(strstr(a.err.message, "exception 11"), "and the next request makes a new one at once");
    close(rogue);
    close(fd);
    for (int i = 0; i < 20; i++)
        loop_turn(m.loop, 1000);
    is_int(ask_now(&m, p, "read", NULL, &a), E_UNAVAIL, "nobody listens");
    ok(strstr(a.err.message, "refused"), "the reason is the system's");
    int64_t from = loop_mono_fresh_us();
    is_int(ask_now(&m, p, "read", NULL, &a), E_UNAVAIL, "then it is not asked for a while");
    ok(loop_mono_fresh_us() - from < MS(100) && strstr(a.err.hint, "tried in"),
       "at once, with the time of the next try");
    room_close(&m);
}

static void options(void) {
    static const struct {
        const char *spec, *words;
    } rows[] = {{"modbus:host=pdu.example,port=1", "numeric address"},
                {"modbus:port=0", "port"},
                {"modbus:unit=256", "unit"},
                {"modbus:timeout_us=1us", "timeout"},
                {"modbus:hots=1", "hots"}};
    struct asked a;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        room_open(&m, LOOP_VIRTUAL, classes, backends, rows[i].spec, "twin", 3);
        ok(ask_now(&m, room_find(&m, "pdu/c-h-r01-p"), "read", NULL, &a) == E_INVAL &&
               strstr(a.err.message, rows[i].words),
           rows[i].spec);
        room_close(&m);
    }
}

/* The timeout closes a silent line; a restarted server is found again. */
static void silence(void) {
    char spec[BACKEND_TEXT];
    struct asked a;
    rogue_port = 0;
    rogue_begin();
    snprintf(spec, sizeof spec, "modbus:port=%d,unit=7,timeout_us=200ms", rogue_port);
    room_open(&m, LOOP_REAL, classes, backends, spec, "twin", 3);
    oid p = room_find(&m, "pdu/c-h-r01-p");
    ask(&m, p, "read", NULL, &a);
    int64_t from = loop_mono_fresh_us();
    is_int(await(&m, &a), E_TIMEOUT, "a line that is silent for its timeout is closed");
    ok(loop_mono_fresh_us() - from < MS(1000) && strstr(a.err.message, "silent"),
       "then, and not at the verb's deadline");
    close(rogue);
    room_close(&m);
}

int main(void) {
    examples();
    server();
    limits();
    driver();
    options();
    silence();
    return tap_done();
}
