"""Builds the circuit in SKiDL: `Sheet.place` makes a SKiDL part of a catalogue device and joins its pins to nets by
name; `build` draws every sheet into one circuit, has SKiDL judge it, and returns the netlist.

SKiDL writes its log, rule report and part library where it is run; here they go to a folder that is thrown away.
"""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

from .device import Device, Kind
from .netlist import Netlist, NetlistError, Part, open_net
from .rails import GND, VOLTS


@contextlib.contextmanager
def _elsewhere() -> Generator[None]:
    """Run in a folder that is thrown away, and without what SKiDL says on the way: no KiCad library is used here."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                yield
        finally:
            os.chdir(before)


with _elsewhere():
    import skidl  # pyright: ignore[reportMissingModuleSource]  its environment is another

_FUNCTIONS = {
    Kind.PASSIVE: skidl.Pin.types.PASSIVE,
    Kind.INPUT: skidl.Pin.types.INPUT,
    Kind.OUTPUT: skidl.Pin.types.OUTPUT,
    Kind.BIDIRECTIONAL: skidl.Pin.types.BIDIR,
    Kind.OPEN_DRAIN: skidl.Pin.types.OPENCOLL,
    Kind.POWER_IN: skidl.Pin.types.PWRIN,
    Kind.POWER_OUT: skidl.Pin.types.PWROUT,
    Kind.UNUSED: skidl.Pin.types.NOCONNECT,
}


class CircuitError(NetlistError):
    """A sheet cannot be drawn, or SKiDL found an error in it; the text says where."""


class Sheet:
    """One page of the circuit."""

    def __init__(self, circuit: "skidl.Circuit", name: str, title: str) -> None:
        self._circuit = circuit
        self.name = name
        self.title = title

    def place(self, ref: str, device: Device, nets: Mapping[str, str], role: str = "") -> None:
        """Put `device` down as `ref`: `nets` names the net of every pin by the pin's name; one that may
        float and is not named is left open."""
        unknown = set(nets) - {pin.name for pin in device.pins}
        missing = {pin.name for pin in device.pins if not pin.may_float} - set(nets)
        if unknown or missing:
            raise CircuitError(f"{ref} {device.mpn}: no pin {sorted(unknown)}, nothing said of {sorted(missing)}")
        part = skidl.Part(
            name=device.mpn,
            ref=ref,
            tag=ref,
            value=device.value or device.mpn,
            footprint=device.footprint,
            tool=skidl.SKIDL,
            dest=skidl.NETLIST,
            circuit=self._circuit,
            pins=[skidl.Pin(num=pin.number, name=pin.name, func=_FUNCTIONS[pin.kind]) for pin in device.pins],
        )
        part.fields["Sheet"] = self.name
        part.fields["Role"] = role
        for pin in device.pins:
            name = nets.get(pin.name)
            if name is None:
                self._circuit.NC.connect(part[pin.number])
            else:
                self._net(name).connect(part[pin.number])

    def _net(self, name: str) -> "skidl.Net":
        found = next((net for net in self._circuit.nets if net.name == name), None)
        if found is None:
            found = skidl.Net(name, circuit=self._circuit)
            if name == GND or name in VOLTS:
                found.drive = skidl.POWER  # fed through a fuse, a diode or a switch as often as by a pin
        return found


Drawing = Callable[[Sheet], None]


def build(sheets: Sequence[tuple[str, str, Drawing]]) -> tuple[Netlist, list[str]]:
    """The netlist of `sheets` (name, title, what draws it), and what SKiDL's electrical rules say: warnings as lines.

    CircuitError when the rules find an error.
    """
    with _elsewhere():
        circuit = skidl.Circuit()
        for name, title, drawing in sheets:
            drawing(Sheet(circuit, name, title))
        errors, warnings = _judge(circuit)
        if errors:
            raise CircuitError("; ".join(errors))
        return _netlist(circuit, {name: title for name, title, _ in sheets}), warnings


class _Said(logging.Handler):
    """Gathers what SKiDL's rules say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        (self.errors if record.levelno >= logging.ERROR else self.warnings).append(record.getMessage())


def _judge(circuit: "skidl.Circuit") -> tuple[list[str], list[str]]:
    """SKiDL's electrical rules: errors and warnings."""
    said = _Said()
    skidl.erc_logger.addHandler(said)
    try:
        circuit.ERC()
    finally:
        skidl.erc_logger.removeHandler(said)
    return said.errors, said.warnings


def _netlist(circuit: "skidl.Circuit", sheets: dict[str, str]) -> Netlist:
    parts = tuple(
        Part(part.ref, part.name, str(part.fields["Sheet"]), str(part.fields["Role"])) for part in circuit.parts
    )
    nets = {net.name: frozenset((pin.part.ref, pin.num) for pin in net.pins) for net in circuit.get_nets()}
    left = {open_net(pin.part.ref, pin.num): frozenset(((pin.part.ref, pin.num),)) for pin in circuit.NC.pins}
    return Netlist(sheets, parts, nets | left)
