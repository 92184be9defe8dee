/* The Modbus TCP driver: backend "modbus" of class pdu over the register map of pdu_map.h. */
#ifndef SUAN_DEVICE_LIVE_MODBUS_MODBUS_H
#define SUAN_DEVICE_LIVE_MODBUS_MODBUS_H

#include "device/device.h"

extern const struct backend_ops backend_modbus_pdu;

#endif
