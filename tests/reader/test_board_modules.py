"""The firmware uses only what the board has: its modules, and what is in them; and the check of that finds what it does
not."""

from pathlib import Path

import pytest

from emulator import image
from emulator.boardmodules import BUILT_IN, FROZEN, Stubs, problems

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"


@pytest.fixture(scope="module")
def stubs():
    return Stubs(ROOT / ".venv/stubs")


@pytest.fixture
def sources():
    """What is flashed, by path."""
    found = {path.relative_to(FIRMWARE).as_posix(): path.read_text() for path in FIRMWARE.rglob("*.py")}
    return {path: text for path, text in found.items() if path not in image._NEVER}


def test_the_firmware_uses_nothing_that_the_board_does_not_have(sources, stubs):
    assert problems(sources, stubs) == []


def test_every_module_that_is_written_down_is_in_the_boards_stubs(stubs):
    assert [name for name in sorted(BUILT_IN | FROZEN) if stubs.module(name) is None] == []


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("import pathlib", "there is no module pathlib on the board"),
        ("import os.path", "there is no module os.path on the board"),
        ("from functools import cache", "there is no module functools on the board"),
        ("def f():\n    import contextlib", "there is no module contextlib on the board"),
        ("import reader.nowhere", "there is no module reader.nowhere on the board"),
        ("from machine import Pins", "machine has no Pins"),
        ("from time import monotonic", "time has no monotonic"),
        ("def f():\n    import gc\n    gc.freeze()", "gc has no freeze"),
        ("import machine as m\nm.deep_sleep(1)", "machine has no deep_sleep"),
        ("import machine\nmachine.Pin.PULL_SIDEWAYS", "machine.Pin has no PULL_SIDEWAYS"),
        ("from machine import Pin as P\nP.ANALOG_IN", "machine.Pin has no ANALOG_IN"),
        ("import asyncio\nasyncio.TaskGroup()", "asyncio has no TaskGroup"),
        ("try:\n    import gc\nexcept ImportError:\n    gc = None\ngc.freeze()", "gc has no freeze"),
        ("try:\n    import numpy\nexcept ImportError:\n    import logging", "there is no module logging on the board"),
    ],
)
def test_what_the_board_does_not_have_is_found(sources, stubs, added, said):
    line = sources["reader/heater.py"].count("\n") + added.count("\n") + 1
    sources["reader/heater.py"] += added
    found = problems(sources, stubs)
    assert [sentence.split(": ", 1)[1] for sentence in found] == [said]
    assert found[0].startswith("reader/heater.py:")
    assert int(found[0].split(":")[1]) <= line


@pytest.mark.parametrize(
    "added",
    [
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from collections.abc import Sequence",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None",
        "try:\n    from micropython import const\nexcept ImportError:\n    from functools import cache",
        "import os\nif hasattr(os, 'fsync'):\n    os.fsync(1)",
        "from machine import Pin\nPin.IRQ_FALLING",
        "import asyncio\nasyncio.create_task",
    ],
)
def test_what_is_meant_for_another_interpreter_or_asked_for_first_is_no_problem(sources, stubs, added):
    sources["reader/heater.py"] += added
    assert problems(sources, stubs) == []
