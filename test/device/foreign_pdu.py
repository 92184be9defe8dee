#!/usr/bin/python3
"""A rack PDU that none of us wrote the protocol of: Debian's python3-pymodbus serves the register map of
src/device/live/modbus/pdu_map.h as unit 7, with a small behaviour of its own: 16 of 24 outlets draw the same; the unit
trips as soon as a read finds it above its limit.

Started by test/device/conform_pdu.c. Prints "port N", then takes one command a line and answers "ok":
cut, feed (unplugged or not), reset (after a trip), load WATTS (an outlet), slow SECONDS (each answer). Ends when its
standard input does."""
import asyncio
import logging
import os
import sys
import time

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSequentialDataBlock
from pymodbus.exceptions import NoSuchSlaveException
from pymodbus.server.async_io import ModbusTcpServer

logging.disable(logging.CRITICAL)
OUTLETS, LOADED, UNIT = 24, 16, 7


class Pdu:
    load_w, limit_w, tripped, slow_s = 438.6, 60000, False, 0.0

    def __init__(self):
        self.on = [True] * OUTLETS

    def power(self):
        return 0 if self.tripped else round(sum(self.load_w for on in self.on[:LOADED] if on))

    def inputs(self):
        if self.limit_w and self.power() > self.limit_w:
            self.tripped = True
        power, states = self.power(), sum(on << i for i, on in enumerate(self.on))
        return [power >> 16, power & 0xFFFF, self.limit_w >> 16, self.limit_w & 0xFFFF, OUTLETS, int(self.tripped),
                states & 0xFFFF, states >> 16 & 0xFFFF, states >> 32]


class Block(ModbusSequentialDataBlock):
    """A block of pymodbus whose values are read from and written to the unit at the moment of the request."""

    def __init__(self, size, get, put=None):
        super().__init__(0, [0] * size)
        self.get, self.put = get, put

    def getValues(self, address, count=1):
        return self.get()[address:address + count]

    def setValues(self, address, values):
        self.put(address, values if isinstance(values, list) else [values])


def unit_of(pdu):
    def switch(address, values):
        for i, value in enumerate(values):
            pdu.on[address + i] = bool(value)

    def limit(address, values):
        both = [pdu.limit_w >> 16, pdu.limit_w & 0xFFFF]
        both[address:address + len(values)] = values
        pdu.limit_w = both[0] << 16 | both[1]

    return ModbusSlaveContext(
        zero_mode=True,
        co=Block(OUTLETS, lambda: pdu.on, switch),
        di=Block(1, lambda: [False]),
        ir=Block(9, pdu.inputs),
        hr=Block(2, lambda: [pdu.limit_w >> 16, pdu.limit_w & 0xFFFF], limit))


class Line(ModbusServerContext):
    """The line to the units; a unit that is cut off is still known and does not answer."""
    is_cut = False

    def __getitem__(self, unit):
        if self.is_cut:
            raise NoSuchSlaveException("unplugged")
        return super().__getitem__(unit)


async def main():
    pdu = Pdu()
    context = Line(slaves={UNIT: unit_of(pdu)}, single=False)

    def late(response):
        time.sleep(pdu.slow_s)
        return response, False

    server = ModbusTcpServer(context, address=("127.0.0.1", 0), ignore_missing_slaves=True, response_manipulator=late)
    serving = asyncio.ensure_future(server.serve_forever())
    await server.serving
    print(f"port {server.server.sockets[0].getsockname()[1]}", flush=True)
    over = asyncio.get_running_loop().create_future()

    def command():
        for line in os.read(0, 4096).decode().splitlines() or ["end"]:
            word, _, value = line.partition(" ")
            if word == "end":
                over.set_result(True)
                return
            if word in ("cut", "feed"):
                context.is_cut = word == "cut"
            elif word == "reset":
                pdu.tripped = False
            elif word == "load":
                pdu.load_w = float(value)
            elif word == "slow":
                pdu.slow_s = float(value)
            else:
                print(f"unknown {word}", flush=True)
                continue
            print("ok", flush=True)

    asyncio.get_running_loop().add_reader(0, command)
    await over
    serving.cancel()
    os._exit(0)


asyncio.run(main())
