"""Advertising data of protocol.md section 4: the service in the advert, what the reader holds in the scan
response.
"""

import struct

from reader import wire

_FLAGS = b"\x02\x01\x06"  # general discoverable, no BR/EDR (Core Specification Supplement, part A 1.3)
_TYPE_UUID128 = b"\x07"
_TYPE_SHORT_NAME = b"\x08"
_TYPE_MANUFACTURER = b"\xff"
_LIMIT = 31


def _field(kind, data):
    return bytes((len(data) + 1,)) + kind + data


def uuid_bytes(text):
    """A 128-bit UUID's 16 bytes as they go over the air, least significant first."""
    digits = text.replace("-", "")
    return bytes(int(digits[i : i + 2], 16) for i in range(30, -1, -2))


def payload():
    """The advert: flags and the service's UUID."""
    return _FLAGS + _field(_TYPE_UUID128, uuid_bytes(wire.SERVICE_UUID))


def response(reader_id, next_number, released, flags, name):
    """The scan response: what the reader holds, and as much of its name as fits in 31 bytes."""
    held = struct.pack("<H", wire.ADVERT_COMPANY) + struct.pack(
        wire.ADVERT_FORMAT, wire.VERSION, reader_id, next_number, released, flags
    )
    data = _field(_TYPE_MANUFACTURER, held)
    room = _LIMIT - len(data) - 2
    short = name.encode()[:room] if room > 0 else b""
    return data + _field(_TYPE_SHORT_NAME, short) if short else data
