"""The symbols of parts with one or two pins, along a horizontal wire (IEC 60617 in the main)."""

from .netlist import Part

_HALF = 14  # of a symbol's length


def _line(x0: float, y0: float, x1: float, y1: float, style: str = "symbol") -> str:
    return f'<path class="{style}" d="M{x0:.1f},{y0:.1f}L{x1:.1f},{y1:.1f}"/>'


def _rect(middle: float, y: float, half: float = _HALF) -> str:
    return f'<rect class="symbol" x="{middle - half:.1f}" y="{y - 5:.1f}" width="{2 * half:.1f}" height="10"/>'


def draw(part: Part, near: str, x0: float, x1: float, y: float) -> str:
    """`part` between x0, where its pin named `near` is, and x1."""
    letters = part.ref.rstrip("0123456789")
    middle = (x0 + x1) / 2
    way = 1 if x1 > x0 else -1
    if letters == "TP":
        return (
            _line(x0, y, middle - way * 5, y, "wire") + f'<circle class="symbol" cx="{middle:.1f}" cy="{y:.1f}" r="5"/>'
        )
    inner = {"C": 3.0, "BT": 3.0}.get(letters, float(_HALF))
    wires = _line(x0, y, middle - way * inner, y, "wire") + _line(middle + way * inner, y, x1, y, "wire")
    return wires + _body(part, letters, near, middle, y, way)


def _body(part: Part, letters: str, near: str, middle: float, y: float, way: int) -> str:
    if letters == "C":
        return _line(middle - 3, y - 8, middle - 3, y + 8) + _line(middle + 3, y - 8, middle + 3, y + 8)
    if letters == "BT":
        plus = -3 * way if near == "PLUS" else 3 * way
        return _line(middle + plus, y - 9, middle + plus, y + 9) + _line(middle - plus, y - 5, middle - plus, y + 5)
    if letters == "L":
        bumps = "".join("a3.5,5 0 0 1 7,0" for _ in range(4))
        return f'<path class="symbol" d="M{middle - _HALF:.1f},{y:.1f}{bumps}"/>'
    if letters == "F":
        return _rect(middle, y) + _line(middle - _HALF, y, middle + _HALF, y)
    if letters == "D":
        return _diode(part, near, middle, y, way)
    if letters in ("SW", "TC"):
        return (
            _line(middle - _HALF, y, middle + _HALF - 3, y - (8 if letters == "SW" else 0))
            + f'<circle class="symbol" cx="{middle + _HALF:.1f}" cy="{y:.1f}" r="2"/>'
            + (_line(middle, y - 6, middle, y + 6) if letters == "TC" else "")
        )
    if letters == "BZ":
        return f'<circle class="symbol" cx="{middle:.1f}" cy="{y:.1f}" r="{_HALF - 5}"/>' + _ends(middle, y, _HALF - 5)
    if letters == "Y":
        return (
            _rect(middle, y, 5)
            + _line(middle - 9, y - 8, middle - 9, y + 8)
            + _line(middle + 9, y - 8, middle + 9, y + 8)
            + _ends(middle, y, 9)
        )
    if letters == "TH":
        return _rect(middle, y) + f'<path class="symbol" d="M{middle - 14:.1f},{y + 9:.1f}h5l18,-18"/>'
    return _rect(middle, y)


def _ends(middle: float, y: float, half: float) -> str:
    """Wire up to a symbol that is shorter than the rest."""
    return _line(middle - _HALF, y, middle - half, y, "wire") + _line(middle + half, y, middle + _HALF, y, "wire")


def _diode(part: Part, near: str, middle: float, y: float, way: int) -> str:
    to = way if near == "A" else -way  # towards the cathode
    tip, back = middle + to * 7, middle - to * 7
    out = f'<path class="solid" d="M{back:.1f},{y - 7:.1f}V{y + 7:.1f}L{tip:.1f},{y:.1f}z"/>' + _line(
        tip, y - 7, tip, y + 7
    )
    if part.device.load is not None:  # it shines
        out += "".join(_line(middle + at, y + 9, middle + at + 6, y + 15) for at in (-3, 3))
    return out + _ends(middle, y, 7)
