"""Takes an image in pieces into the slot that is not in use (docs/protocol.md section 8.2), while a hub sends one.

How far it has come is what lies on the flash, so that a lost link and a power cut cost nothing that was kept. Whatever
takes long (emptying the slot, reading files back) is done a step at a time, as the link finds the time for it.
"""

import os

from reader import cbor, copies, durable, manifest, settings, slots, wire
from reader.identity import is_bytes, is_uint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


_AGAIN = const(3)  # times that something which does not stand its hash is wanted again
_BLOCK = const(4096)
# Beside an image: 170 for a block that each file leaves half empty and for the folders, and 84 for twenty results.
_BESIDE_BLOCKS = const(254)
_KEEP = const(4)  # results that must still fit at every piece
_SKIPPED = const(8)  # files that are there already, in one step
_MARK = "/image"  # which image the slot holds; nothing of another is left where it names one


class Receiver:
    """`device` is `reader.session`'s. `take` what a hub says; `step`, called again and again, has the answer."""

    def __init__(self, device: "Any") -> None:
        self._device = device
        self._folder = ""
        self._awaited: "Any" = None  # slots.Awaited, once a hub has asked for it on this link
        self._work: "Any" = None
        self._answer: "Any" = None
        self._offset = 0
        self._entry: "Any" = None  # (name, size, SHA-256) of the file that the offset is in, None in the manifest
        self._start = 0  # of that file in the image
        self._list: "Any" = None
        self._files: "Any" = None

    def take(self, what: "Any") -> int:
        """A hub has an image (the fields of IMAGE) or sends a piece (its bytes as they came on `down`); the code of an
        error, or 0: `step` has the answer."""
        if not isinstance(what, list):
            return self._piece(what)
        if len(what) != 2 or not is_bytes(what[1], wire.IMAGE_ID_BYTES):
            return wire.ERR_MALFORMED
        self._awaited = None
        self._work = self._open(what[1])
        return wire.ERR_NONE

    def _piece(self, message):
        try:
            fields: "Any" = cbor.decode(message)
        except cbor.CborError:
            return wire.ERR_MALFORMED
        if (
            not isinstance(fields, list)
            or len(fields) != 3
            or fields[0] != wire.OP_PIECE
            or not is_uint(fields[1])
            or not isinstance(fields[2], bytes)
        ):
            return wire.ERR_MALFORMED
        _, offset, data = fields
        if not 1 <= len(data) <= wire.PIECE_MAX:
            return wire.ERR_MALFORMED
        if self._work is not None:
            return wire.ERR_BUSY
        if self._awaited is not None and offset + len(data) > self._awaited.image:
            return wire.ERR_MALFORMED
        self._work = self._take(offset, data)
        return wire.ERR_NONE

    def step(self) -> "list[int]":
        """Do a little; the WANTED when there is an answer."""
        if self._work is None:
            return []
        try:
            next(self._work)
            return []
        except StopIteration:
            pass
        except (MemoryError, OSError):
            self._awaited = None  # what is on the flash is looked at anew
            self._answer = wire.ERR_STORAGE
        self._work = None
        code, self._answer = self._answer, wire.ERR_NONE
        if code or self._awaited is None:
            return [wire.OP_WANTED, code or wire.ERR_IMAGE, 0, 0]
        return [wire.OP_WANTED, wire.ERR_NONE, self._offset, self._awaited.image]

    def close(self) -> bool:
        """Let go of the files that are open; whether an answer was still owed."""
        owed = self._work is not None
        self._close_list()
        self._files = self._work = None
        return owed

    def _hindered(self) -> int:
        if self._device.journal.room_for() < _KEEP:
            return wire.ERR_STORAGE
        return wire.ERR_BATTERY if self._device.flags() & wire.FLAG_LOW_BATTERY else wire.ERR_NONE

    def _open(self, image_id: bytes) -> "Iterator[None]":
        self._answer = wire.ERR_NONE
        try:
            state = slots.load(self._device.root)
        except copies.BothDamaged:
            return
        awaited = state.awaited
        if awaited is None or awaited.digest[: wire.IMAGE_ID_BYTES] != image_id:
            return
        # What runs may be another than when the command came.
        why = slots.refusal(state, awaited.release, awaited.least)
        if why is not None and not state.trial:
            self._give_up(why)
            return
        self._answer = wire.ERR_STORAGE if state.trial else self._hindered()
        if self._answer:
            return
        self._folder = slots.folder(self._device.root, slots.idle(state))
        if awaited.whole:
            self._awaited = awaited
            self._offset = awaited.image
            return
        if durable.content(self._folder + _MARK) != awaited.digest:
            durable.folder(self._folder)
            durable.remove(self._folder + _MARK)
            yield from _empty(self._folder)
            durable.replace(self._folder + _MARK, awaited.digest)
        self._awaited = awaited
        yield from self._find()
        if not self._offset and _free_blocks(self._device.root) < awaited.image // _BLOCK + _BESIDE_BLOCKS:
            self._awaited = None
            self._answer = wire.ERR_STORAGE

    def _take(self, offset: int, data: bytes) -> "Iterator[None]":
        self._answer = wire.ERR_NONE
        if self._awaited is None:
            return
        self._answer = self._hindered()
        if self._answer or offset != self._offset:
            return
        self._device.journal.spend(2)  # of its estimate of what is free
        view = memoryview(data)
        while view:
            path, end = self._target()
            count = min(len(view), end - self._offset)
            self._append(path, view[:count])
            self._offset += count
            view = view[count:]
            if self._offset < end:
                break
            before = self._offset
            yield from self._complete(path)
            if self._awaited is None or self._offset != before:
                break  # dropped, or what follows is there already
        self._tell_progress()

    def _target(self):
        """Path of the file that the offset is in, and where it ends in the image."""
        if self._entry is None:
            return self._folder + "/manifest", self._awaited.manifest
        return self._path(self._entry[0]), self._start + self._entry[1]

    def _path(self, name):
        return self._folder + "/" + name

    def _append(self, path, data):
        try:
            file = open(path, "ab")
        except OSError:
            self._make_folders(path)
            file = open(path, "ab")
        with file:
            file.write(data)
            durable.sync(file)

    def _make_folders(self, path):
        at = path.find("/", len(self._folder) + 1)
        while at >= 0:
            durable.folder(path[:at])
            at = path.find("/", at + 1)

    def _complete(self, path):
        """The offset has come to the end of a file: read it back, and go on to the next that is not there."""
        if self._entry is None:
            yield from self._find()
        elif slots.stands(path, self._entry[1], self._entry[2]):
            self._start += self._entry[1]
            yield from self._go_on()
        else:
            self._drop(path, self._start)

    def _find(self) -> "Iterator[None]":
        """Learn from the flash where the image goes on."""
        awaited = self._awaited
        path = self._folder + "/manifest"
        self._entry = None
        self._offset = max(slots.size(path), 0)
        if self._offset < awaited.manifest:
            self._tell_progress()
            return
        if not slots.stands(path, awaited.manifest, awaited.digest):
            self._drop(path, 0)
            return
        why = self._fault_of_manifest()
        if why is not None:
            self._give_up(why)
            return
        self._rewind()
        yield
        yield from self._go_on()
        self._tell_progress()

    def _rewind(self):
        self._close_list()
        self._list = open(self._folder + "/manifest", "rb")
        manifest.head(self._list)
        self._files = manifest.files(self._list)
        self._start = self._awaited.manifest

    def _close_list(self):
        if self._list is not None:
            self._list.close()
            self._list = None

    def _fault_of_manifest(self):
        """Why the manifest, which is as the server knows it, is refused; None when it is not."""
        awaited = self._awaited
        with open(self._folder + "/manifest", "rb") as file:
            try:
                head = manifest.head(file)
                total = awaited.manifest + sum(size for _, size, _ in manifest.files(file))
            except manifest.ManifestError as error:
                return "manifest: %s" % error
        if head.model != settings.MODEL:
            return "model " + head.model
        if (head.release, head.least, total) != (awaited.release, awaited.least, awaited.image):
            return "manifest: numbers"
        return None

    def _go_on(self) -> "Iterator[None]":
        """From the file at `_start` on, find the first that is not there whole; at the end, read all back."""
        skipped = 0
        for entry in self._files:
            name, size, _ = entry
            have = slots.size(self._path(name))
            if not size and have:
                self._make_folders(self._path(name))
                with open(self._path(name), "wb") as file:
                    durable.sync(file)
                have = 0
            if have > size:
                durable.remove(self._path(name))
                have = 0
            if have < size:
                self._entry = entry
                self._offset = self._start + max(have, 0)
                return
            self._start += size
            skipped = (skipped + 1) % _SKIPPED
            if not skipped:
                yield
        yield from self._read_back()

    def _read_back(self) -> "Iterator[None]":
        self._rewind()
        for entry in self._files:
            name, size, digest = entry
            if not slots.stands(self._path(name), size, digest):
                self._entry = entry
                self._drop(self._path(name), self._start)
                return
            self._start += size
            yield
        self._offset = self._awaited.image
        self._entry = None
        state = slots.load(self._device.root)
        state.awaited = self._awaited
        self._awaited.whole = True
        state.tell(wire.UPDATE_WHOLE, self._awaited.release)
        slots.keep(self._device, state)
        slots.tell(self._device, state)

    def _drop(self, path, start):
        """What lies at `path` is not what the manifest says; want it again, or no more."""
        durable.remove(path)
        self._offset = start
        state = slots.load(self._device.root)
        state.drops += 1
        slots.keep(self._device, state)
        if state.drops > _AGAIN:
            self._give_up("does not stand its hash")

    def _give_up(self, why):
        state = slots.load(self._device.root)
        if state.awaited is not None:
            state.tell(wire.UPDATE_REFUSED, state.awaited.release)
        state.awaited = None
        state.drops = 0
        slots.keep(self._device, state)
        slots.tell(self._device, state, why)
        self._awaited = None

    def _tell_progress(self):
        if self._awaited is not None:
            self._device.progress = 100 * self._offset // self._awaited.image


def _empty(folder: str) -> "Iterator[None]":
    """Remove every file below `folder`, one a step. Folders stay, and their marks: they are settled once in a life."""
    for name in os.listdir(folder):
        path = folder + "/" + name
        if slots.size(path) < 0:
            yield from _empty(path)
        elif name != "settled":
            durable.remove(path)
            yield


def _free_blocks(root):
    state = os.statvfs(root or "/")
    return state[3] * state[1] // _BLOCK


def flawed(root: str, slot: int) -> bool:
    """Whether anything of the image in `slot` does not stand its manifest, read back now. OSError."""
    folder = slots.folder(root, slot)
    with open(folder + "/manifest", "rb") as file:
        manifest.head(file)
        return not all(slots.stands(folder + "/" + name, size, digest) for name, size, digest in manifest.files(file))
