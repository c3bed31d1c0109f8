"""A reader's label: a QR code of its id for scanners, and the same in words for people."""

from pathlib import Path
from xml.sax.saxutils import escape

import segno

PREFIX = "DOORSTEP-READER:"
_WIDTH, _HEIGHT, _QR = 62, 29, 23  # mm, a common label size


def content(reader_id: bytes) -> str:
    """What the QR code says, in its alphanumeric mode."""
    return f"{PREFIX}{reader_id.hex().upper()}"


def words(reader_id: bytes) -> str:
    """The id in groups that can be read out."""
    digits = reader_id.hex()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def code(reader_id: bytes) -> segno.QRCode:
    """Error correction M: a label at a doorstep gets dirty."""
    return segno.make_qr(content(reader_id), error="m", boost_error=False)


def save(path: Path, reader_id: bytes, name: str) -> None:
    """Write the label as SVG, 62 mm by 29 mm. Raises OSError."""
    qr = code(reader_id)
    modules = qr.symbol_size()[0]
    inner = qr.svg_inline(omitsize=True, border=4)
    body = inner[inner.index(">") + 1 : inner.rindex("</svg>")]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}mm" height="{_HEIGHT}mm"'
        f' viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(name)}, reader {words(reader_id)}</title>'
        f'<svg x="2" y="3" width="{_QR}" height="{_QR}" viewBox="0 0 {modules} {modules}">{body}</svg>'
        f'<g font-family="sans-serif" fill="#000"><text x="27" y="11" font-size="5">{escape(name)}</text>'
        f'<text x="27" y="18" font-size="3.5">Doorstep reader</text>'
        f'<text x="27" y="24" font-size="3.5">{words(reader_id)}</text></g></svg>\n',
        encoding="utf-8",
    )
