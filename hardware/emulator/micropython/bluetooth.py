"""`bluetooth` as NimBLE on the ESP32 has it (peripheral and GATT server), over the bench's virtual air.

Services, settings and events are put together and taken apart on the bench's side: here they would live on the reader's
heap, and on the board they are in ROM.
"""

import _bench
from micropython import const

_ACTIVE = const(10)
_REGISTER = const(11)
_READ = const(12)
_WRITE = const(13)
_NOTIFY = const(14)
_INDICATE = const(15)
_SET_BUFFER = const(16)
_ADVERTISE = const(17)
_DISCONNECT = const(18)
_CONFIG = const(21)
_IRQ_DONE = const(132)
_EVENT_BLE = const(4)

_handler = None


def __getattr__(name):
    import _bluetooth

    return getattr(_bluetooth, name)


def UUID(value):
    """The bytes of a 16- or 128-bit UUID, little-endian as it goes over the air."""
    if isinstance(value, int):
        return _bench.struct.pack("<H", value)
    digits = value.replace("-", "")
    return bytes([int(digits[i : i + 2], 16) for i in range(30, -1, -2)])


def _on_ble(data, n):
    # The event, the length of its form, the form, its values.
    at = 2 + data[1]
    result = 0
    try:
        if _handler:
            result = _handler(data[0], _bench.struct.unpack_from(str(data[2:at], "utf8"), data, at))
    finally:
        _bench.send(_IRQ_DONE, "<H", result or 0)
        _bench.flush()


_bench.handlers[_EVENT_BLE] = _on_ble


class BLE:
    def active(self, active):
        _bench.ask(_ACTIVE, "B", active)

    def config(self, name=None, **values):
        if name:
            return eval(_bench.ask(_CONFIG, "", data=repr((name,)).encode()))
        for pair in values.items():
            _bench.ask(_CONFIG, "", data=repr(pair).encode())

    def irq(self, handler):
        global _handler
        _handler = handler

    def gap_advertise(self, interval_us, adv_data=None, resp_data=None):
        _bench.ask(_ADVERTISE, "", data=repr((interval_us, adv_data, resp_data)).encode())

    def gap_disconnect(self, conn_handle):
        return _bench.ask(_DISCONNECT, "<H", conn_handle) == b"\x01"

    def gatts_register_services(self, services):
        return eval(_bench.ask(_REGISTER, "", data=repr(services).encode()))

    def gatts_read(self, value_handle):
        return _bench.ask(_READ, "<H", value_handle)

    def gatts_write(self, value_handle, data, send_update=False):
        _bench.ask(_WRITE, "<HB", value_handle, send_update, data=data)

    def gatts_notify(self, conn_handle, value_handle, data=None):
        _bench.ask(_NOTIFY, "<HHB", conn_handle, value_handle, data is not None, data=data)

    def gatts_indicate(self, conn_handle, value_handle, data=None):
        _bench.ask(_INDICATE, "<HHB", conn_handle, value_handle, data is not None, data=data)

    def gatts_set_buffer(self, value_handle, len, append=False):
        _bench.ask(_SET_BUFFER, "<HHB", value_handle, len, append)
