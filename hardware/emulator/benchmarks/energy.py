"""What one charge of the reader's cell gives: days at rest, and tests of either kind one after another.

The firmware under test decides what is on and for how long; the currents are those of `emulator.energy`, the heater's
is that of the physics. The capacity is the cell's of the design (`emulator.physics.Battery`), new.
"""

import secrets
from dataclasses import replace
from datetime import UTC, datetime

from .. import energy
from ..bench import Bench
from ..measurements import Measurements
from ..path import provision
from ..physics import Battery
from ..power import ReaderError
from ..reader import EmulatedReader
from ..scenario import TestPlan
from ..worker import Worker
from .figure import Figure, Say
from .memory import STRIP, TUBES

_SPEED = 200.0
_RESTED_S = 120.0
_NOMINAL_V = 3.7
_WEEK_DAYS = 4.4  # a working week: off the charger on Monday at 8, back on it on Friday at 17
_STRIPS = 80.0  # sixteen a day of that week: a community clinic's busy days
_TUBES = 3.0  # as many as `reader.power` lets begin: each asks for 30 % of the charge


async def measure(say: Say, full: bool = False) -> list[Figure]:
    """Standby days, and tests per charge."""
    async with Bench(seed=3) as bench:
        say("lets a reader rest")
        standby = await _standby_days(await _switched_on(bench))
        strips = await _tests(bench, STRIP, "strip tests", say)
        tubes = await _tests(bench, TUBES, "amplifications", say)
    cell = f"{Battery().capacity_mah:,.0f} mAh"
    return [
        Figure("energy.standby", f"days at rest on one charge of {cell}", standby, "days", _WEEK_DAYS, "higher"),
        Figure("energy.strip", f"strip tests on one charge of {cell}", strips, "tests", _STRIPS, "higher"),
        Figure("energy.amplification", f"amplifications on one charge of {cell}", tubes, "tests", _TUBES, "higher"),
    ]


async def _switched_on(bench: Bench) -> EmulatedReader:
    reader = await bench.add_reader(start=False, speed=_SPEED)
    await provision(reader, secrets.token_bytes(8), secrets.token_bytes(32), 0, "Village hall")
    reader.circuit.rtc.set_time(datetime.now(UTC))
    reader.close_lid()
    await reader.start()
    return reader


async def _standby_days(reader: EmulatedReader) -> float:
    await reader.wait_for(lambda: reader.resting, _RESTED_S, "a reader that rests")
    resting = reader.circuit.drawing()
    awake = energy.milliamperes(replace(resting, cpu_mhz=240, panel=True, scanner_asleep=False))
    if energy.milliamperes(resting) >= awake:
        raise ReaderError(f"A reader at rest draws as much as one awake: {resting}.")
    await reader.close()
    cell = Battery()
    watt_hours = cell.capacity_mah / 1000 * _NOMINAL_V * cell.efficiency
    return watt_hours / energy.watts(resting) / 24


async def _tests(bench: Bench, plan: TestPlan, what: str, say: Say) -> float:
    """How many such tests take a whole charge, by what one takes, from the idle screen back to it."""
    say(f"measures what {what} take")
    reader = await _switched_on(bench)
    worker = Worker(reader, Measurements())
    await worker.ready(30)
    before = reader.circuit.world.battery.percent
    shown = await worker.run(plan)
    reader.circuit.advance()
    taken = before - reader.circuit.world.battery.percent
    await reader.close()
    if shown.outcome != plan.expect.outcome:
        raise ReaderError(f"The test showed {shown.outcome}.")
    return 100 / taken
