"""Reads the display: finds MicroPython's 8x8 font, and the firmware's accented letters, in the pixels; and saves them
as a picture.
"""

import functools
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from .process import LAUNCH, module_folder
from .wiring import FIRMWARE

WIDTH, HEIGHT, CELL = 128, 64, 8
# The columns of each character; what the panel's font lacks, the firmware draws.
_RENDER = """
import framebuf
import sys
sys.path.insert(0,FIRMWARE)
from reader.screen import _write
b=bytearray(8)
f=framebuf.FrameBuffer(b,8,8,framebuf.MONO_VLSB)
for c in list(range(32,127))+[ord(c) for c in "\xc9\xe0\xe2\xe7\xe8\xe9\xea\xee\xf4\xf9\xfb"]:
    f.fill(0)
    _write(f,b,chr(c),0,0)
    print(c,b.hex())
"""


@functools.cache
def glyphs() -> dict[bytes, str]:
    """Character by its 8 rows of 8 bits, rendered under MicroPython by framebuf and the firmware's own screen."""
    script = _RENDER.replace("FIRMWARE", repr(str(FIRMWARE)))
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCH, module_folder(), "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    found: dict[bytes, str] = {}
    for line in done.stdout.split("\n"):
        if line:
            code, columns = line.split()
            found.setdefault(_rows(bytes.fromhex(columns)), chr(int(code)))
    return found


def _rows(columns: bytes) -> bytes:
    """Eight rows, leftmost pixel highest, of eight columns, uppermost pixel lowest."""
    return bytes(sum((column >> y & 1) << 7 - x for x, column in enumerate(columns)) for y in range(CELL))


@functools.lru_cache(maxsize=64)
def read(pixels: bytes) -> str:
    """The text among 128 x 64 pixels (one byte each, 1 is lit): one line a row of text, trailing spaces cut.

    Text may start at any pixel; inverse cells and text at twice the size are read too. What is not text is left out.
    """
    rows = [int(pixels[y * WIDTH : (y + 1) * WIDTH].hex()[1::2], 2) for y in range(HEIGHT)]
    candidates = [line for scale in (1, 2) for line in _lines(rows, scale)]
    # Any row of pixels may look like some characters; the readings that explain most lit pixels are the text.
    chosen: list[_Line] = []
    for line in sorted(candidates, key=lambda c: (-c.explained, c.y)):
        if all(line.y >= other.y + other.height or other.y >= line.y + line.height for other in chosen):
            chosen.append(line)
    return "\n".join(line.text.rstrip() for line in sorted(chosen, key=lambda c: c.y))


@dataclass(frozen=True)
class _Line:
    y: int
    height: int
    text: str
    explained: int  # lit pixels that the characters account for


def _lines(rows: list[int], scale: int) -> list[_Line]:
    size = CELL * scale
    found: list[_Line] = []
    for y in range(HEIGHT - size + 1):
        if any(rows[y : y + size]):
            text, explained = _best(tuple(rows[y : y + size]), scale)
            if explained:
                found.append(_Line(y, size, text, explained))
    return found


@functools.lru_cache(maxsize=4096)
def _best(rows: tuple[int, ...], scale: int) -> tuple[str, int]:
    """What rows of text may say, and the lit pixels it accounts for; most rows stay as they are from look to look."""
    # Columns with a lit pixel, and columns where the two rows of a double row differ: most cells are done with these.
    lit = torn = 0
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        lit |= upper | lower
        torn |= upper ^ lower
    useless = 0 if scale == 1 else torn
    if not lit & ~useless:
        return "", 0
    return max((_line(rows, lit, useless, scale, x) for x in range(CELL * scale)), key=lambda line: line[1])


def _line(rows: tuple[int, ...], lit: int, useless: int, scale: int, x0: int) -> tuple[str, int]:
    size = CELL * scale
    mask = (1 << size) - 1
    font = glyphs()
    text = ""
    explained = 0
    for x in range(x0, WIDTH - size + 1, size):
        shift = WIDTH - size - x
        character = None
        if lit >> shift & mask and not useless >> shift & mask:
            cell = _cell(rows, shift, scale)
            character = font.get(cell) or font.get(bytes(255 - row for row in cell)) if cell else None
            if character is not None and cell:
                explained += sum(row.bit_count() for row in cell) * scale * scale
        text += character or " "
    return text, explained


def _cell(rows: tuple[int, ...], shift: int, scale: int) -> bytes | None:
    """The 8 x 8 bits at a place, or None if they are not of this scale."""
    mask = (1 << CELL * scale) - 1
    if scale == 1:
        return bytes([row >> shift & mask for row in rows])
    cell = bytearray()
    for row in rows[::scale]:
        half = _halved().get(row >> shift & mask)
        if half is None:
            return None
        cell.append(half)
    return bytes(cell)


@functools.cache
def _halved() -> dict[int, int]:
    """16 bits in equal pairs to the 8 they stand for."""
    return {int("".join(bit * 2 for bit in f"{value:08b}"), 2): value for value in range(256)}


def save(pixels: bytes, path: Path, scale: int = 4) -> None:
    """A PNG, `scale` screen pixels to a display pixel."""
    image = Image.frombytes("L", (WIDTH, HEIGHT), bytes(255 if p else 0 for p in pixels))
    large = image.resize((WIDTH * scale, HEIGHT * scale), Image.Resampling.NEAREST)  # pyright: ignore[reportUnknownMemberType]
    large.save(path)


def sheet(pictures: Sequence[Path], path: Path, columns: int = 6) -> None:
    """Pictures of one size side by side, row by row in their order, on one PNG."""
    if not pictures:
        raise ValueError("a sheet needs at least one picture")
    opened = [Image.open(picture) for picture in pictures]
    width, height = opened[0].size
    gap = width // 16
    rows = math.ceil(len(opened) / columns)
    whole = Image.new("L", (columns * (width + gap) + gap, rows * (height + gap) + gap), 96)
    for at, image in enumerate(opened):
        whole.paste(image, (gap + at % columns * (width + gap), gap + at // columns * (height + gap)))
        image.close()
    whole.save(path)
