"""What a reader advertises: enough to know whether there is work, nothing that is trusted (protocol section 4)."""

import struct
from dataclasses import dataclass

from hub.errors import Malformed
from reader import wire

_LENGTH = struct.calcsize(wire.ADVERT_FORMAT)


@dataclass(frozen=True, slots=True)
class Advert:
    """`next` is the number the reader will give its next record; `released` the last one it may have discarded."""

    reader_id: bytes
    next: int
    released: int
    flags: int


def read_advert(data: bytes) -> Advert:
    """Read the manufacturer data of company 0xFFFF. Raises Malformed; longer data is of a later version and is read
    as far as this one goes."""
    if len(data) < _LENGTH:
        raise Malformed("The advertisement is too short.")
    version, reader_id, next, released, flags = struct.unpack_from(wire.ADVERT_FORMAT, data)
    if version != wire.VERSION:
        raise Malformed(f"The advertisement is of protocol version {version}.")
    if next == 0 or released >= next:
        raise Malformed("The advertisement's numbers do not fit each other.")
    return Advert(reader_id, next, released, flags)
