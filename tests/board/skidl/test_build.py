"""SKiDL makes the kept netlist from the sheets, finds nothing wrong with it, and would find it.

Run by `make test-hardware`: SKiDL is not in the main environment.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from circuit import outputs
from circuit.build import CircuitError, Sheet, build
from circuit.catalogue.passives import R1K
from circuit.catalogue.sensors import ARRAY
from circuit.netlist import written
from circuit.rails import GND, V3
from circuit.sheets import SHEETS

ROOT = Path(__file__).parents[3]


def test_the_sheets_make_the_netlist_that_is_kept():
    assert written(outputs.build()) == (ROOT / outputs.NETLIST).read_text(encoding="utf-8")


def test_skidl_finds_no_error_and_no_warning():
    _, warnings = build(SHEETS)
    assert warnings == []


def with_extra(draw):
    return [*SHEETS, ("extra", "What is wrong", draw)]


def test_skidl_finds_two_outputs_on_a_net():
    def draw(s: Sheet) -> None:
        s.place("U90", ARRAY, {"SI": "ARRAY_SI", "CLK": "ARRAY_CLK", "AO": "ARRAY_AO", "VDD": V3, "GND": GND})

    with pytest.raises(CircuitError, match="conflict"):
        build(with_extra(draw))


def test_skidl_warns_of_a_loose_end_and_the_netlist_is_not_made(monkeypatch):
    def draw(s: Sheet) -> None:
        s.place("R90", R1K, {"1": "LOOSE", "2": GND})

    _, warnings = build(with_extra(draw))
    assert any("LOOSE" in line for line in warnings)
    monkeypatch.setattr("circuit.sheets.SHEETS", tuple(with_extra(draw)))
    with pytest.raises(CircuitError, match="LOOSE"):
        outputs.build()


def test_a_pin_that_the_part_has_not_or_that_is_forgotten_is_refused():
    def draw(s: Sheet) -> None:
        s.place("R90", R1K, {"1": GND, "3": V3})

    with pytest.raises(CircuitError, match=r"R90.*\['3'\].*\['2'\]"):
        build(with_extra(draw))


def test_skidl_leaves_nothing_where_it_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "from circuit import outputs; outputs.build()"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "hardware" / "board")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
