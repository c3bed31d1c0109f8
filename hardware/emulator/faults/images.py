"""Images of releases for the trials, made as docs/protocol.md section 8.1 says, and the commands that name them."""

import hashlib
import re
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reader import slots, wire

from .. import image
from ..reader import EmulatedReader
from ..wiring import FIRMWARE

MODEL = "Doorstep R1"


def another(
    folder: Path,
    release: int,
    version: str,
    edits: Mapping[str, tuple[str, str]] | None = None,
    *,
    source: Path = FIRMWARE,
) -> Path:
    """A copy of the firmware in `folder` that says it is that release; `edits` by file: (what stands there, what
    instead). ValueError when it does not stand there."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    settings = folder / "reader" / "settings.py"
    text = re.sub(r'FIRMWARE = "[^"]*"', f'FIRMWARE = "{version}"', settings.read_text(encoding="utf-8"))
    settings.write_text(re.sub(r"RELEASE = const\(\d+\)", f"RELEASE = const({release})", text), encoding="utf-8")
    for name, (old, new) in (edits or {}).items():
        text = (folder / name).read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{name} holds no {old!r}.")
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    return folder


def compiled(firmware: Path) -> dict[str, bytes]:
    """The files of an image of that firmware, by name."""
    built = image.build(firmware)
    return {
        path.relative_to(built).as_posix(): path.read_bytes()
        for name in ("reader", "packs")
        for path in (built / name).rglob("*")
        if path.is_file()
    }


def manifest(
    files: Mapping[str, bytes], release: int, version: str = "0.2.0", least: int = 1, model: str = MODEL
) -> bytes:
    """The manifest of those files."""
    lines = ["doorstep-image 1", f"model {model}", f"version {version}", f"release {release}", f"from {least}"]
    lines += [f"file {name} {len(files[name])} {hashlib.sha256(files[name]).hexdigest()}" for name in sorted(files)]
    return "".join(line + "\n" for line in lines).encode("ascii")


def whole(files: Mapping[str, bytes], head: bytes) -> bytes:
    """The image of those files under that manifest."""
    return head + b"".join(files[name] for name in sorted(files))


def command(head: bytes, size: int, release: int, version: str = "0.2.0", least: int = 1) -> dict[int, Any]:
    """The downlink's update for an image of `size` bytes whose manifest is `head`."""
    return {
        wire.DOWN_TYPE: wire.DOWN_UPDATE,
        wire.DOWN_A: [release, least, len(head), size],
        wire.DOWN_B: hashlib.sha256(head).digest(),
        wire.DOWN_C: version,
    }


def image_id(head: bytes) -> bytes:
    """The id of the image with that manifest."""
    return hashlib.sha256(head).digest()[: wire.IMAGE_ID_BYTES]


def split(head: bytes, data: bytes) -> dict[str, bytes]:
    """The files of the image `data` under its manifest `head`, by name."""
    files: dict[str, bytes] = {}
    at = len(head)
    for line in head.decode("ascii").splitlines()[5:]:
        _, name, size, _ = line.split(" ")
        files[name] = data[at : at + int(size)]
        at += int(size)
    return files


def received(
    files: Mapping[str, bytes], release: int, *, missing: int = 0, slot: str = "a", state: slots.State | None = None
) -> dict[str, bytes]:
    """What a reader's flash holds once that image has come, by path, for `EmulatedReader.write_files`; the last
    `missing` files have not come yet. `state` is what was before."""
    head = manifest(files, release)
    state = state or slots.State()
    digest = hashlib.sha256(head).digest()
    state.awaited = slots.Awaited(release, 1, len(head), len(whole(files, head)), digest, "0.2.0")
    state.awaited.whole = not missing
    there = sorted(files)[: len(files) - missing]
    found = {"manifest": head, "image": _framed(digest), **{name: files[name] for name in there}}
    return {f"/slot_{slot}/{name}": content for name, content in found.items()} | kept(state)


def kept(state: slots.State) -> dict[str, bytes]:
    """Both copies of a state, by path."""
    content = _framed((1).to_bytes(4, "big") + slots.encode(state))
    return {"/slots.a": content, "/spare/slots.b": content}


def _framed(data: bytes) -> bytes:
    """As `reader.durable` keeps a small file."""
    return zlib.crc32(data).to_bytes(4, "big") + data


def runs(reader: EmulatedReader) -> tuple[int, int] | None:
    """Release and slot (0: the application that it was made with), as a reader's last start said on its console."""
    for line in reversed(reader.console):
        if found := re.match(r"release (\d+) (?:.*/slot_([ab])/)?", line):
            return int(found[1]), " ab".index(found[2] or " ")
    return None


def said(reader: EmulatedReader) -> list[tuple[int, int, str]]:
    """Release, stage and detail of what a reader said of updates on its console, in order."""
    found = (re.match(r"update: release (\d+) stage (\d) (.*)", line) for line in reader.console)
    return [(int(one[1]), int(one[2]), one[3]) for one in found if one]
