"""Reads a QR code as a phone does, from its picture; written from ISO/IEC 18004, apart from what draws it.

Byte mode, level M, versions 1 to 10, undamaged: the words that correct errors are left out.
"""

import io

from PIL import Image

_ALIGNED = [(), (), (6, 18), (6, 22), (6, 26), (6, 30), (6, 34), (6, 22, 38), (6, 24, 42), (6, 26, 46), (6, 28, 50)]
# Table 9: the data words of each block of level M, by version.
_BLOCKS = [
    [], [16], [28], [44], [32] * 2, [43] * 2, [27] * 4, [31] * 4, [38] * 2 + [39] * 2, [36] * 3 + [37] * 2,
    [43] * 4 + [44],
]  # fmt: skip
_MARGIN = 4


def read(png: bytes, modules: int) -> str:
    """The text of a screenshot of the code alone, whose side is so many modules, its margin of four not among them."""
    picture = Image.open(io.BytesIO(png)).convert("L")
    side = modules + 2 * _MARGIN
    step_x, step_y = picture.width / side, picture.height / side
    grid = [
        [picture.getpixel((int((x + 0.5) * step_x), int((y + 0.5) * step_y))) for x in range(side)] for y in range(side)
    ]
    levels = {level for row in grid for level in row}
    assert levels == {0, 255}, "each module is black or white in its middle"
    edge = [*range(_MARGIN), *range(side - _MARGIN, side)]
    assert all(grid[y][x] == 255 and grid[x][y] == 255 for y in edge for x in range(side)), "the margin is white"
    inner = slice(_MARGIN, side - _MARGIN)
    return text([[level == 0 for level in row[inner]] for row in grid[inner]])


def text(dark: list[list[bool]]) -> str:
    """The text of a code by its modules, row by row, true where dark."""
    size = len(dark)
    version = (size - 17) // 4
    assert size == 4 * version + 17
    around = [(8, x) for x in (0, 1, 2, 3, 4, 5, 7, 8)] + [(y, 8) for y in (7, 5, 4, 3, 2, 1, 0)]
    told = sum(dark[y][x] << 14 - at for at, (y, x) in enumerate(around)) ^ 0b101010000010010
    assert told >> 13 == 0, "level M"
    bits = _bits(dark, version, told >> 10 & 7)
    words = [int("".join(map(str, bits[at : at + 8])), 2) for at in range(0, len(bits) - 7, 8)]
    plain = "".join(f"{word:08b}" for word in _in_order(words, _BLOCKS[version]))
    assert plain[:4] == "0100", "byte mode"
    counted = 8 if version < 10 else 16
    length = int(plain[4 : 4 + counted], 2)
    body = plain[4 + counted : 4 + counted + 8 * length]
    return bytes(int(body[at : at + 8], 2) for at in range(0, len(body), 8)).decode()


def _in_order(words: list[int], lengths: list[int]) -> list[int]:
    """The data words, which stand in turns, one of each block."""
    blocks: list[list[int]] = [[] for _ in lengths]
    coming = iter(words)
    for at in range(max(lengths)):
        for block, length in zip(blocks, lengths, strict=True):
            if at < length:
                block.append(next(coming))
    return [word for block in blocks for word in block]


def _bits(dark: list[list[bool]], version: int, mask: int) -> list[int]:
    """The bits in the order in which they are placed: two columns at a time from the right, up and down in turns."""
    size = len(dark)
    found: list[int] = []
    columns = [x for x in range(size - 1, 0, -1) if x > 6 and x % 2 == 0] + [5, 3, 1]
    for turn, right in enumerate(columns):
        rows = range(size - 1, -1, -1) if turn % 2 == 0 else range(size)
        for y in rows:
            for x in (right, right - 1):
                if not _is_fixed(y, x, size, version):
                    found.append(int(dark[y][x] ^ _masked(mask, y, x)))
    return found


def _is_fixed(y: int, x: int, size: int, version: int) -> bool:
    """Whether the module belongs to a pattern or to what is told of format and version."""
    if y == 6 or x == 6 or (y < 9 and (x < 9 or x >= size - 8)) or (y >= size - 8 and x < 9):
        return True
    if version >= 7 and ((y < 6 and x >= size - 11) or (x < 6 and y >= size - 11)):
        return True
    centres = _ALIGNED[version]
    corners = {(6, 6), (6, size - 7), (size - 7, 6)}
    return any(abs(y - cy) <= 2 and abs(x - cx) <= 2 for cy in centres for cx in centres if (cy, cx) not in corners)


def _masked(mask: int, y: int, x: int) -> bool:
    return (
        (y + x) % 2,
        y % 2,
        x % 3,
        (y + x) % 3,
        (y // 2 + x // 3) % 2,
        y * x % 2 + y * x % 3,
        (y * x % 2 + y * x % 3) % 2,
        ((y + x) % 2 + y * x % 3) % 2,
    )[mask] == 0
