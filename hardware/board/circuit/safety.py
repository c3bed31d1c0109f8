"""What must hold of this board: heat, charge, touch, start-up, the bus."""

from collections.abc import Iterator

from . import s3
from .catalogue.module import MODULE
from .catalogue.optics import CUTOUT, HEATER, SWITCH
from .catalogue.passives import R5K1
from .catalogue.people import TOUCH_ESD
from .catalogue.power import CHARGER, GUARD, USB_C, USB_ESD
from .catalogue.sensors import MUX
from .device import Device
from .findings import Finding
from .netlist import Netlist, Part, is_open
from .pinmap import gpios, mux_address
from .rails import CELL_MINUS, GND, HEAT_FEED, V1, V3, V5, VSYS
from .rules import clusters

_TOUCHED = ("BUTTON_A", "BUTTON_B", "LID", "STRIP_PRESENT")
_BUS_VOLTS = {V3: 3.3, V1: 1.8}
_RISE_NS = 300  # I2C fast mode, 400 kHz (UM10204, table 10)
_SINK_MA = 3.0  # what any pin on an I2C line can pull down (UM10204, table 9)
_PIN_PF, _TRACE_PF = 10.0, 30.0  # a pin at most (UM10204, table 9); the traces of a board of this size


def check(netlist: Netlist) -> list[Finding]:
    """All rules of this page."""
    rules = (
        _cut_out_in_series,
        _off_unless_driven,
        _default_usb_current,
        _cell_guarded,
        _outside_lines_have_esd,
        _straps,
        _addresses,
        _bus_lines,
    )
    return [finding for rule in rules for finding in rule(netlist)]


def resistors(netlist: Netlist, one: str, other: str) -> list[float]:
    """Ohms of every resistor between two nets."""
    return [
        part.device.ohms
        for part, _ in netlist.on(one)
        if part.ref.startswith("R") and part.device.ohms is not None and other in _nets(netlist, part)
    ]


def _nets(netlist: Netlist, part: Part) -> set[str | None]:
    return {netlist.net_at((part.ref, pin.number)) for pin in part.device.pins}


def _only(netlist: Netlist, device: Device) -> Part | None:
    found = netlist.of(device.mpn)
    return found[0] if len(found) == 1 else None


def _cut_out_in_series(netlist: Netlist) -> Iterator[Finding]:
    """With the cut-out open no supply reaches the heater, by any way; and HEATER_CUTOUT looks behind it."""
    cutout, heater = _only(netlist, CUTOUT), _only(netlist, HEATER)
    if cutout is None or heater is None:
        yield Finding("heat", "cut-out or heater", "is missing")
        return
    opened = netlist.without(cutout.ref)
    feeds = {netlist.net_at((heater.ref, pin.number)) for pin in HEATER.pins}
    groups = clusters(opened)
    for feed in sorted(net for net in feeds if net is not None):
        if groups.get(feed, frozenset()) & {V5, V3, VSYS}:
            yield Finding("heat", feed, "reaches the heater past the thermal cut-out")
    if HEAT_FEED not in feeds:
        yield Finding("heat", heater.ref, f"is not on {HEAT_FEED}, which the firmware's input watches")
    if cutout.device.limit_ma is None or cutout.device.limit_ma < 1000:
        yield Finding("heat", cutout.ref, "cannot break the heater's current")


def _off_unless_driven(netlist: Netlist) -> Iterator[Finding]:
    """The gate of every transistor that the controller drives is pulled down, so that a reset switches loads off."""
    for part in netlist.of(SWITCH.mpn):
        gate = netlist.net(part.ref, "G")
        if not resistors(netlist, gate, GND):
            yield Finding("off", f"{part.ref} ({part.role})", "has nothing that holds its gate low")


def _default_usb_current(netlist: Netlist) -> Iterator[Finding]:
    """5.1 kohm of its own from each CC to ground, and the charger in USB500."""
    for part in netlist.of(USB_C.mpn):
        lines = [netlist.net(part.ref, name) for name in ("CC1", "CC2")]
        if lines[0] == lines[1]:
            yield Finding("usb", part.ref, "has CC1 and CC2 on one net: some cables then give nothing")
        for line in lines:
            if resistors(netlist, line, GND) != [R5K1.ohms]:
                yield Finding("usb", line, "has not one 5.1 kohm to ground: a USB-C source gives nothing")
    for part in netlist.of(CHARGER.mpn):
        if netlist.net(part.ref, "EN1") == GND or netlist.net(part.ref, "EN2") != GND:
            yield Finding("usb", part.ref, "is not in USB500 (EN1 high, EN2 low): it takes more than was asked for")
        if is_open(netlist.net(part.ref, "TS")) or "NTC" not in {
            name for _, name in netlist.on(netlist.net(part.ref, "TS"))
        }:
            yield Finding("usb", part.ref, "does not see the cell's thermistor: it would charge a cold or hot cell")


def _cell_guarded(netlist: Netlist) -> Iterator[Finding]:
    """The cell's negative pole reaches ground only through the protection's switches."""
    if _only(netlist, GUARD) is None:
        yield Finding("cell", "protection", "is missing")
    for part, name in netlist.on(GND):
        if name == "MINUS" and part.device.wired:
            yield Finding("cell", part.ref, "is on ground directly: its protection cannot open")
    if resistors(netlist, CELL_MINUS, GND):
        yield Finding("cell", CELL_MINUS, "has a resistor past the protection")


def _outside_lines_have_esd(netlist: Netlist) -> Iterator[Finding]:
    for net, device in [*((net, TOUCH_ESD) for net in _TOUCHED), ("USB_DP", USB_ESD), ("USB_DN", USB_ESD)]:
        if not any(part.mpn == device.mpn for part, _ in netlist.on(net)):
            yield Finding("esd", net, f"runs to the outside and meets no {device.mpn}")


def _straps(netlist: Netlist) -> Iterator[Finding]:
    """GPIO 0 is pulled up; 3, 45 and 46 are left alone; USB is on 19 and 20."""
    on = {gpio: net for net, each in gpios(netlist).items() for gpio in each}
    for gpio in sorted(s3.STRAPS):
        net = on.get(gpio, "")
        if gpio == 0:
            if not resistors(netlist, net, V3):
                yield Finding("straps", "GPIO 0", "is not pulled up: the module may start its loader")
        elif not is_open(net):
            yield Finding("straps", f"GPIO {gpio}", f"is on {net}; it must be left to its own resistor")
    for gpio, net in ((19, "USB_DN"), (20, "USB_DP")):
        if on.get(gpio) != net:
            yield Finding("straps", f"GPIO {gpio}", f"is not {net}: the module cannot be flashed over USB")
    module = _only(netlist, MODULE)
    if module is None or not resistors(netlist, netlist.net(module.ref, "EN"), V3):
        yield Finding("straps", "EN", "is not pulled up: the module does not start")


def _segments(netlist: Netlist) -> dict[str, tuple[str, str]]:
    """Data and clock nets of the bus, and of each channel of the multiplexer that is used."""
    found = {"bus": ("I2C_SDA", "I2C_SCL")}
    for mux in netlist.of(MUX.mpn):
        for channel in range(8):
            data, clock = netlist.net(mux.ref, f"SD{channel}"), netlist.net(mux.ref, f"SC{channel}")
            if not (is_open(data) and is_open(clock)):
                found[f"channel {channel}"] = (data, clock)
    return found


def _addresses(netlist: Netlist) -> Iterator[Finding]:
    """No address twice on the bus, nor on the bus and behind the multiplexer; on two channels it may be."""
    on: dict[str, list[tuple[int, Part]]] = {}
    for segment, (data, _) in _segments(netlist).items():
        for part, name in netlist.on(data):
            address = mux_address(netlist) if part.mpn == MUX.mpn else part.device.address
            if name == "SDA" and address is not None and not part.device.bare:
                on.setdefault(segment, []).append((address, part))
    for segment, parts in on.items():
        seen = {} if segment == "bus" else {address: part for address, part in on.get("bus", [])}
        for address, part in parts:
            if address in seen:
                yield Finding("addresses", f"0x{address:02X}", f"is {seen[address].ref} and {part.ref} on {segment}")
            seen[address] = part


def _bus_lines(netlist: Netlist) -> Iterator[Finding]:
    """Pull-ups fast enough for 400 kHz and weak enough for any pin, with one channel of the multiplexer let through."""
    on_bus = [0.0, 0.0]  # mA that data and clock of the bus itself bring
    for segment, lines in _segments(netlist).items():
        for index, line in enumerate(lines):
            pulls = {rail: resistors(netlist, line, rail) for rail in _BUS_VOLTS}
            pulls = {rail: ohms for rail, ohms in pulls.items() if ohms}
            if len(pulls) != 1:
                yield Finding("bus", line, f"({segment}) is pulled up to {len(pulls)} rails; it must be one")
                continue
            ((rail, ohms),) = pulls.items()
            parallel = 1 / sum(1 / each for each in ohms)
            farads = (_PIN_PF * len(netlist.nets[line]) + _TRACE_PF) * 1e-12
            rise_ns = 0.8473 * parallel * farads * 1e9  # UM10204, section 7.1
            if rise_ns > _RISE_NS:
                yield Finding("bus", line, f"({segment}) rises in {rise_ns:.0f} ns; 400 kHz allows {_RISE_NS}")
            sink_ma = (_BUS_VOLTS[rail] - 0.4) / parallel * 1000
            if segment == "bus":
                on_bus[index] = sink_ma
            else:
                sink_ma += on_bus[index]
            if sink_ma > _SINK_MA:
                yield Finding("bus", line, f"({segment}) sinks {sink_ma:.1f} mA; a pin bears {_SINK_MA:g}")
