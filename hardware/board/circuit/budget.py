"""What flows where: mA on every rail at rest, typically and at worst, against what its source gives; hours a charge.

Draws come from the catalogue, lamps and heater from the resistors that the netlist puts beside them. What a regulator
takes from its own input is its output's power over its efficiency; a linear one passes the current on. At worst the
cell is nearly empty, so its current is highest.
"""

from dataclasses import dataclass

from .catalogue.optics import CUTOUT
from .catalogue.passives import R1K78
from .catalogue.people import DROP_DIODE
from .catalogue.power import CELL, CELL_FUSE, CELL_SOCKET, CHARGER, GUARD_SWITCH, USB_FUSE
from .device import MODES
from .findings import Finding
from .netlist import Netlist, Part
from .rails import BAT, GND, V1, V3, V5, VSYS
from .rules import clusters
from .safety import resistors

CELL_MAH = 3000.0
USABLE = 0.85  # of the cell, once aged and down to where the firmware refuses tests
CELL_V = {"resting": 3.7, "typical": 3.7, "worst": 3.3}
USB_MA = 500.0  # USB500, and what USB gives by default
USB_V = 4.4  # VSYS while USB feeds it: the charger is linear
CHARGE_A_OHMS = 890.0  # bq2407x: K(ISET)
STANDARD_CHARGE_MA = 1500.0  # the cell's own datasheet
TRIP_V = 0.120  # DW01A: 150 mV, less its tolerance of 30
WARM = 1.3  # a switch's resistance at 70 degrees over that at 25 (FS8205A, normalised on-resistance)
RAILS = (V1, V3, V5, VSYS, BAT)


class BudgetError(Exception):
    """The netlist has a load that no rail feeds; the text names it."""


@dataclass(frozen=True)
class Row:
    """One thing that takes current from a rail: mA in each of MODES."""

    rail: str
    ref: str
    what: str
    ma: tuple[float, float, float]


def loads(netlist: Netlist) -> list[Row]:
    """Every draw, by rail; regulators as loads of the rail that they take from, after what they feed."""
    groups = clusters(netlist)
    rows = [row for part in netlist.parts for row in _draws(netlist, groups, part)]
    for part in _regulators(netlist):
        converter = part.device.converter
        assert converter is not None
        out = _rail(groups, netlist.net(part.ref, converter.out))
        into = _rail(groups, netlist.net(part.ref, converter.into))
        fed = total(rows, out)
        ma = tuple(
            fed[at] if converter.linear else fed[at] * converter.volts / (converter.efficiency * _volts(into, mode))
            for at, mode in enumerate(MODES)
        )
        rows.append(Row(into, part.ref, f"feeds {out}", (ma[0], ma[1], ma[2])))
    return rows


def total(rows: list[Row], rail: str) -> tuple[float, float, float]:
    """mA that a rail gives in each of MODES."""
    on = [row.ma for row in rows if row.rail == rail]
    return (sum(ma[0] for ma in on), sum(ma[1] for ma in on), sum(ma[2] for ma in on))


def _volts(rail: str, mode: str) -> float:
    return CELL_V[mode] if rail in (VSYS, BAT) else {V3: 3.3, V1: 1.8, V5: 5.0}[rail]


def _rail(groups: dict[str, frozenset[str]], net: str) -> str:
    """The rail that feeds a net."""
    for rail in RAILS:
        if rail in groups[net]:
            return rail
    raise BudgetError(f"{net} is fed by no rail")


def _regulators(netlist: Netlist) -> list[Part]:
    """Those that are fed by others first."""
    order = {V1: 0, V3: 1, V5: 2, VSYS: 3}
    parts = [part for part in netlist.parts if part.device.converter is not None]
    groups = clusters(netlist)

    def depth(part: Part) -> int:
        converter = part.device.converter
        assert converter is not None
        return order[_rail(groups, netlist.net(part.ref, converter.out))]

    return sorted(parts, key=depth)


def _draws(netlist: Netlist, groups: dict[str, frozenset[str]], part: Part) -> list[Row]:
    device = part.device
    what = part.role or device.what.partition(",")[0]
    rows = [
        Row(
            _rail(groups, netlist.net(part.ref, draw.pin)),
            part.ref,
            what,
            (draw.resting_ma, draw.typical_ma, draw.worst_ma),
        )
        for draw in device.draws
    ]
    if device.load is not None:
        rail, series = _fed(netlist, groups, part)
        ma = 1000 * (_volts(rail, "typical") - device.load.forward_v) / (series + device.load.ohms)
        resting, typical, worst = (ma * duty for duty in device.load.duties)
        rows.append(Row(rail, part.ref, what, (resting, typical, worst)))
    return rows


def _fed(netlist: Netlist, groups: dict[str, frozenset[str]], part: Part) -> tuple[str, float]:
    """The rail behind a load, and the ohms between."""
    for pin in part.device.pins:
        net = netlist.net(part.ref, pin.name)
        if any(rail in groups[net] for rail in RAILS):
            return _rail(groups, net), 0.0
        for rail in RAILS:
            ohms = resistors(netlist, net, rail)
            if ohms:
                return rail, 1 / sum(1 / each for each in ohms)
    raise BudgetError(f"{part.ref} is fed by no rail")


def hours(netlist: Netlist) -> tuple[float, float, float]:
    """Hours from a full, aged cell in each of MODES."""
    ma = total(loads(netlist), BAT)
    return (CELL_MAH * USABLE / ma[0], CELL_MAH * USABLE / ma[1], CELL_MAH * USABLE / ma[2])


def charge_ma(netlist: Netlist) -> float:
    """The charger's current as its resistor sets it; 0 when that is missing."""
    (charger,) = netlist.of(CHARGER.mpn)
    ohms = resistors(netlist, netlist.net(charger.ref, "ISET"), GND)
    return 1000 * CHARGE_A_OHMS / ohms[0] if ohms else 0.0


def guard_ma(netlist: Netlist) -> float:
    """What the cell's protection lets through at the least, mA."""
    pairs = len(netlist.of(GUARD_SWITCH.mpn))
    assert GUARD_SWITCH.ohms is not None
    return 1000 * TRIP_V * pairs / (GUARD_SWITCH.ohms * WARM)


def usb_ma(netlist: Netlist, mode: str) -> float:
    """What the rails take from USB, mA: the same power at the charger's output."""
    at = MODES.index(mode)
    return total(loads(netlist), VSYS)[at] * CELL_V[mode] / USB_V


def check(netlist: Netlist) -> list[Finding]:
    """Every source, fuse, plug and switch bears the worst case; USB and the cell are charged within their limits."""
    try:
        rows = loads(netlist)
    except BudgetError as error:
        return [Finding("budget", "loads", str(error))]
    found: list[Finding] = []

    def bears(where: str, limit_ma: float | None, worst_ma: float) -> None:
        if limit_ma is None or worst_ma > limit_ma:
            found.append(Finding("budget", where, f"bears {limit_ma or 0:.0f} mA; at worst it carries {worst_ma:.0f}"))

    groups = clusters(netlist)
    for part in _regulators(netlist):
        converter = part.device.converter
        assert converter is not None
        bears(
            f"{part.ref} {part.mpn}",
            converter.limit_ma,
            total(rows, _rail(groups, netlist.net(part.ref, converter.out)))[2],
        )
    cell_ma = total(rows, BAT)[2]
    for device in (CELL, CELL_SOCKET, CELL_FUSE):
        for part in netlist.of(device.mpn):
            bears(f"{part.ref} {part.mpn}", part.device.limit_ma, cell_ma)
    bears("the cell's protection", guard_ma(netlist), cell_ma)
    for part in netlist.of(USB_FUSE.mpn):
        bears(f"{part.ref} {part.mpn}", part.device.limit_ma, USB_MA)
    for device in (CUTOUT, DROP_DIODE):
        for part in netlist.of(device.mpn):
            beyond = clusters(netlist.without(part.ref))
            lost = [row for row in rows if _on(netlist, groups, row) and not _on(netlist, beyond, row)]
            bears(f"{part.ref} {part.mpn}", part.device.limit_ma, sum(row.ma[2] for row in lost))
    if not 0 < charge_ma(netlist) <= STANDARD_CHARGE_MA:
        found.append(Finding("budget", "charger", f"charges with {charge_ma(netlist):.0f} mA; see R4 ({R1K78.value})"))
    if usb_ma(netlist, "typical") > USB_MA:
        found.append(Finding("budget", "USB", f"gives {USB_MA:.0f} mA; a test takes {usb_ma(netlist, 'typical'):.0f}"))
    return found


def _on(netlist: Netlist, groups: dict[str, frozenset[str]], row: Row) -> bool:
    """True when a pin of the row's part is on its rail, through no resistor."""
    pins = netlist.by_ref[row.ref].device.pins
    return any(row.rail in groups.get(netlist.net(row.ref, pin.name), frozenset()) for pin in pins)


def table(netlist: Netlist) -> str:
    """The budget as Markdown: rails and hours."""
    rows = loads(netlist)
    lines = ["| rail | from | at rest, mA | typical, mA | worst, mA | limit, mA |", "|---|---|--:|--:|--:|--:|"]
    groups = clusters(netlist)
    for part in _regulators(netlist):
        converter = part.device.converter
        assert converter is not None
        rail = _rail(groups, netlist.net(part.ref, converter.out))
        ma = total(rows, rail)
        lines.append(
            f"| {rail} | {part.ref} {part.mpn} | {ma[0]:.1f} | {ma[1]:.0f} | {ma[2]:.0f} | {converter.limit_ma:.0f} |"
        )
    ma = total(rows, BAT)
    lines.append(
        f"| cell | {CELL_SOCKET.what} | {ma[0]:.1f} | {ma[1]:.0f} | {ma[2]:.0f} | {CELL_SOCKET.limit_ma:.0f} |"
    )
    rest, typical, worst = hours(netlist)
    lines.append(f"| hours from a full, aged cell | | {rest:.0f} | {typical:.1f} | {worst:.1f} | |")
    return "\n".join(lines) + "\n"
