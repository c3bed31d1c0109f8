"""A GATT server that tells on the console what happens to it, and obeys one-letter commands."""

import asyncio
import gc

import bluetooth
from micropython import const

_CONNECT = const(1)
_DISCONNECT = const(2)
_WRITE = const(3)
_INDICATE_DONE = const(20)
_MTU = const(21)

SERVICE = bluetooth.UUID("c7a6e1f0-6b21-4f0e-9a55-3d2f8be01a00")
STATUS = (bluetooth.UUID("c7a6e1f0-6b21-4f0e-9a55-3d2f8be01a01"), bluetooth.FLAG_READ | bluetooth.FLAG_NOTIFY)
CONTROL = (bluetooth.UUID("c7a6e1f0-6b21-4f0e-9a55-3d2f8be01a02"), bluetooth.FLAG_WRITE | bluetooth.FLAG_INDICATE)
DOWN = (bluetooth.UUID("c7a6e1f0-6b21-4f0e-9a55-3d2f8be01a03"), bluetooth.FLAG_WRITE | bluetooth.FLAG_WRITE_NO_RESPONSE)

ble = bluetooth.BLE()
flag = asyncio.ThreadSafeFlag()
commands = []
conn = None
hold = False  # leave what is written to DOWN in its buffer


def irq(event, data):
    global conn
    if event == _CONNECT:
        conn = data[0]
        print("connect", data[0], data[1], bytes(data[2]).hex())
    elif event == _DISCONNECT:
        conn = None
        print("disconnect", data[0])
        ble.gap_advertise(100000, ADV, resp_data=RESP)
    elif event == _WRITE:
        if data[1] == control:
            commands.append(ble.gatts_read(control))
            flag.set()
        elif not hold:
            value = ble.gatts_read(data[1])
            print("write", data[1] - control, len(value))
    elif event == _MTU:
        print("mtu", data[1])
    elif event == _INDICATE_DONE:
        print("indicated", data[2])


ADV = b"\x02\x01\x06\x11\x07" + bytes(SERVICE)
RESP = b"\x07\x09Reader"

ble.active(True)
ble.config(mtu=256, gap_name="Reader")
ble.irq(irq)
((status, control, down),) = ble.gatts_register_services(((SERVICE, (STATUS, CONTROL, DOWN)),))
ble.gatts_set_buffer(control, 100)
ble.gatts_write(status, b"hello")
ble.gap_advertise(100000, ADV, resp_data=RESP)
gc.collect()
print("free", gc.mem_free())


async def main():
    global hold
    while True:
        await flag.wait()
        while commands:
            command = commands.pop(0)
            letter = command[:1]
            if letter == b"q":
                hold = True
            elif letter == b"n":  # n<count><size>: notifications as fast as they go, waiting for room
                count, size = command[1] | command[2] << 8, command[3]
                full = 0
                for i in range(count):
                    data = bytes((i & 255, i >> 8)) + bytes(size - 2)
                    while True:
                        try:
                            ble.gatts_notify(conn, status, data)
                            break
                        except OSError as error:
                            if error.errno != 12:
                                raise
                            full += 1
                            await asyncio.sleep_ms(5)
                print("notified", count, "full", full > 0)
            elif letter == b"i":
                ble.gatts_indicate(conn, control, b"done")
            elif letter == b"a":
                ble.gatts_set_buffer(down, 50, True)
                ble.gatts_indicate(conn, control, b"ok")
            elif letter == b"r":
                print("read", len(ble.gatts_read(down)), len(ble.gatts_read(down)))
            elif letter == b"X":
                await asyncio.sleep_ms(200)
                ble.gap_disconnect(conn)
            elif letter == b"x":
                ble.gap_disconnect(conn)
            elif letter == b"e":
                raise ValueError("asked for")


asyncio.run(main())
