"""Every file that is made from the circuit, where it is kept, and whether what is kept is fresh.

With SKiDL installed the netlist is made anew from the sheets; without it the kept one is taken, and refused when the
sheets have changed since.
"""

import importlib.util
import re
from pathlib import Path

from . import bom, budget, drawing, pinmap, rules, safety
from .findings import Finding
from .netlist import Netlist, NetlistError, digest, read, written

ROOM = Path(__file__).resolve().parents[1]
SHEETS = Path(__file__).resolve().parent / "sheets"
NETLIST = "hardware/board/reader.net"
README = "hardware/board/README.md"
_FIGURES = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def root() -> Path:
    """The checkout; NetlistError when this runs from an installed copy."""
    found = ROOM.parents[1]
    if not (found / "firmware" / "board.py").exists():
        raise NetlistError("the board's files are in a checkout of Doorstep only: run this there")
    return found


def has_skidl() -> bool:
    """True where SKiDL is installed (make hardware)."""
    return importlib.util.find_spec("skidl") is not None


def build() -> Netlist:
    """The netlist from the sheets by SKiDL; CircuitError when its electrical rules find an error."""
    from dataclasses import replace

    from .build import CircuitError
    from .build import build as by_skidl
    from .sheets import SHEETS as sheets

    netlist, warnings = by_skidl(sheets)
    if warnings:
        raise CircuitError("; ".join(warnings))
    return replace(netlist, digest=digest(SHEETS))


def kept() -> Netlist:
    """The netlist that is kept; NetlistError when the sheets have changed since it was made."""
    netlist = read((root() / NETLIST).read_text(encoding="utf-8"))
    if netlist.digest != digest(SHEETS):
        raise NetlistError("the sheets have changed since the netlist was made: run `make hardware`")
    return netlist


def figures(netlist: Netlist) -> str:
    """The part of the README that is numbers."""
    one, hundred, thousand = bom.totals(netlist)
    return (
        budget.table(netlist)
        + "\n| readers | parts, bare boards and cables, each |\n|--:|--:|\n"
        + f"| 1 | £{one:.2f} |\n| 100 | £{hundred:.2f} |\n| 1,000 | £{thousand:.2f} |\n"
    )


def files(netlist: Netlist) -> dict[str, str]:
    """Every made file, as path from the root and text."""
    readme = (root() / README).read_text(encoding="utf-8")
    if not _FIGURES.search(readme):
        raise NetlistError(f"{README} has no place for the figures")
    made = {
        NETLIST: written(netlist),
        "hardware/board/bom.csv": bom.written(netlist),
        "firmware/board.py": pinmap.written(netlist),
        README: _FIGURES.sub(lambda found: found[1] + figures(netlist) + found[2], readme),
    }
    for number, sheet in enumerate(netlist.sheets, 1):
        made[f"hardware/board/schematic/{number}-{sheet}.svg"] = drawing.written(netlist, sheet)
    return made


def stale(netlist: Netlist) -> list[str]:
    """The made files that are not what the netlist makes, and drawings that it does not make."""
    made = files(netlist)
    wrong = [path for path, text in made.items() if not _same(root() / path, text)]
    drawings = {
        str(path.relative_to(root()).as_posix()) for path in (root() / "hardware/board/schematic").glob("*.svg")
    }
    return wrong + sorted(drawings - set(made))


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def check(netlist: Netlist) -> list[Finding]:
    """Everything that is wrong with the circuit."""
    return [*rules.check(netlist), *safety.check(netlist), *pinmap.check(netlist), *budget.check(netlist)]
