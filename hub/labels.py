"""Labels for specimens: new codes, each as a QR code for the reader's scanner with its text for people."""

from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape

import segno

from hub import specimens

SHEET_MAX = 200
# Millimetres; common on sheets and rolls, and it goes round a tube.
WIDTH_MM, HEIGHT_MM = 50, 25
_QR_MM = 21
_TEXT_MM = 3.4


@dataclass(frozen=True, slots=True)
class Label:
    """`svg` is one whole `<svg>` element of 50 × 25 mm without scripts, styles or links, to stand in a page."""

    code: str
    svg: str


def labels(count: int, code: Callable[[], str] = specimens.new_code) -> list[Label]:
    """`count` labels, 1 to 200, each with a code of its own. Nothing of them is kept. Raises ValueError."""
    if not 1 <= count <= SHEET_MAX:
        raise ValueError(f"Print 1 to {SHEET_MAX} labels at a time.")
    codes = dict.fromkeys(code() for _ in range(count))
    while len(codes) < count:
        codes[code()] = None
    return [Label(one, label(one)) for one in codes]


def label(code: str) -> str:
    """The label of one code. Raises `specimens.NotASpecimen` for what no reader takes as a specimen's."""
    code = specimens.usable(code)
    qr = segno.make(code, error="m", boost_error=False, micro=False)
    modules = qr.symbol_size(border=4)[0]
    path = "".join(
        f"M{column} {row}h1v1h-1z"
        for row, line in enumerate(qr.matrix_iter(border=4))
        for column, dark in enumerate(line)
        if dark
    )
    lines = _lines(code)
    first = HEIGHT_MM / 2 - (len(lines) - 1) * _TEXT_MM * 0.65 + _TEXT_MM / 3
    texts = "".join(
        f'<text x="{_QR_MM + 3}" y="{first + at * _TEXT_MM * 1.3:.2f}" font-size="{_TEXT_MM}"'
        f' font-family="monospace" font-weight="bold">{escape(line)}</text>'
        for at, line in enumerate(lines)
    )
    name = escape(code, {'"': "&quot;"})
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM}mm" height="{HEIGHT_MM}mm"'
        f' viewBox="0 0 {WIDTH_MM} {HEIGHT_MM}" role="img" aria-label="Specimen {name}">'
        f'<rect width="{WIDTH_MM}" height="{HEIGHT_MM}" fill="#fff"/>'
        f'<path transform="translate(2 2) scale({_QR_MM / modules:.5f})" d="{path}" fill="#000"/>{texts}</svg>'
    )


def _lines(code: str) -> list[str]:
    """The code in pieces that fit beside the QR code, cut behind a hyphen where there is one."""
    longest = 11
    lines, rest = list[str](), code
    while len(rest) > longest:
        at = rest.rfind("-", 0, longest) + 1 or longest
        lines.append(rest[:at])
        rest = rest[at:]
    return [*lines, rest]
