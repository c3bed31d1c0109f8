"""The image of a release, from firmware as it stands: the same source makes the same bytes wherever it is made."""

import ast
import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from emulator import image
from emulator.release import manifest

_FOLDERS = ("reader", "packs")  # what starts them, and the pin map, are no part of an image


class NoRelease(Exception):
    """There is no firmware here, or it does not say what it is; the sentence says so."""


@dataclass(frozen=True, slots=True)
class Named:
    """What the firmware says that it is, in its reader/settings.py."""

    model: str
    version: str
    release: int

    @property
    def stem(self) -> str:
        """What the names of its files begin with, such as `doorstep-r1-0.1.0-release-1`."""
        model = "-".join(self.model.lower().split())
        return f"{model}-{self.version}-release-{self.release}"

    @property
    def file(self) -> str:
        """The name of its image's file."""
        return f"{self.stem}.image"


def named(firmware: Path) -> Named:
    """Raises NoRelease."""
    path = firmware / "reader" / "settings.py"
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError) as error:
        raise NoRelease(f"There is no firmware in {firmware}. Run this in a checkout of Doorstep.") from error
    found: dict[str, object] = {}
    for line in body:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            value = line.value
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const":
                value = value.args[0]
            if isinstance(value, ast.Constant):
                found[line.targets[0].id] = value.value
    model, version, release = found.get("MODEL"), found.get("FIRMWARE"), found.get("RELEASE")
    if not isinstance(model, str) or not isinstance(version, str) or not isinstance(release, int):
        raise NoRelease(f"{path} does not say MODEL, FIRMWARE and RELEASE.")
    return Named(model, version, release)


def files(firmware: Path, *, whole: bool = False) -> dict[str, bytes]:
    """What an image of the firmware is made of, by name, compiled anew; `whole`: and what starts it. Raises
    image.ImageError."""
    with tempfile.TemporaryDirectory() as fresh:
        built = image.build(firmware, root=Path(fresh))
        return {
            path.relative_to(built).as_posix(): path.read_bytes()
            for path in built.rglob("*")
            if path.is_file() and (whole or path.relative_to(built).parts[0] in _FOLDERS)
        }


def make(firmware: Path, follows: int) -> tuple[Named, bytes]:
    """The image of `firmware`, which may follow release `follows`. Raises ImageError, ManifestRefused, NoRelease."""
    it = named(firmware)
    return it, manifest.write(it.model, it.version, it.release, follows, files(firmware))


def keep(folder: Path, name: str, data: bytes) -> Path:
    """Write `data` as `folder`/`name`, whole or not at all. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.part"
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return part.rename(folder / name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
