"""Electrical rules over the netlist: what must hold of any circuit of these parts."""

from collections.abc import Iterator

from .device import Kind
from .findings import Finding
from .netlist import Netlist, is_open
from .rails import GND, VOLTS

_DRIVES = {Kind.OUTPUT, Kind.POWER_OUT}
_FEEDS_OHMS = 100.0
_LISTENS = {Kind.INPUT, Kind.POWER_IN}


def check(netlist: Netlist) -> list[Finding]:
    """All rules of this page."""
    rules = (_every_pin_once, _no_loose_end, _one_driver, _driven, _supplied, _within_volts, _decoupled, _wires_end)
    return [finding for rule in rules for finding in rule(netlist)]


def clusters(netlist: Netlist) -> dict[str, frozenset[str]]:
    """For each net, the nets that supply reaches from it through fuses, inductors, diodes and closed switches."""
    group = {net: {net} for net in netlist.nets}
    for part in netlist.parts:
        if not part.device.joins:
            continue
        joined: set[str] = set()
        for pin in part.device.pins:
            net = netlist.net_at((part.ref, pin.number))
            if net is not None:
                joined |= group[net]
        for net in joined:
            group[net] = joined
    return {net: frozenset(nets) for net, nets in group.items()}


def _every_pin_once(netlist: Netlist) -> Iterator[Finding]:
    seen: dict[tuple[str, str], str] = {}
    for net, nodes in sorted(netlist.nets.items()):
        for node in sorted(nodes):
            if node in seen:
                yield Finding("once", f"{node[0]} pin {node[1]}", f"is on {seen[node]} and on {net}")
            seen[node] = net
    for part in netlist.parts:
        for pin in part.device.pins:
            net = seen.get((part.ref, pin.number))
            if net is None:
                yield Finding("once", f"{part.ref} pin {pin.number} ({pin.name})", "is on no net and not left open")
            elif is_open(net) and not pin.may_float:
                yield Finding("once", f"{part.ref} pin {pin.number} ({pin.name})", "is left open and may not be")


def _no_loose_end(netlist: Netlist) -> Iterator[Finding]:
    for net, nodes in sorted(netlist.nets.items()):
        if len(nodes) < 2 and not is_open(net):
            yield Finding("loose end", net, "has a single pin")


def _kinds(netlist: Netlist, net: str) -> list[tuple[str, Kind]]:
    return [(f"{part.ref} {name}", part.device.pin(name).kind) for part, name in netlist.on(net)]


def _one_driver(netlist: Netlist) -> Iterator[Finding]:
    for net in sorted(netlist.nets):
        drivers = [where for where, kind in _kinds(netlist, net) if kind in _DRIVES]
        # The cell's and the socket's own ground pins are the ground; they do not drive against each other.
        if len({where for where in drivers if not (net == GND and where.endswith((" GND", " MINUS")))}) > 1:
            yield Finding("drivers", net, f"is driven by {' and '.join(sorted(set(drivers)))}")


def _driven(netlist: Netlist) -> Iterator[Finding]:
    """An input hears something: an output, a two-way pin, or a resistor or switch that leads on."""
    for net in sorted(netlist.nets):
        kinds = _kinds(netlist, net)
        if not is_open(net) and kinds and all(kind in _LISTENS for _, kind in kinds):
            yield Finding("driven", net, "has inputs only")


def _supplied(netlist: Netlist) -> Iterator[Finding]:
    """A supply pin is on a known rail that a source reaches."""
    groups = clusters(netlist)
    for part in netlist.parts:
        for pin in part.device.pins:
            net = netlist.net_at((part.ref, pin.number))
            if pin.kind is not Kind.POWER_IN or net is None or net == GND:
                continue
            if net not in VOLTS:
                yield Finding("supply", f"{part.ref} {pin.name}", f"is on {net}, which is no rail")
            elif not _has_source(netlist, groups[net]):
                yield Finding("supply", f"{part.ref} {pin.name}", f"is on {net}, which nothing feeds")


def _has_source(netlist: Netlist, nets: frozenset[str]) -> bool:
    """A source is on one of the nets, or feeds one through a small resistor, as the cell does its protection."""
    for net in nets:
        for part, name in netlist.on(net):
            if part.device.pin(name).kind is Kind.POWER_OUT:
                return True
            if part.device.ohms is None or part.device.ohms > _FEEDS_OHMS or not part.ref.startswith("R"):
                continue
            if netlist.net(part.ref, "2" if name == "1" else "1") in VOLTS.keys() - nets:
                return True
    return False


def _within_volts(netlist: Netlist) -> Iterator[Finding]:
    for part in netlist.parts:
        for pin in part.device.pins:
            net = netlist.net_at((part.ref, pin.number))
            if pin.volts is None or net not in VOLTS:
                continue
            low, high = VOLTS[net]
            if low < pin.volts[0] or high > pin.volts[1]:
                yield Finding(
                    "volts",
                    f"{part.ref} {part.mpn} {pin.name}",
                    f"takes {pin.volts[0]:g} to {pin.volts[1]:g} V, and {net} is {low:g} to {high:g} V",
                )


def _decoupled(netlist: Netlist) -> Iterator[Finding]:
    """An integrated circuit has a capacitor from its supply on its own sheet."""
    for part in netlist.parts:
        if not part.ref.startswith(("U", "DS", "A")):
            continue
        for pin in part.device.pins:
            net = netlist.net_at((part.ref, pin.number))
            if pin.kind is not Kind.POWER_IN or net is None or net not in VOLTS:
                continue
            if not any(other.ref.startswith("C") and other.sheet == part.sheet for other, _ in netlist.on(net)):
                yield Finding("decoupling", f"{part.ref} {pin.name}", f"has no capacitor on {net} on its sheet")


def _wires_end(netlist: Netlist) -> Iterator[Finding]:
    """What is off the board meets it at a connector of its sheet, wire by wire."""
    for part in netlist.parts:
        if not part.device.wired:
            continue
        for pin in part.device.pins:
            net = netlist.net_at((part.ref, pin.number))
            if net is None or is_open(net):
                continue
            if not any(other.ref.startswith("J") and other.sheet == part.sheet for other, _ in netlist.on(net)):
                yield Finding("wires", f"{part.ref} {pin.name}", f"has no way through a connector to {net}")
