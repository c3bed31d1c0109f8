"""What goes over the socket between the hub's process and the modelled air: one kind, one length, that many bytes."""

import asyncio
import struct

# From the hub: what the connection is for.
SCAN, CONNECT = b"S", b"C"
# From the hub on a connection to a reader: a write to control or down.
CONTROL, DOWN = b"c", b"d"
# To the hub: connected, refused; an advertisement; an indication of control, a notification of up.
CONNECTED, REFUSED, ADVERT, INDICATED, NOTIFIED = b"K", b"N", b"A", b"I", b"U"
# To the hub: move its wall clock by so many milliseconds (8 bytes, signed). Only the bench can.
CLOCK = b"T"

_HEAD = struct.Struct(">cI")
_LONGEST = 64 * 1024


def packed(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(kind, len(payload)) + payload


async def read(stream: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next frame: kind and payload. Raises asyncio.IncompleteReadError (an EOFError) at the end."""
    kind, length = _HEAD.unpack(await stream.readexactly(_HEAD.size))
    if length > _LONGEST:
        raise ConnectionError(f"a frame of {length} bytes on the modelled air")
    return kind, await stream.readexactly(length)
