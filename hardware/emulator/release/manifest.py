"""An image and its manifest (protocol section 8.1): made from files, and read strictly, in bounds, from anybody."""

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from reader import wire

LINE_MAX = 160  # characters, without the LF
FILES_MAX = 160
VERSION_MAX = 32
NUMBER_MAX = 2**32 - 1
_FIRST = "doorstep-image 1"
_TEXT = re.compile(r"[\x20-\x7e]+")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_NAME = re.compile(r"(?:reader|packs)(?:/[a-z0-9_-][a-z0-9_.-]{0,31}){1,2}")
_HASH = re.compile(r"[0-9a-f]{64}")
_HEAD_LINES = 5


class ManifestRefused(Exception):
    """The bytes are no image, or the files make none; the sentence says why."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of an image: `size` in bytes, `hash` its SHA-256 (32 bytes)."""

    name: str
    size: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """`follows` is the least release that this one may follow."""

    model: str
    version: str
    release: int
    follows: int
    files: tuple[File, ...]

    def text(self) -> bytes:
        """The manifest as it stands in the image. Raises ManifestRefused where `read` would."""
        head = (f"model {self.model}", f"version {self.version}", f"release {self.release}", f"from {self.follows}")
        files = (f"file {file.name} {file.size} {file.hash.hex()}" for file in self.files)
        data = "".join(f"{line}\n" for line in (_FIRST, *head, *files)).encode()
        if read_manifest(data) != self:
            raise ManifestRefused("The model and the version are plain text.")
        return data


@dataclass(frozen=True, slots=True)
class Image:
    """A whole image that was read: its manifest, the manifest's bytes, and every file's content by name."""

    manifest: Manifest
    text: bytes
    content: dict[str, bytes]

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.text).digest()[: wire.IMAGE_ID_BYTES]


def write(model: str, version: str, release: int, follows: int, files: Mapping[str, bytes]) -> bytes:
    """The image of `files` by name. Raises ManifestRefused."""
    names = sorted(files)  # of ASCII names, bytewise
    listed = tuple(File(name, len(files[name]), hashlib.sha256(files[name]).digest()) for name in names)
    return Manifest(model, version, release, follows, listed).text() + b"".join(files[name] for name in names)


def read(data: bytes) -> Image:
    """An image whose every hash stands. Raises ManifestRefused for anything else."""
    if len(data) > wire.IMAGE_MAX:
        raise ManifestRefused(f"It has {len(data)} bytes; an image has at most {wire.IMAGE_MAX}.")
    length = _manifest_length(data)
    manifest = read_manifest(data[:length])
    content: dict[str, bytes] = {}
    at = length
    for file in manifest.files:
        content[file.name] = data[at : at + file.size]
        at += file.size
        if hashlib.sha256(content[file.name]).digest() != file.hash:
            raise ManifestRefused(f"The bytes of {file.name} are not those that the manifest names.")
    return Image(manifest, data[:length], content)


def read_manifest(data: bytes) -> Manifest:
    """Raises ManifestRefused for what is not exactly a manifest."""
    if len(data) > wire.MANIFEST_MAX or not data.endswith(b"\n"):
        raise ManifestRefused(f"A manifest has at most {wire.MANIFEST_MAX} bytes and ends in a line feed.")
    lines = data[:-1].split(b"\n")
    if not _HEAD_LINES <= len(lines) <= _HEAD_LINES + FILES_MAX:
        raise ManifestRefused(f"A manifest has {_HEAD_LINES} lines and at most {FILES_MAX} files.")
    texts = [_line(line) for line in lines]
    if texts[0] != _FIRST:
        raise ManifestRefused(f"It does not begin with {_FIRST!r}.")
    model, version = _after(texts[1], "model "), _after(texts[2], "version ")
    if len(version) > VERSION_MAX:
        raise ManifestRefused(f"The version has more than {VERSION_MAX} characters.")
    release, follows = _number(_after(texts[3], "release ")), _number(_after(texts[4], "from "))
    if release < 1:
        raise ManifestRefused("Releases count from 1.")
    files = tuple(_file(_after(text, "file ")) for text in texts[_HEAD_LINES:])
    if any(before.name >= after.name for before, after in itertools.pairwise(files)):
        raise ManifestRefused("The files are not in the order of their names, each once.")
    if len(data) + sum(file.size for file in files) > wire.IMAGE_MAX:
        raise ManifestRefused(f"Manifest and files have more than {wire.IMAGE_MAX} bytes.")
    return Manifest(model, version, release, follows, files)


def _manifest_length(data: bytes) -> int:
    """Where the manifest ends: after the one line at which it and the files named so far are all the bytes there are.
    There is one at most, because each line adds bytes. Raises ManifestRefused when there is none.
    """
    at = files = 0
    for number in range(_HEAD_LINES + FILES_MAX):
        end = data.find(b"\n", at, at + LINE_MAX + 1)
        if end < 0:
            break
        if number >= _HEAD_LINES:
            files += _file(_after(_line(data[at:end]), "file ")).size
        at = end + 1
        if number >= _HEAD_LINES - 1 and at + files == len(data):
            return at
        if at + files > len(data):
            break
    raise ManifestRefused("Its manifest and the files that it names are not the bytes that are here.")


def _line(line: bytes) -> str:
    text = line.decode("latin-1")
    if len(text) > LINE_MAX or not _TEXT.fullmatch(text):
        raise ManifestRefused(f"A line is not 1 to {LINE_MAX} characters of plain text.")
    return text


def _after(line: str, word: str) -> str:
    if not line.startswith(word) or len(line) == len(word):
        raise ManifestRefused(f"There is {line[:20]!r} where {word.strip()!r} and its value were to be.")
    return line[len(word) :]


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > NUMBER_MAX:
        raise ManifestRefused(f"{text[:12]!r} is no number up to {NUMBER_MAX}.")
    return int(text)


def _file(text: str) -> File:
    parts = text.split(" ")
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]) or not _HASH.fullmatch(parts[2]):
        raise ManifestRefused(f"{text[:40]!r} does not name a file, its size and its SHA-256.")
    return File(parts[0], _number(parts[1]), bytes.fromhex(parts[2]))
