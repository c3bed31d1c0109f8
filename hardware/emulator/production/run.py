"""The production test from its first line to its last."""

from collections.abc import Iterator

from emulator.production import people, steps
from emulator.production.lines import Line, failed
from emulator.production.people import Person
from emulator.provision.board import Board, Refused

_QUIET_S = 28  # the heater is watched for some 20 s; the watchdog bites at 30


def check(board: Board, person: Person | None) -> Iterator[Line]:
    """Each line as soon as it is known; at the end lamps and heater are off. Raises BoardError when the board is lost.

    Nothing is written to the board, and no record made; a test that was under way is broken off by whoever connects.
    """
    try:
        board.run(steps.SET_UP, _QUIET_S)
    except Refused as error:
        yield failed("Firmware", error.last, "Write the application anew: doorstep reader deploy.")
        return
    try:
        for step in steps.STEPS:
            try:
                found = board.value(steps.FEED + step.code, _QUIET_S)
            except Refused as error:
                yield failed(step.what, error.last, step.fix)
            else:
                yield from step.judge(found)
        pins = {"OLED": steps.PINS.I2C_OLED, "STATUS_LED": steps.PINS.STATUS_LED}
        yield from people.steps(board, person, pins)
    finally:
        board.run(steps.FEED + steps.ALL_OFF)
