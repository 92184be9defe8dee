/* Wire: the world's PDUs served as Modbus TCP on loopback, so that the live driver is exercised on every run.
 *
 * One server a port, up to 247 units behind it (unit 1 is the first pdu in order of id); an estate with more PDUs gets
 * more ports. What answers is an instrument of the twin (the backend given at open), so latency, noise and loss are the
 * same as in process, drawn from the same named streams: the honesty test rests on that. The register map is
 * device/live/modbus/pdu_map.h. A request that the instrument never answers is answered by exception 11 when the
 * verb's time is up, as a gateway does.
 *
 * Limits: connections, transactions in flight on one connection (more wait in the socket), idle time, frame size.
 * Streams that are not Modbus TCP are closed. Only loopback is ever bound. In a virtual loop real sockets take no plant
 * time (loop_hold_message); the instrument's latency does. */
#ifndef SUAN_DEVICE_WIRE_MODBUS_H
#define SUAN_DEVICE_WIRE_MODBUS_H

#include "device/device.h"
#include "estate/kinds.h"

enum { WIRE_MODBUS_UNITS = 247 };

struct wire_modbus_options {
    uint16_t port;       /* of the first server, the others follow; 0 = free ones */
    int connections_max; /* 0 = 32, a server */
    int in_flight_max;   /* 0 = 16, a connection; in a virtual loop not less than its clients send at once: a request
                          * that is left in the socket keeps time from passing */
    int64_t idle_timeout_us; /* 0 = 60 s */
};
struct wire_modbus_stats {
    int64_t connections, refused_connections, requests, exceptions, bad_streams, idle_closes;
};

struct wire_modbus;
/* Serve every pdu of the estate by instruments of `pdu_ops` (the twin's), opened with `instrument` as their options
 * text
 * ("twin" or "twin:loss_ratio=0.1"). */
int wire_modbus_open(struct host *h, const struct backend_ops *pdu_ops, const char *instrument,
                     const struct wire_modbus_options *options, struct wire_modbus **out, struct err *e);
/* Before twin_close. */
void wire_modbus_close(struct wire_modbus *w);
/* "modbus:host=127.0.0.1,port=…,unit=…" of a served pdu, for its `backend` field; E_NOTFOUND else. */
int wire_modbus_spec(const struct wire_modbus *w, oid pdu, char spec[BACKEND_TEXT], struct err *e);
struct wire_modbus_stats wire_modbus_stats(const struct wire_modbus *w);

#endif
