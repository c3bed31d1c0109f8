"""What is written into a board: the image of this release and, last but for what starts it, the reader's identity."""

import ast
from pathlib import Path

import cbor2

from emulator import image
from emulator.wiring import FIRMWARE

_START = "/main.py"
_IDENTITY = "/identity.cbor"


class NoFirmware(Exception):
    """This installation has no firmware to write; the sentence says where there is one."""


def files(firmware: Path = FIRMWARE) -> dict[str, bytes]:
    """The image by absolute path. Raises ImageError, NoFirmware."""
    if not (firmware / "main.py").is_file():
        raise NoFirmware("The firmware is not part of this installation. Run this in a checkout of this release.")
    built = image.build(firmware)
    return {
        f"/{path.relative_to(built).as_posix()}": path.read_bytes()
        for path in sorted(built.rglob("*"))
        if path.is_file()
    }


def version(firmware: Path = FIRMWARE) -> str:
    """The version that this firmware says it is. Raises NoFirmware."""
    for node in ast.parse((firmware / "reader/settings.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FIRMWARE":
            return str(ast.literal_eval(node.value))
    raise NoFirmware("The firmware in this installation does not say which version it is.")


def with_identity(
    found: dict[str, bytes], reader_id: bytes, key: bytes, generation: int, name: str
) -> dict[str, bytes]:
    """The image in the order in which it is written. The identity is as `reader.identity` says."""
    identity = cbor2.dumps({1: reader_id, 2: [[generation, key]], 3: name, 4: 0}, canonical=True)
    before = {path: content for path, content in found.items() if path != _START}
    return {**before, _IDENTITY: identity, _START: found[_START]}
