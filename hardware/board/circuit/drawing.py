"""Draws a sheet from the netlist as SVG: parts with many pins as boxes, parts with two as symbols on the wires between.

Nothing is placed by hand. A pin's wire carries the small parts of its sheet that hang on its net, each with where its
other end goes; a net that goes on elsewhere ends in its name. What is left (capacitors of the rails) stands below.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from . import symbols
from .netlist import Netlist, Part, is_open, ordered
from .rails import CELL_MINUS, GND, VOLTS

_ROW, _STUB, _SYMBOL = 30, 46, 64
_CHAR = 6.6  # a letter of the labels, px
_WIDTH, _MARGIN, _GAP = 1240, 28, 26
_STYLE = """
text{font-family:"DejaVu Sans",Verdana,sans-serif;font-size:11px;fill:#212b32}
.title{font-size:19px;font-weight:bold}.ref{font-weight:bold}.small{font-size:9px;fill:#4c6272}
.role{font-size:10px;font-style:italic;fill:#4c6272}.wire{stroke:#00703c;stroke-width:1.4;fill:none}
.body{stroke:#212b32;stroke-width:1.5;fill:#fff9e5}.symbol{stroke:#212b32;stroke-width:1.5;fill:none}
.solid{fill:#212b32;stroke:none}.dot{fill:#00703c}.cross{stroke:#768692;stroke-width:1.4}
.signal{fill:#005eb8}.supply{fill:#b30f00;font-weight:bold}.ground{fill:#4c6272;font-weight:bold}
"""


@dataclass
class _Pin:
    """Pins of one name: their numbers, their net, and the small parts on its wire."""

    name: str
    numbers: str
    net: str
    hung: list[tuple[Part, str]] = field(default_factory=list[tuple[Part, str]])  # part, number of its near pin
    goes_on: bool = True

    @property
    def rows(self) -> int:
        return max(1, len(self.hung) + (1 if self.goes_on or not self.hung else 0))


@dataclass
class _Box:
    part: Part
    left: list[_Pin]
    right: list[_Pin]
    body: float = 0.0
    reach: tuple[float, float] = (0.0, 0.0)

    @property
    def height(self) -> float:
        rows = max(sum(pin.rows for pin in self.left), sum(pin.rows for pin in self.right), 1)
        return rows * _ROW + 10 + 46

    @property
    def width(self) -> float:
        heading = max(len(self.part.ref) + 1 + len(self.part.mpn), len(self.part.role)) * _CHAR
        return self.reach[0] + max(self.body + self.reach[1], heading)


def _label_class(net: str) -> str:
    if net in (GND, CELL_MINUS):
        return "ground"
    return "supply" if net in VOLTS else "signal"


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


def _wire(*points: tuple[float, float]) -> str:
    return '<polyline class="wire" points="' + " ".join(f"{x:.0f},{y:.0f}" for x, y in points) + '"/>'


def _small(part: Part) -> bool:
    return len(part.device.pins) <= 2 and not part.ref.startswith("J")


def _said(part: Part) -> str:
    """Reference and value, as it stands at a symbol."""
    return part.ref if part.device.bare else f"{part.ref} {part.device.value or part.mpn}"


def _other(netlist: Netlist, part: Part, number: str) -> str | None:
    """The net at the far end of a small part; None for a test pad."""
    far = [pin.number for pin in part.device.pins if pin.number != number]
    return netlist.net_at((part.ref, far[0])) if far else None


def _boxes(netlist: Netlist, sheet: str) -> tuple[list[_Box], list[Part]]:
    """The boxes of a sheet with what hangs on them, and the small parts that hang on none."""
    parts = [part for part in netlist.parts if part.sheet == sheet]
    loose = {part.ref: part for part in parts if _small(part)}
    pinned: list[tuple[Part, list[_Pin]]] = []
    for part in parts:
        if _small(part):
            continue
        pins: dict[str, _Pin] = {}
        for each in part.device.pins:
            net = netlist.net_at((part.ref, each.number)) or ""
            pin = pins.get(each.name)
            if pin is None:
                pins[each.name] = _Pin(each.name, each.number, net)
            else:
                pin.numbers += f" {each.number}"
        pinned.append((part, list(pins.values())))
    for on_rail in (False, True):  # an inductor hangs on its switch's pin before it hangs on the rail
        for part, pins_of in pinned:
            for pin in pins_of:
                if (pin.net in VOLTS) is on_rail:
                    _hang(netlist, part, pin, loose)
    return [_sides(part, pins_of) for part, pins_of in pinned], list(loose.values())


def _hang(netlist: Netlist, part: Part, pin: _Pin, loose: dict[str, Part]) -> None:
    if is_open(pin.net) or pin.net == GND:
        return
    for ref, number in sorted(netlist.nets.get(pin.net, ()), key=lambda node: ordered(node[0])):
        # On a rail only what passes it on, or is at a plug, hangs here; its capacitors and pull-ups stand below.
        if ref in loose and (pin.net not in VOLTS or loose[ref].device.joins or loose[ref].device.wired):
            pin.hung.append((loose.pop(ref), number))
    met = {(part.ref, number) for number in pin.numbers.split()} | {(each.ref, number) for each, number in pin.hung}
    pin.goes_on = bool(netlist.nets[pin.net] - met)


def _sides(part: Part, pins: list[_Pin]) -> _Box:
    """Supplies and inputs to the left, the rest to the right, about as many rows on each side."""
    inward = [pin for pin in pins if part.device.pin(pin.name).kind.value in ("power_in", "input")]
    outward = [pin for pin in pins if pin not in inward]
    rows = sum(pin.rows for pin in pins)
    while sum(pin.rows for pin in inward) > (rows + 1) // 2 and len(inward) > 1:
        outward.insert(0, inward.pop())
    while sum(pin.rows for pin in outward) > (rows + 1) // 2 + 1 and len(outward) > 1:
        inward.append(outward.pop(0))
    box = _Box(part, inward, outward)
    names = max((len(pin.name) for pin in inward), default=0) + max((len(pin.name) for pin in outward), default=0)
    box.body = max(names * _CHAR + 34, 70)
    box.reach = (_reach(inward), _reach(outward))
    return box


def _reach(pins: Iterable[_Pin]) -> float:
    far = 36.0
    for pin in pins:
        if is_open(pin.net):
            continue
        stub = max(_STUB, 12 + len(pin.numbers) * 5.4)
        if pin.goes_on or not pin.hung:
            far = max(far, stub + 10 + len(pin.net) * _CHAR)
        for part, _ in pin.hung:
            far = max(far, stub + max(_SYMBOL, len(_said(part)) * 5.6) + 14 + 11 * _CHAR)
    return far


def _draw_pin(netlist: Netlist, pin: _Pin, x: float, y: float, way: int) -> list[str]:
    """A pin's stub, its wire and what hangs on it; `way` is 1 to the right of the box, -1 to the left."""
    out = [_text(x - way * 6, y + 4, pin.name, "", "end" if way > 0 else "start")]
    out.append(_text(x + way * 5, y - 4, pin.numbers, "small", "start" if way > 0 else "end"))
    if is_open(pin.net):
        end = x + way * 30
        cross = f'<path class="cross" d="M{end - 4:.0f},{y - 4:.0f}l8,8m0,-8l-8,8"/>'
        return [*out, _wire((x, y), (end, y)), cross]
    joint = x + way * max(_STUB, 12 + len(pin.numbers) * 5.4)
    out.append(_wire((x, y), (joint, y)))
    row = y
    if pin.goes_on or not pin.hung:
        out.append(_wire((joint, y), (joint + way * 6, y)))
        out.append(_net_name(joint + way * 10, y, pin.net, way))
        row += _ROW
    for part, number in pin.hung:
        if row != y:
            out.append(_wire((joint, y), (joint, row)))
            out.append(f'<circle class="dot" cx="{joint:.0f}" cy="{y:.0f}" r="3"/>')
        out.extend(_draw_small(netlist, part, number, joint, row, way))
        row += _ROW
    return out


def _net_name(x: float, y: float, net: str, way: int) -> str:
    return _text(x, y + 4, net, _label_class(net), "start" if way > 0 else "end")


def _draw_small(netlist: Netlist, part: Part, number: str, x: float, y: float, way: int) -> list[str]:
    """A small part from (x, y) on, its near pin first, and the name of the net at its far end."""
    length = max(_SYMBOL, len(_said(part)) * 5.6)
    first = next(pin for pin in part.device.pins if pin.number == number)
    end = x + way * length
    out = [symbols.draw(part, first.name, x, end, y)]
    out.append(_text((x + end) / 2, y - 9, _said(part), "small", "middle"))
    far = _other(netlist, part, number)
    if far is not None:
        out.append(_net_name(end + way * 4, y, far, way))
    return out


def _draw_box(netlist: Netlist, box: _Box, x: float, y: float) -> list[str]:
    part = box.part
    left = x + box.reach[0]
    top = y + 40
    height = box.height - 46
    out = [
        _text(left, top - 20, f"{part.ref} ", "ref") + _text(left + len(part.ref) * 8 + 6, top - 20, part.mpn),
        _text(left, top - 6, part.role, "role"),
        f'<rect class="body" x="{left:.0f}" y="{top:.0f}" width="{box.body:.0f}" height="{height:.0f}" rx="3"/>',
    ]
    for pins, edge, way in ((box.left, left, -1), (box.right, left + box.body, 1)):
        row = top + _ROW / 2 + 5
        for pin in pins:
            out.extend(_draw_pin(netlist, pin, edge, row, way))
            row += pin.rows * _ROW
    return out


def written(netlist: Netlist, sheet: str) -> str:
    """The SVG of one sheet."""
    boxes, loose = _boxes(netlist, sheet)
    out: list[str] = []
    x, y, tallest = float(_MARGIN), 62.0, 0.0
    for box in boxes:
        if x > _MARGIN and x + box.width > _WIDTH - _MARGIN:
            x, y, tallest = float(_MARGIN), y + tallest + _GAP, 0.0
        out.extend(_draw_box(netlist, box, x, y))
        x += box.width + _GAP
        tallest = max(tallest, box.height)
    y += tallest + _GAP + 14
    cell = (_WIDTH - 2 * _MARGIN) / 4
    for at, part in enumerate(sorted(loose, key=lambda part: ordered(part.ref))):
        near = part.device.pins[0]
        start = _MARGIN + (at % 4) * cell + 96
        row = y + (at // 4) * (_ROW + 8)
        net = netlist.net_at((part.ref, near.number)) or ""
        out.append(_net_name(start - 4, row, net, -1))
        out.extend(_draw_small(netlist, part, near.number, start, row, 1))
    y += -(-len(loose) // 4) * (_ROW + 8)
    title = netlist.sheets[sheet]
    number = list(netlist.sheets).index(sheet) + 1
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y:.0f}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<rect width="{_WIDTH}" height="{y:.0f}" fill="#ffffff"/>\n'
        + _text(_MARGIN, 34, f"{number}  {title}", "title")
        + "\n"
        + "\n".join(out)
        + "\n</svg>\n"
    )
