"""The file that carries what an exchange carries where there is no network (docs/protocol.md section 6).

Read in bounded pieces, each checked against the hash of all before it; written under its name whole or not at all.
The numbers are of files only: no reader ever sees one, so they are not in `reader.wire`, whose names cost it memory.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import cbor2

from reader import wire
from server.custody import cbor
from server.custody.offer import is_bytes, is_label, is_uint

ITEM_HEAD, ITEM_FRAME, ITEM_END = 5, 6, 7
HEAD_VERSION, HEAD_HUB, HEAD_MADE_MS, HEAD_EPOCH, HEAD_HEARD_MS, HEAD_SOFTWARE = 1, 2, 3, 4, 5, 6
FROM_HUB, FROM_SERVER = 1, 2
FRAME_MAX = 128 * 1024
FRAME_FULL = 64 * 1024
FRAMES_MAX = 65_536
SIGNATURE_BYTES = 96
LABEL = b"doorstep/1 file"
# The largest piece is a frame: its content and some heads and hashes.
_PIECE_MAX = FRAME_MAX + 128


class FileRefused(Exception):
    """The file cannot be read or written, or is not what it should be; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Head:
    """Who made a file (None: a server), and when by its own clock, Unix ms."""

    hub_id: bytes | None
    made_ms: int
    software: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that is whole; `signed` is what its `signature` must be of."""

    head: Head
    frames: int
    final: bytes
    signature: bytes | None

    @property
    def signed(self) -> bytes:
        """The bytes that the maker signs."""
        return LABEL + self.frames.to_bytes(4, "big") + self.final


Progress = Callable[[int, int], None]


def check(path: Path, look: Callable[[int, bytes], object], progress: Progress) -> Checked:
    """Read the whole file; `look` gets the kind and content of each frame and may raise `FileRefused`.

    Raises `FileRefused` unless every byte is as it was written. Keeps nothing.
    """
    with _opened(path) as stream:
        reading = _Reading(path, stream)
        for kind, content in reading.frames():
            look(kind, content)
            progress(stream.tell(), reading.size)
        return Checked(reading.head, reading.count, reading.final, reading.signature)


def frames(path: Path, checked: Checked, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each frame of a file that was checked. Raises `FileRefused` when it was changed since."""
    with _opened(path) as stream:
        reading = _Reading(path, stream)
        for frame in reading.frames():
            yield frame
            progress(stream.tell(), reading.size)
        if not hmac.compare_digest(reading.final, checked.final):
            raise FileRefused(f"{path} was changed while it was read. Copy it anew and import it again.")


class _Reading:
    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path, self._stream = path, stream
        self.size = os.fstat(stream.fileno()).st_size
        self._buffer = stream.read(_PIECE_MAX)
        begin = self._buffer
        self.head = self._head(self._item())
        self.final = hashlib.sha256(begin[: len(begin) - len(self._buffer)]).digest()
        self.count = 0
        self.signature: bytes | None = None

    def frames(self) -> Iterator[tuple[int, bytes]]:
        while True:
            match self._item():
                case [6, index, kind, bytes() as content, bytes() as hash]:
                    self._follow(index, kind, content, hash)
                    yield cast(int, kind), content
                case [7, count, bytes() as final, signature]:
                    self._end(count, final, signature)
                    return
                case _:
                    raise self._refused("it holds an item that is not of the protocol")

    def _follow(self, index: Any, kind: Any, content: bytes, hash: bytes) -> None:
        if index != self.count or self.count == FRAMES_MAX:
            raise self._refused(f"piece {self.count} is not where it should be")
        if kind not in (FROM_HUB, FROM_SERVER) or not 0 < len(content) <= FRAME_MAX:
            raise self._refused(f"piece {self.count} is not of the protocol")
        self.final = _follow(self.final, kind, content)
        if not hmac.compare_digest(self.final, hash):
            raise self._refused(f"piece {self.count} is not what was written")
        self.count += 1

    def _end(self, count: Any, final: bytes, signature: Any) -> None:
        if count != self.count or not hmac.compare_digest(final, self.final):
            raise self._refused("its end does not fit what comes before")
        if signature is not None and not is_bytes(signature, SIGNATURE_BYTES):
            raise self._refused("its signature has the wrong form")
        if self._buffer or self._stream.read(1):
            raise self._refused("bytes follow its end")
        self.signature = signature

    def _head(self, item: Any) -> Head:
        match item:
            case [5, dict()]:
                fields = cast("dict[Any, Any]", item[1])
            case _:
                raise self._refused("it does not begin as such a file does")
        version = fields.get(HEAD_VERSION)
        if is_uint(version) and version != wire.VERSION:
            raise self._refused(f"it is of version {version} of the protocol; this server speaks {wire.VERSION}")
        names = (HEAD_VERSION, HEAD_HUB, HEAD_MADE_MS, HEAD_EPOCH, HEAD_HEARD_MS, HEAD_SOFTWARE)
        hub_id, made_ms, software = (fields.get(name) for name in (HEAD_HUB, HEAD_MADE_MS, HEAD_SOFTWARE))
        if (
            fields.keys() != set(names)
            or not (hub_id is None or is_bytes(hub_id, wire.HUB_ID_BYTES))
            or not is_uint(made_ms)
            or not is_label(software)
        ):
            raise self._refused("its head is not of the protocol")
        return Head(cast("bytes | None", hub_id), cast(int, made_ms), cast(str, software))

    def _item(self) -> Any:
        if len(self._buffer) < _PIECE_MAX:
            self._buffer += self._stream.read(_PIECE_MAX)
        if not self._buffer:
            raise self._refused("it ends too soon")
        try:
            end = cbor.scan(self._buffer, 0)
            item = cbor.loads(self._buffer[:end])
        except (cbor.NotCbor, cbor.TooDeep, cbor.TooMany):
            raise self._refused("its bytes are not of the protocol, or it ends too soon") from None
        self._buffer = self._buffer[end:]
        return item

    def _refused(self, why: str) -> FileRefused:
        return FileRefused(
            f"{self._path} cannot be taken: {why}. Nothing was stored. Copy it anew, or export it again at the hub."
        )


def write(path: Path, epoch: bytes, at_ms: int, software: str, items: Iterable[list[Any]], overwrite: bool) -> int:
    """Write a server's answer to `path`, durably and whole; its size in bytes. Raises `FileRefused`."""
    part = path.with_name(path.name + ".part")
    try:
        if path.exists() and not overwrite:
            raise FileRefused(f"{path} is there already. Choose another name, or add --replace.")
        try:
            with part.open("wb") as stream:
                os.chmod(part, 0o600)
                for piece in _pieces(epoch, at_ms, software, items):
                    stream.write(piece)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path.stat().st_size
    except OSError as error:
        raise FileRefused(f"{path} cannot be written: {error.strerror}. Choose another place.") from error


def _pieces(epoch: bytes, at_ms: int, software: str, items: Iterable[list[Any]]) -> Iterator[bytes]:
    fields = {
        HEAD_VERSION: wire.VERSION,
        HEAD_HUB: None,
        HEAD_MADE_MS: at_ms,
        HEAD_EPOCH: epoch,
        HEAD_HEARD_MS: at_ms,
        HEAD_SOFTWARE: software,
    }
    head = cbor2.dumps([ITEM_HEAD, fields], canonical=True)
    yield head
    final, count = hashlib.sha256(head).digest(), 0
    for content in _contents(items):
        final = _follow(final, FROM_SERVER, content)
        yield cbor2.dumps([ITEM_FRAME, count, FROM_SERVER, content, final], canonical=True)
        count += 1
    yield cbor2.dumps([ITEM_END, count, final, None], canonical=True)


def _contents(items: Iterable[list[Any]]) -> Iterator[bytes]:
    content = bytearray()
    for item in items:
        content += cbor2.dumps(item, canonical=True)
        if len(content) >= FRAME_FULL:  # an item is a message of 4 KiB at most
            yield bytes(content)
            content.clear()
    if content:
        yield bytes(content)


def _follow(before: bytes, kind: int, content: bytes) -> bytes:
    return hashlib.sha256(before + bytes([kind]) + content).digest()


@contextmanager
def _opened(path: Path) -> Generator[BinaryIO]:
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror}. Check its name and the stick.") from error
