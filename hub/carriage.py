"""An image on its way to a reader: which piece is next, when to stop, and when to ask again. Pure."""

from dataclasses import dataclass, field

from hub import messages
from hub.errors import Malformed
from hub.messages import Control, ErrorReply, Wanted
from reader import wire

TURN_BYTES = 64 * 1024  # at most so much before the reader's records, and other readers, are looked at again
UNKNOWN = wire.ERR_UNKNOWN_OP  # an older firmware, that has no updates
# How long a reader that answered so is not asked again, in ms. A reader that has all is asked now and then: it may have
# been told to begin anew.
_PAUSE_MS = {
    wire.ERR_NONE: 600_000,
    wire.ERR_STORAGE: 300_000,
    wire.ERR_BATTERY: 900_000,
    wire.ERR_IMAGE: 1_800_000,
    UNKNOWN: 86_400_000,
}
_FAULT_MS, _FAULT_CAP_MS = 15_000, 900_000
_TRIES = 3  # of each file, as the reader counts
_SPARE = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """To be sent on `down`; `size` is its content's."""

    message: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more in this visit. `code` is 0 when the reader has all of it."""

    code: int


class Carriage:
    """One image and one reader, for one visit. `offset` is the next byte that the reader wants, once it has said so;
    `rose` tells that it has come beyond the first such."""

    def __init__(self, image: bytes) -> None:
        self._image = image
        self._left = _TRIES * -(-len(image) // wire.PIECE_MAX) + _SPARE
        self._first: int | None = None
        self.offset: int | None = None
        self.rose = False

    def answer(self, reply: Control) -> Piece | Ended:
        """What follows the reader's answer to IMAGE or to a piece. Raises Malformed for one that does not fit, and for
        a reader that asks for more pieces than an image can need."""
        if reply == ErrorReply(UNKNOWN, wire.OP_IMAGE):
            return Ended(UNKNOWN)
        if not isinstance(reply, Wanted):
            raise Malformed(f"An image was answered with {reply}")
        if reply.code != wire.ERR_NONE:
            return Ended(reply.code)
        if reply.size != len(self._image):
            raise Malformed(f"It awaits an image of {reply.size} bytes; this one has {len(self._image)}")
        self.offset = at = reply.offset
        self._first = at if self._first is None else self._first
        self.rose = self.rose or at > self._first
        if at == len(self._image):
            return Ended(wire.ERR_NONE)
        if self._left == 0:
            raise Malformed("It asks for the same pieces again and again")
        self._left -= 1
        content = self._image[at : at + wire.PIECE_MAX]
        return Piece(messages.piece(at, content), len(content))


@dataclass(slots=True)
class _Wait:
    image_id: bytes
    until_ms: int
    faults: int = 0


@dataclass(slots=True)
class Asking:
    """Which reader may be asked whether it wants an image, and which is left alone for a while. Times are ms of any
    monotonic clock."""

    _waits: dict[bytes, _Wait] = field(default_factory=dict[bytes, _Wait])

    def may(self, reader_id: bytes, image_id: bytes, now_ms: int) -> bool:
        wait = self._waits.get(reader_id)
        return wait is None or wait.image_id != image_id or now_ms >= wait.until_ms

    def ended(self, reader_id: bytes, image_id: bytes, code: int, now_ms: int) -> None:
        """The reader said `code`; one that is not known is treated like storage that failed."""
        pause_ms = _PAUSE_MS.get(code, _PAUSE_MS[wire.ERR_STORAGE])
        self._waits[reader_id] = _Wait(image_id, now_ms + pause_ms)

    def failed(self, reader_id: bytes, image_id: bytes, now_ms: int) -> int:
        """The link or the reader failed under an image: each time in a row it is left alone twice as long. Returns how
        often it was, in a row."""
        wait = self._waits.get(reader_id)
        faults = wait.faults + 1 if wait is not None and wait.image_id == image_id else 1
        pause_ms = min(_FAULT_CAP_MS, _FAULT_MS * 2 ** min(faults - 1, 16))
        self._waits[reader_id] = _Wait(image_id, now_ms + pause_ms, faults)
        return faults

    def again(self, reader_id: bytes) -> None:
        """Something changed that may change its answer."""
        self._waits.pop(reader_id, None)
