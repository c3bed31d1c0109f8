"""Which application runs and what is awaited: the reader's end of docs/protocol.md section 8.3, kept in two copies.

The application that the reader was made with lies beside boot.py and is never overwritten; updates go to the folders
/slot_a and /slot_b, whichever is not in use. boot.py reads the same copies (`reader.copies`, named `slots`) and counts
starts in them, so the first bytes of a state are for ever as they are.
"""

import hashlib
import os
import struct

from reader import copies, settings, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


_NAME = "slots"
_HEAD = ">BBBBBBIIIII"
_HEAD_BYTES = const(26)
_TAIL = ">BIIII32s"
_TAIL_BYTES = const(49)
_CHUNK = const(1024)
_FOLDER = 0x4000  # of a stat's mode

# Why an application went back, in the upper half of `untold`.
STARTS_IN_A_ROW = const(1)
STARTS_IN_ALL = const(2)
TIME = const(3)
NOT_STARTED = const(4)
_WHY = ("", "three starts", "thirty starts", "48 hours", "did not start")


class Awaited:
    """An image that the server has commanded: `digest` is SHA-256 of its manifest, sizes are bytes. `whole`: every file
    of it was read back."""

    def __init__(self, release: int, least: int, manifest: int, image: int, digest: bytes, version: str) -> None:
        self.release = release
        self.least = least
        self.manifest = manifest
        self.image = image
        self.digest = digest
        self.version = version
        self.whole = False


class State:
    """What is kept.

    slot, trial    the slot confirmed and the one on trial: 0 none (the application that the reader was made with), 1, 2
    row, starts    starts of the trial in a row that did not get well, and in all
    untold         stage of the event that is to be journalled, and 16 times why it went back; `untold_release` is whose
    drops          how often something of the image awaited did not stand its hash
    release        on trial
    floor          the highest ever confirmed
    told           number of the event of stage 3, 0 until it is journalled
    checks         self-check bits at the switch: what was faulty before is not the release's fault
    awaited        an Awaited, or None
    """

    def __init__(self) -> None:
        self.slot = self.trial = self.row = self.starts = self.untold = self.drops = 0
        self.release = self.floor = self.told = self.untold_release = self.checks = 0
        self.awaited: "Awaited | None" = None

    def tell(self, stage: int, release: int, why: int = 0) -> None:
        """Have the next `tell` journal it."""
        self.untold = stage | why << 4
        self.untold_release = release

    def settle(self, slot: int) -> None:
        """End the trial on the application of `slot`."""
        self.slot = slot
        self.trial = self.row = self.starts = self.told = 0


def load(root: str) -> State:
    """The state kept below `root`. BothDamaged: nothing is known of it."""
    data = copies.kept(root, _NAME)
    state = State()
    if data is None:
        return state
    if len(data) < _HEAD_BYTES:
        raise copies.BothDamaged
    (
        state.slot, state.trial, state.row, state.starts, state.untold, state.drops,
        state.release, state.floor, state.told, state.untold_release, state.checks,
    ) = struct.unpack_from(_HEAD, data)  # fmt: skip
    if len(data) >= _HEAD_BYTES + _TAIL_BYTES:
        whole, release, least, manifest, image, digest = struct.unpack_from(_TAIL, data, _HEAD_BYTES)
        version = data[_HEAD_BYTES + _TAIL_BYTES :].decode()
        state.awaited = Awaited(release, least, manifest, image, digest, version)
        state.awaited.whole = bool(whole)
    return state


def encode(state: State) -> bytes:
    """What is kept of `state`."""
    data = struct.pack(
        _HEAD, state.slot, state.trial, state.row, state.starts, state.untold, state.drops,
        state.release, state.floor, state.told, state.untold_release, state.checks,
    )  # fmt: skip
    image = state.awaited
    if image is None:
        return data
    numbers = (image.release, image.least, image.manifest, image.image)
    return data + struct.pack(_TAIL, image.whole, *numbers, image.digest) + image.version.encode()


def keep(device: "Any", state: State) -> None:
    """Make `state` what is kept below `device.root`, in one step, and have `device` know. OSError: either one stays."""
    copies.keep(device.root, _NAME, encode(state))
    note(device, state)


def note(device: "Any", state: State) -> None:
    """Have `device` know whether anything is to be done once a minute, and nothing of a progress that is over."""
    image = state.awaited
    device.renewing = bool(state.trial or state.untold or (image is not None and image.whole))
    if image is None:
        device.progress = None


def tell(device: "Any", state: State, detail: "str | None" = None) -> None:
    """Journal what is to be told, and keep that it was; where the journal has no room, another time. OSError."""
    stage = state.untold & 15
    if not stage:
        return
    if detail is None:
        detail = _WHY[min(state.untold >> 4, NOT_STARTED)] or None
        if detail is None and state.awaited is not None and state.awaited.release == state.untold_release:
            detail = state.awaited.version
        elif detail is None and stage == wire.UPDATE_CONFIRMED:
            detail = settings.FIRMWARE
    print("update: release", state.untold_release, "stage", stage, detail)
    if device.event(wire.EVENT_UPDATE, detail, [state.untold_release, stage]):
        state.untold = 0
        keep(device, state)


def folder(root: str, slot: int) -> str:
    """Where the application of slot 1 or 2 lies."""
    return "%s/slot_%s" % (root, " ab"[slot])


def idle(state: State) -> int:
    """The slot that an image may be written to."""
    return 2 if 1 in (state.slot, state.trial) else 1


def running() -> int:
    """The slot that this very code was loaded from, 0 for none."""
    return settings.FOLDER.find("/slot_") + 1 and " ab".find(settings.FOLDER[-2])


def size(path: str) -> int:
    """Bytes of the file at `path`; -1 when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return -1
    return -1 if found[0] & _FOLDER else found[6]


def stands(path: str, bytes_: int, digest: bytes) -> bool:
    """Whether the file at `path`, read back, has that size and SHA-256."""
    if size(path) != bytes_:
        return False
    read = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    try:
        with open(path, "rb") as file:
            while count := file.readinto(view):
                read.update(view[:count])
    except OSError:
        return False
    return read.digest() == digest


def refusal(state: State, release: int, least: int) -> "str | None":
    """Why that release may not follow what runs here, or None."""
    if release <= max(settings.RELEASE, state.floor, state.release if state.trial else 0):
        return "release %d is not above %d" % (release, max(settings.RELEASE, state.floor))
    if least > settings.RELEASE:
        return "release %d must come first" % least
    return None
