"""The safety case names tests and trials that exist: a control that nothing shows any more is found here."""

import ast
import re
from pathlib import Path

import pytest

from emulator.faults import campaign

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "safety-case.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE)))
TRIALS = sorted(set(re.findall(r"`faults ([a-z]+)/([\w-]+)`", PAGE)))


def rows(page: str) -> list[list[str]]:
    """The cells of every hazard."""
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| hazard")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_the_safety_case_names_exists(file: str) -> None:
    tree = ast.parse((TESTS / file).read_text())
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for where, name in NAMED if where == file} <= there


@pytest.mark.parametrize("name", sorted({name for name, _ in TRIALS}))
def test_every_trial_that_the_safety_case_names_exists(name: str) -> None:
    assert {part for klass, part in TRIALS if klass == name} <= {part.name for part in campaign.parts(name)}


def test_every_hazard_has_a_cause_a_control_and_something_that_shows_it() -> None:
    hazards = rows(PAGE)
    assert len(hazards) > 40
    for hazard in hazards:
        assert len(hazard) == 5, hazard
        assert all(hazard), hazard
        assert hazard[1] in ("A", "B", "C"), hazard
        shown = re.findall(r"`[^`]+`", hazard[4])
        assert shown, hazard
        assert all(re.fullmatch(r"`[\w/]+\.py::test_\w+`|`faults \w+/[\w-]+`", one) for one in shown), hazard
