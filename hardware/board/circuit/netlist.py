"""The netlist: parts, and the nets that join their pins, as a value and as a KiCad file that KiCad opens too.

The file is how the circuit travels: SKiDL makes it, and everything else (checks, pin map, bill of materials, drawing)
reads it and needs no SKiDL. It carries the SHA-256 of the sheets that it was made from, so that a change of a sheet
without a new netlist is seen.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import cast

from .catalogue import CATALOGUE
from .device import Device

Node = tuple[str, str]  # reference, pin number
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([()])|([^\s()"]+)')


class NetlistError(Exception):
    """The file is not a netlist of this board; the text says why."""


@dataclass(frozen=True)
class Part:
    """A placed device: its reference, the device's manufacturer number, its sheet, and what it is for here."""

    ref: str
    mpn: str
    sheet: str
    role: str = ""

    @property
    def device(self) -> Device:
        return CATALOGUE[self.mpn]


def open_net(ref: str, number: str) -> str:
    """The name of the net of a pin that is left open, as KiCad writes it."""
    return f"unconnected-({ref}-Pad{number})"


def is_open(net: str) -> bool:
    """True when the net is a pin left open on purpose."""
    return net.startswith("unconnected-")


@dataclass(frozen=True)
class Netlist:
    """`sheets` names and titles in order, `parts` as placed, `nets` by name."""

    sheets: Mapping[str, str]
    parts: tuple[Part, ...]
    nets: Mapping[str, frozenset[Node]]
    digest: str = field(default="", compare=False)

    @cached_property
    def by_ref(self) -> dict[str, Part]:
        return {part.ref: part for part in self.parts}

    @cached_property
    def _net_of(self) -> dict[Node, str]:
        return {node: net for net, nodes in self.nets.items() for node in nodes}

    def net(self, ref: str, pin: str) -> str:
        """The net of a part's pin by the pin's name; KeyError."""
        return self._net_of[(ref, self.by_ref[ref].device.pin(pin).number)]

    def net_at(self, node: Node) -> str | None:
        """The net of a part's pin by its number; None when it is on none."""
        return self._net_of.get(node)

    def on(self, net: str) -> Iterator[tuple[Part, str]]:
        """Every part on `net` with the name of its pin there, in order."""
        for ref, number in sorted(self.nets.get(net, ())):
            part = self.by_ref[ref]
            yield part, next(pin.name for pin in part.device.pins if pin.number == number)

    def of(self, mpn: str) -> list[Part]:
        """Every part of that device."""
        return [part for part in self.parts if part.mpn == mpn]

    # What tests break

    def moved(self, ref: str, pin: str, net: str) -> "Netlist":
        """A copy with every pin of that name on another net."""
        numbers = {(ref, each.number) for each in self.by_ref[ref].device.pins if each.name == pin}
        nets = {name: nodes - numbers for name, nodes in self.nets.items()}
        nets[net] = nets.get(net, frozenset()) | numbers
        return replace(self, nets={name: nodes for name, nodes in nets.items() if nodes})

    def without(self, ref: str) -> "Netlist":
        """A copy without that part."""
        nets = {name: frozenset(node for node in nodes if node[0] != ref) for name, nodes in self.nets.items()}
        parts = tuple(part for part in self.parts if part.ref != ref)
        return replace(self, parts=parts, nets={name: nodes for name, nodes in nets.items() if nodes})

    def swapped(self, ref: str, mpn: str) -> "Netlist":
        """A copy with another device of the same pins at that reference."""
        return replace(self, parts=tuple(replace(p, mpn=mpn) if p.ref == ref else p for p in self.parts))


def digest(folder: Path) -> str:
    """SHA-256 over the sheets, whatever ends their lines."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        total.update(path.name.encode() + b"\0" + path.read_text(encoding="utf-8").encode() + b"\0")
    return total.hexdigest()


def ordered(ref: str) -> tuple[str, int]:
    """References in the order that people expect: R2 before R10."""
    letters = ref.rstrip("0123456789")
    return letters, int(ref[len(letters) :] or 0)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(netlist: Netlist) -> str:
    """The KiCad netlist (format version E), the same for the same circuit."""
    lines = ['(export (version "E")', f'  (design (source {_quoted("sha256:" + netlist.digest)}) (tool "SKiDL")']
    for number, (name, title) in enumerate(netlist.sheets.items(), 1):
        lines.append(
            f'    (sheet (number "{number}") (name {_quoted(name)}) (tstamps "/")'
            f" (title_block (title {_quoted(title)})))"
        )
    lines.append("  )\n  (components")
    for part in netlist.parts:
        device = part.device
        fields = {
            "Manufacturer": device.maker,
            "MPN": device.mpn,
            "Second source": device.second_source,
            "Sheet": part.sheet,
            "Role": part.role,
        }
        lines.append(
            f"    (comp (ref {_quoted(part.ref)}) (value {_quoted(device.value or device.mpn)})\n"
            f"      (footprint {_quoted(device.footprint)}) (datasheet {_quoted(device.datasheet)})\n"
            "      (fields"
            + "".join(f"\n        (field (name {_quoted(key)}) {_quoted(text)})" for key, text in fields.items())
            + f')\n      (libsource (lib "doorstep") (part {_quoted(device.mpn)})'
            + f" (description {_quoted(device.what)})))"
        )
    lines.append("  )\n  (nets")
    for code, (name, nodes) in enumerate(sorted(netlist.nets.items()), 1):
        lines.append(f'    (net (code "{code}") (name {_quoted(name)})')
        for ref, number in sorted(nodes, key=lambda node: (ordered(node[0]), ordered(node[1]))):
            pin = next(pin for pin in netlist.by_ref[ref].device.pins if pin.number == number)
            lines.append(
                f"      (node (ref {_quoted(ref)}) (pin {_quoted(number)}) (pinfunction {_quoted(pin.name)})"
                f" (pintype {_quoted(pin.kind.value)}))"
            )
        lines[-1] += ")"
    lines.append("  ))")
    return "\n".join(lines) + "\n"


def _tree(text: str) -> list[object]:
    """The nested lists of an s-expression."""
    stack: list[list[object]] = [[]]
    for string, bracket, atom in _TOKEN.findall(text):
        if bracket == "(":
            stack.append([])
        elif bracket == ")":
            done = stack.pop()
            if not stack:
                raise NetlistError("a bracket closes that was never opened")
            stack[-1].append(done)
        else:
            stack[-1].append(atom or re.sub(r"\\(.)", r"\1", string))
    if len(stack) != 1 or len(stack[0]) != 1 or not isinstance(stack[0][0], list):
        raise NetlistError("the brackets do not match")
    return cast("list[object]", stack[0][0])


def _named(tree: list[object], name: str) -> Iterator[list[object]]:
    for item in tree:
        if isinstance(item, list):
            found = cast("list[object]", item)
            if found and found[0] == name:
                yield found


def _one(tree: list[object], *path: str) -> list[object]:
    for name in path:
        found = next(_named(tree, name), None)
        if found is None:
            raise NetlistError(f"({name} …) is missing")
        tree = found
    return tree


def _text(tree: list[object], *path: str) -> str:
    return str(_one(tree, *path)[1])


def read(text: str) -> Netlist:
    """The netlist of a file that `written` made; NetlistError."""
    tree = _tree(text)
    design = _one(tree, "design")
    sheets = {_text(sheet, "name"): _text(sheet, "title_block", "title") for sheet in _named(design, "sheet")}
    parts: list[Part] = []
    for comp in _named(_one(tree, "components"), "comp"):
        fields = {_text(item, "name"): str(item[-1]) for item in _named(_one(comp, "fields"), "field")}
        if fields["MPN"] not in CATALOGUE:
            raise NetlistError(f"{_text(comp, 'ref')} is {fields['MPN']}, which is not in the catalogue")
        parts.append(Part(_text(comp, "ref"), fields["MPN"], fields["Sheet"], fields["Role"]))
    nets = {
        _text(net, "name"): frozenset((_text(node, "ref"), _text(node, "pin")) for node in _named(net, "node"))
        for net in _named(_one(tree, "nets"), "net")
    }
    return Netlist(sheets, tuple(parts), nets, _text(design, "source").removeprefix("sha256:"))
