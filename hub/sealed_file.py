"""Records and receipts in a file, for where no network goes: its form, written whole or not at all, read in bounded
pieces (protocol section 6).

The numbers below are of files only. They stand here and not in `reader.wire`, because no reader ever sees a file and
every name there costs it memory.
"""

import contextlib
import errno
import hashlib
import hmac
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from hub import cbor, lock
from hub.errors import HubError, Malformed
from hub.sealed import is_bytes, is_uint
from reader import wire

ITEM_HEAD, ITEM_FRAME, ITEM_END = 5, 6, 7
HEAD_VERSION, HEAD_HUB, HEAD_MADE_MS, HEAD_EPOCH, HEAD_HEARD_MS, HEAD_SOFTWARE = 1, 2, 3, 4, 5, 6
FROM_HUB, FROM_SERVER = 1, 2  # whose items a frame holds: `hub-item` or `server-item`
FRAME_MAX = 128 * 1024
FRAME_FULL = 64 * 1024  # a frame is closed once it holds so much
FRAMES_MAX = 65_536  # 4 GiB and more: months of a busy district
SIGNATURE_BYTES = 96  # ES384, r and s (RFC 9053 section 2.1)
LABEL = b"doorstep/1 file"  # holds a space, so that no signature of a file is one of a token's assertion
_HASH_BYTES = 32
_PIECE_MAX = FRAME_MAX + 128
_HEAD_KEYS = {HEAD_VERSION, HEAD_HUB, HEAD_MADE_MS, HEAD_EPOCH, HEAD_HEARD_MS, HEAD_SOFTWARE}

Sign = Callable[[bytes], bytes]
Progress = Callable[[int, int], None]  # so much done of so much


def silently(done: int, total: int) -> None:
    """A progress that nobody watches."""


class FileRefused(HubError):
    """The file cannot be written or must not be believed; the sentence says why and what to do."""

    code = "file-refused"


@dataclass(frozen=True, slots=True)
class Head:
    """Who made the file and when. `hub_id` is None for a server's; `epoch` the server's as its maker last heard it, at
    `heard_ms` by the server's clock. Times are Unix ms."""

    hub_id: bytes | None
    made_ms: int
    epoch: bytes | None
    heard_ms: int
    software: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A checked piece: `kind` is FROM_HUB or FROM_SERVER, `content` a CBOR sequence of such items."""

    kind: int
    content: bytes


def signed_bytes(frames: int, final: bytes) -> bytes:
    """What the maker signs: `final` (32 bytes) is the hash after the last of `frames`."""
    return LABEL + frames.to_bytes(4, "big") + final


class FileWriter:
    """`with FileWriter(path, head) as out: out.add(...); out.finish(sign)`. Until `finish` there is no file of that
    name, and whatever ends the block sooner leaves none."""

    def __init__(self, path: Path, head: Head, replace: bool = False) -> None:
        """Raises FileRefused when there is such a file and it is not to be replaced."""
        self._path, self._replace = path, replace
        self._part = path.with_name(path.name + ".part")
        fields = {
            HEAD_VERSION: wire.VERSION,
            HEAD_HUB: head.hub_id,
            HEAD_MADE_MS: head.made_ms,
            HEAD_EPOCH: head.epoch,
            HEAD_HEARD_MS: head.heard_ms,
            HEAD_SOFTWARE: head.software,
        }
        self._head = cbor.encode([ITEM_HEAD, fields])
        self._hash = hashlib.sha256(self._head).digest()
        self._kind, self._open, self._frames = FROM_HUB, bytearray(), 0
        self._file = -1
        self._finished = False

    def __enter__(self) -> Self:
        if self._path.exists() and not self._replace:
            raise FileRefused(f"{self._path} is there already. Choose another name, or add --replace.")
        with _named(self._path):
            self._file = os.open(self._part, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if not lock.take(self._file) or not self._part.exists():
                    raise FileRefused(f"{self._path} is being written by another command. Wait until that has ended.")
                os.ftruncate(self._file, 0)  # what a killed one left
                self._write(self._head)
            except BaseException:
                os.close(self._file)
                raise
        return self

    def add(self, kind: int, item: bytes) -> None:
        """Append one encoded item. Raises FileRefused when the disk does not take it."""
        if kind != self._kind or len(self._open) + len(item) > FRAME_MAX:
            self._close_frame()
        self._kind = kind
        self._open += item
        if len(self._open) >= FRAME_FULL:
            self._close_frame()

    def finish(self, sign: Sign | None = None) -> int:
        """Close the file durably under its name; returns its size in bytes."""
        self._close_frame()
        signature = sign(signed_bytes(self._frames, self._hash)) if sign else None
        with _named(self._path):
            self._write(cbor.encode([ITEM_END, self._frames, self._hash, signature]))
            os.fsync(self._file)
            size = os.fstat(self._file).st_size
            self._part.replace(self._path)
            sync_folder(self._path.parent)
        self._finished = True
        return size

    def __exit__(self, *exc: object) -> None:
        if not self._finished:
            with contextlib.suppress(OSError):  # a stick that was pulled out has nothing to remove
                self._part.unlink()
        os.close(self._file)

    def _close_frame(self) -> None:
        if not self._open:
            return
        if self._frames == FRAMES_MAX:
            raise FileRefused("This is more than one file may hold. Deliver some of it over a network first.")
        content = bytes(self._open)
        self._hash = _next_hash(self._hash, self._kind, content)
        with _named(self._path):
            self._write(cbor.encode([ITEM_FRAME, self._frames, self._kind, content, self._hash]))
        self._frames += 1
        self._open.clear()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that is whole. `final` is its last hash; `signature` is its maker's, not verified here."""

    head: Head
    frames: int
    final: bytes
    signature: bytes | None
    size: int


def check(path: Path, look: Callable[[Frame], None], progress: Progress = silently) -> Checked:
    """Read the whole file and keep nothing of it; `look` raises Malformed at a frame whose items are not of the
    protocol. Raises FileRefused unless every byte is as it was written."""
    with _opened(path) as (stream, size):
        reader = _Reader(stream)
        for frame in reader.frames():
            look(frame)
            progress(stream.tell(), size)
        return Checked(reader.head, reader.count, reader.final, reader.signature, size)


def frames(path: Path, checked: Checked, progress: Progress = silently) -> Iterator[Frame]:
    """The frames of a file that was checked, in order. Raises FileRefused when it is no longer that file."""
    with _opened(path) as (stream, size):
        reader = _Reader(stream)
        for frame in reader.frames():
            yield frame
            progress(stream.tell(), size)
        if not hmac.compare_digest(reader.final, checked.final):
            raise FileRefused(f"{path} was changed while it was read. Copy it anew and import it again.")


class _Reader:
    """Reads a file from its beginning, one bounded piece after the other."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._buffer = stream, b""
        begin = self._buffer = stream.read(_PIECE_MAX)
        item = self._item()
        self.head = _head(item)
        self.final = hashlib.sha256(begin[: len(begin) - len(self._buffer)]).digest()
        self.count = 0
        self.signature: bytes | None = None

    def frames(self) -> Iterator[Frame]:
        while True:
            match self._item():
                case [wire_item, index, kind, bytes() as content, bytes() as hash] if wire_item == ITEM_FRAME:
                    yield self._frame(index, kind, content, hash)
                case [wire_item, count, bytes() as final, signature] if wire_item == ITEM_END:
                    self._end(count, final, signature)
                    return
                case _:
                    raise Malformed("it holds an item that is not of this protocol")

    def _frame(self, index: Any, kind: Any, content: bytes, hash: bytes) -> Frame:
        if index != self.count or self.count == FRAMES_MAX:
            raise Malformed(f"piece {self.count} is not where it should be")
        if kind not in (FROM_HUB, FROM_SERVER) or not 0 < len(content) <= FRAME_MAX:
            raise Malformed(f"piece {self.count} is not of this protocol")
        self.final = _next_hash(self.final, kind, content)
        if not hmac.compare_digest(self.final, hash):
            raise Malformed(f"piece {self.count} is not what was written")
        self.count += 1
        return Frame(kind, content)

    def _end(self, count: Any, final: bytes, signature: Any) -> None:
        if count != self.count or not hmac.compare_digest(final, self.final):
            raise Malformed("its end does not fit what comes before")
        if signature is not None and not is_bytes(signature, SIGNATURE_BYTES):
            raise Malformed("its signature has the wrong form")
        if self._buffer or self._stream.read(1):
            raise Malformed("bytes follow its end")
        self.signature = signature

    def _item(self) -> Any:
        if len(self._buffer) < _PIECE_MAX:
            self._buffer += self._stream.read(_PIECE_MAX)
        if not self._buffer:
            raise Malformed("it ends too soon")
        item, end = cbor.decode_next(self._buffer, 0)
        self._buffer = self._buffer[end:]
        return item


def _head(item: Any) -> Head:
    parts = cast(list[Any], item) if isinstance(item, list) else []
    if len(parts) != 2 or parts[0] != ITEM_HEAD or not isinstance(parts[1], dict):
        raise Malformed("it does not begin as such a file does")
    fields = cast(dict[Any, Any], parts[1])
    version = fields.get(HEAD_VERSION)
    if is_uint(version) and version != wire.VERSION:
        raise Malformed(f"it is of version {version} of the protocol; this Doorstep speaks {wire.VERSION}")
    hub_id, made_ms, epoch = (fields.get(key) for key in (HEAD_HUB, HEAD_MADE_MS, HEAD_EPOCH))
    heard_ms, software = fields.get(HEAD_HEARD_MS), fields.get(HEAD_SOFTWARE)
    sound = (
        set(fields) == _HEAD_KEYS
        and (hub_id is None or is_bytes(hub_id, wire.HUB_ID_BYTES))
        and (epoch is None or is_bytes(epoch, wire.EPOCH_BYTES))
        and is_uint(made_ms)
        and is_uint(heard_ms)
        and isinstance(software, str)
        and len(software.encode()) <= 64
    )
    if not sound:
        raise Malformed("its head is not of this protocol")
    return Head(hub_id, cast(int, made_ms), epoch, cast(int, heard_ms), cast(str, software))


def _next_hash(before: bytes, kind: int, content: bytes) -> bytes:
    return hashlib.sha256(before + bytes([kind]) + content).digest()


@contextlib.contextmanager
def _opened(path: Path) -> Generator[tuple[BinaryIO, int]]:
    """Open for reading; what is wrong with the bytes becomes a FileRefused that names the file."""
    try:
        with path.open("rb") as stream:
            yield stream, os.fstat(stream.fileno()).st_size
    except Malformed as error:
        words = str(error).rstrip(".")
        raise FileRefused(
            f"{path} cannot be taken: {words[:1].lower()}{words[1:]}. Nothing was taken from it. Copy it anew, or make "
            "it again where it comes from."
        ) from error
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror}. Check its name and the stick.") from error


@contextlib.contextmanager
def _named(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise FileRefused(f"There is no room for {path}. Use another stick; nothing was written.") from error
        raise FileRefused(f"{path} cannot be written: {error.strerror}. Choose another place.") from error


def sync_folder(folder: Path) -> None:
    if os.name == "posix":
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
