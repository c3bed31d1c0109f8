"""An image of a reader's application (docs/protocol.md section 8.1), read strictly: every size and hash is proved.

The manifest ends where it and the files that it has named so far are as long as the image. Each line makes that sum
greater, so there is at most one such place, whatever the files begin with.
"""

import hashlib
import re
from dataclasses import dataclass

from reader import wire
from server.problems import Problem

LINE_MAX = 160
VERSION_MAX = 32
FILES_MAX = 160
NUMBER_MAX = 2**32 - 1
_FIRST = "doorstep-image 1"
_PART = r"[a-z0-9_-][a-z0-9_.-]{0,31}"
_NAME = re.compile(rf"(?:reader|packs)/{_PART}(?:/{_PART})?")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,9}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TEXT = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class ImageUnusable(Problem):
    """The file is no image that a reader could run; the detail says what is wrong with it."""

    status = 422
    code = "image-unusable"
    title = "That is no image of a reader's application"


@dataclass(frozen=True, slots=True)
class File:
    """One file of an image: its name, bytes, and SHA-256."""

    name: str
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """What the manifest of an image says, once all of the image was found to be so.

    `follows` is the least release that it may follow; `manifest_hash` and `digest` are SHA-256 of the manifest and of
    the whole.
    """

    model: str
    version: str
    release: int
    follows: int
    files: tuple[File, ...]
    manifest_bytes: int
    manifest_hash: bytes
    size: int
    digest: bytes

    @property
    def image_id(self) -> bytes:
        """The first 16 bytes of the manifest's hash."""
        return self.manifest_hash[: wire.IMAGE_ID_BYTES]


def read(content: bytes) -> Image:
    """Read a whole image. Raises `ImageUnusable`."""
    if len(content) > wire.IMAGE_MAX:
        raise ImageUnusable(f"It has {len(content):,} bytes; an image has at most {wire.IMAGE_MAX:,}.")
    lines = _Lines(content)
    if lines.next() != _FIRST:
        raise ImageUnusable(f"Its first line is not {_FIRST!r}. Make it with: doorstep release build")
    model = _text(lines.value("model"), "model", LINE_MAX)
    version = _text(lines.value("version"), "version", VERSION_MAX)
    release = _number(lines.value("release"), "release", NUMBER_MAX)
    follows = _number(lines.value("from"), "from", NUMBER_MAX)
    if release == 0:
        raise ImageUnusable("Its release is 0; releases begin with 1.")
    if follows >= release:
        raise ImageUnusable(f"Release {release} can follow no release from {follows} on: from has to be less.")
    files = _files(lines, len(content))
    _prove(content, lines.at, files)
    manifest_hash = hashlib.sha256(content[: lines.at]).digest()
    digest = hashlib.sha256(content).digest()
    return Image(model, version, release, follows, files, lines.at, manifest_hash, len(content), digest)


class _Lines:
    """The lines of a manifest, one by one; `at` is where the next begins."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._number = 0
        self.at = 0

    def next(self) -> str:
        """The next line without its end. Raises `ImageUnusable`."""
        self._number += 1
        end = self._content.find(b"\n", self.at, min(self.at + LINE_MAX + 1, wire.MANIFEST_MAX))
        line = self._content[self.at : end]
        if end < 0 or not line.isascii():
            raise self.wrong(f"is no line of a manifest: at most {LINE_MAX} ASCII characters, then a line feed")
        self.at = end + 1
        return line.decode("ascii")

    def value(self, name: str) -> str:
        """What follows `name` and a space on the next line. Raises `ImageUnusable`."""
        found, _, value = self.next().partition(" ")
        if found != name:
            raise self.wrong(f"does not begin with {name!r}")
        return value

    def wrong(self, sentence: str) -> ImageUnusable:
        """A refusal that names the line read last."""
        return ImageUnusable(f"Line {self._number} of its manifest {sentence}.")


def _files(lines: _Lines, size: int) -> tuple[File, ...]:
    files: list[File] = []
    content = 0
    while not files or lines.at + content < size:
        if len(files) == FILES_MAX:
            raise ImageUnusable(f"Its manifest names more than {FILES_MAX} files, or it is longer than they are.")
        fields = lines.value("file").split(" ")
        if len(fields) != 3 or not _NAME.fullmatch(fields[0]) or not _HASH.fullmatch(fields[2]):
            raise lines.wrong("does not name a file of reader/ or packs/, its size and its SHA-256")
        file = File(fields[0], _number(fields[1], "file's size", wire.IMAGE_MAX), bytes.fromhex(fields[2]))
        if files and file.name <= files[-1].name:
            raise lines.wrong("is out of order: files stand in the order of their names, each once")
        if any(file.name.startswith(one.name + "/") for one in files):
            raise lines.wrong("has a file's name where a folder would be")
        files.append(file)
        content += file.size
    if lines.at + content != size:
        raise ImageUnusable(
            f"Its manifest speaks of {lines.at + content:,} bytes and it has {size:,}: it was cut short or added to."
        )
    return tuple(files)


def _prove(content: bytes, at: int, files: tuple[File, ...]) -> None:
    for file in files:
        if hashlib.sha256(memoryview(content)[at : at + file.size]).digest() != file.digest:
            raise ImageUnusable(f"The content of {file.name} is not what its hash says. Build the image again.")
        at += file.size


def _number(text: str, what: str, largest: int) -> int:
    if not _DECIMAL.fullmatch(text) or int(text) > largest:
        raise ImageUnusable(f"Its {what} is not a decimal number from 0 to {largest:,} without leading zeros.")
    return int(text)


def _text(text: str, what: str, longest: int) -> str:
    if len(text) > longest or not _TEXT.fullmatch(text):
        raise ImageUnusable(f"Its {what} is not a text of 1 to {longest} printable ASCII characters.")
    return text
