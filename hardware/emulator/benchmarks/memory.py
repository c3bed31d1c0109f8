"""The reader's heap through a strip test, an amplification and a collection: bytes in use at most, out of its cap.

The firmware is the real one under its real cap, so a phase that ends at all has fitted. The high-water mark is of live
bytes, after a garbage collection, looked at many times a second whenever the firmware looks at its events: it does not
see into the middle of one computation. `memory.smallest` is the other way round: the smallest heap, in
steps, in which the whole strip test still ends with its outcome.
"""

import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ..bench import Bench
from ..measurements import Measurements
from ..path import WholePath, provision
from ..power import ReaderError
from ..reader import EmulatedReader
from ..scenario import Expectation, StripPlan, TestPlan, TubePlan
from ..worker import Worker
from .delivery import receipted
from .figure import Figure, Say
from .filling import fill
from .sealing import plaintext

CAP = 256 * 1024
RECORDS = 60
HELD = 10_000
_LARGE_FLASH = 12 * 1024 * 1024  # what a module of 16 MB has left beside two slots for the firmware
_START_S = 120.0
_SAMPLE_S = 0.02
_SPEED = 200.0
_STEP_KIB = 4
_LOWEST_KIB = 192
_COLLECT_S = 120.0
STRIP = TestPlan(
    specimen="BENCH-0001",
    cassette="(01)02000000000015(17)291231(10)AG2601(21)0001",
    strip=StripPlan(test=0.25),
    expect=Expectation(outcome="positive"),
)
TUBES = TestPlan(
    specimen="BENCH-0002",
    cassette="(01)02000000000039(17)291231(10)NA2601(21)0001",
    tube=TubePlan(positive_min=15.0),
    expect=Expectation(outcome="positive"),
)


async def measure(say: Say, full: bool = False) -> list[Figure]:
    """One figure a phase, and the smallest heap."""
    figures = [
        await _of_test("memory.strip", "a whole strip test", STRIP, say),
        await _of_test("memory.amplification", "a whole amplification", TUBES, say),
        await _of_collection(say),
        await of_full_journal(say),
    ]
    return [*figures, await _smallest(say)]


async def _switched_on(bench: Bench, heap: str, speed: float) -> EmulatedReader:
    reader = await bench.add_reader(start=False, heap=heap, speed=speed, heap_sample_s=_SAMPLE_S)
    await provision(reader, secrets.token_bytes(8), secrets.token_bytes(32), 0, "Village hall")
    reader.circuit.rtc.set_time(datetime.now(UTC))
    reader.close_lid()
    await reader.start()
    return reader


async def _tested(bench: Bench, plan: TestPlan, heap_kib: int) -> int:
    """Bytes in use at most through one test. ReaderError when it does not end with the outcome expected."""
    reader = await _switched_on(bench, f"{heap_kib}K", _SPEED)
    try:
        shown = await Worker(reader, Measurements()).run(plan)
    except TimeoutError:
        raise ReaderError(f"The test did not go on in a heap of {heap_kib} KiB:\n{reader.screen_text()}") from None
    finally:
        await reader.close()
    if shown.outcome != plan.expect.outcome:
        raise ReaderError(f"The test showed {shown.outcome} in a heap of {heap_kib} KiB.")
    return reader.heap_high_water


async def _of_test(name: str, what: str, plan: TestPlan, say: Say) -> Figure:
    say(f"looks at the heap through {what}")
    async with Bench(seed=3) as bench:
        return _figure(name, what, await _tested(bench, plan, CAP // 1024))


async def of_full_journal(say: Say, records: int = HELD) -> Figure:
    """Through an amplification while the journal holds `records`, as before a hub has come for weeks."""
    say(f"fills a journal with {records} records, then looks at the heap through an amplification")
    async with Bench(seed=3) as bench:
        reader = await bench.add_reader(
            start=False, heap=f"{CAP // 1024}K", speed=_SPEED, heap_sample_s=_SAMPLE_S, flash_size=_LARGE_FLASH
        )
        await provision(reader, secrets.token_bytes(8), secrets.token_bytes(32), 0, "Village hall")
        await fill(bench, reader, plaintext(), records)
        reader.circuit.rtc.set_time(datetime.now(UTC))
        reader.close_lid()
        await reader.start()
        try:
            await reader.wait_for_text("Ready", _START_S)
            shown = await Worker(reader, Measurements()).run(TUBES)
        finally:
            await reader.close()
        if shown.outcome != TUBES.expect.outcome:
            raise ReaderError(f"The test showed {shown.outcome} with {records} records held.")
        what = f"an amplification with {records:,} records held"
        return _figure("memory.full_journal", what, reader.heap_high_water)


async def _of_collection(say: Say) -> Figure:
    say(f"looks at the heap while a hub collects {RECORDS} records")
    with tempfile.TemporaryDirectory(prefix="doorstep-bench-") as folder:
        async with WholePath(Path(folder), seed=9) as path:
            enrolled = await path.add_reader("Village hall", clock=datetime.now(UTC), heap_sample_s=_SAMPLE_S)
            reader = enrolled.reader
            await reader.wait_for_text("Ready", 30)
            await reader.cut_power()
            last = await fill(path.bench, reader, plaintext(), RECORDS)
            reader.heap_high_water = 0
            await reader.power_on()
            await path.start_hub()
            await receipted(path, enrolled, last, _COLLECT_S)
            return _figure("memory.collection", "a collection by a hub, receipt included", reader.heap_high_water)


def _figure(name: str, what: str, used: int) -> Figure:
    return Figure(name, f"live bytes on the reader's heap at most through {what}", float(used), "bytes", CAP, "lower")


async def _smallest(say: Say) -> Figure:
    """The smallest cap of those tried in which the strip test passes; the largest is known to."""
    low, high = _LOWEST_KIB // _STEP_KIB - 1, CAP // 1024 // _STEP_KIB
    while high - low > 1:
        middle = (low + high) // 2
        say(f"tries the strip test in a heap of {middle * _STEP_KIB} KiB")
        if await _passes(middle * _STEP_KIB):
            high = middle
        else:
            low = middle
    what = f"smallest heap in which a strip test still ends with its outcome, in steps of {_STEP_KIB} KiB"
    return Figure("memory.smallest", what, high * _STEP_KIB * 1024.0, "bytes", CAP, "lower")


async def _passes(heap_kib: int) -> bool:
    async with Bench(seed=3) as bench:
        try:
            await _tested(bench, STRIP, heap_kib)
        except ReaderError:
            return False
    return True
