"""Class journal: the power goes at every write of the reader's flash, its cells rot, and the journal fills it to the
last block."""

import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from reader import packfile

from .campaign import BrokenPromise, Part, Say, Tally, Trial
from .interpreter import figures

_ROT_STEP = 100  # a trial tries every 100th byte in use, so a hundred seeds try every byte of one life
RECORDS, BLOCKS = 10_000, 4096
START_MS = 2_000  # for RECORDS
_FLAT = 1.5


@contextmanager
def _pack() -> Generator[Path]:
    """A file with the pack that the lives install, version after version."""
    with tempfile.TemporaryDirectory(prefix="doorstep-faults-") as folder:
        file = Path(folder) / "pack"
        file.write_bytes(packfile.built_in()["sars2-ag", 1])
        yield file


@asynccontextmanager
async def _power_cuts(say: Say) -> AsyncGenerator[Trial]:
    with _pack() as pack:
        yield _cutting(say, pack, 0, "at every program, erase and sync of a life, with each tear")


@asynccontextmanager
async def _cuts_after_cuts(say: Say) -> AsyncGenerator[Trial]:
    with _pack() as pack:
        yield _cutting(say, pack, 30, "in the first life after a cut, which was at one place in thirty")


def _cutting(say: Say, pack: Path, again: int, where: str) -> Trial:
    cuts = 0

    async def trial(seed: int) -> Tally:
        nonlocal cuts
        found = await figures("power_cut.py", pack, seed, again)
        cuts += found["cuts"]
        say(f"seed {seed}: {found['cuts']:,} cuts")
        issued, held = found["issued"], found["held"]
        return Tally(found["cuts"], issued, held, lost=issued - held, note=f"{cuts:,} cuts {where}")

    return trial


@asynccontextmanager
async def _rot(say: Say) -> AsyncGenerator[Trial]:
    total = dict.fromkeys(("tried", "intact", "damaged", "service"), 0)

    async def trial(seed: int) -> Tally:
        found = await figures("rot.py", pack, 1 + (seed - 1) // _ROT_STEP, (seed - 1) % _ROT_STEP, _ROT_STEP)
        for name in total:
            total[name] += found[name]
        tally = Tally(
            faults=found["tried"], issued=found["issued"], held=found["issued"], undetected=found["unseen"]
        )  # fmt: skip
        if found["dead"]:
            raise BrokenPromise(f"with one bit flipped, {found['dead']} times no start was possible at all", tally)
        tally.note = (
            f"{total['tried']:,} cells flipped one at a time: {total['intact']:,} changed nothing, the others were "
            f"reported: {total['damaged']:,} records as damaged by number, {total['service']:,} times the reader asked "
            "for service"
        )
        return tally

    with _pack() as pack:
        yield trial


@asynccontextmanager
async def _capacity(say: Say) -> AsyncGenerator[Trial]:
    async def trial(seed: int) -> Tally:
        return await capacity(RECORDS, BLOCKS)

    yield trial


async def capacity(records: int, blocks: int) -> Tally:
    """Fill a journal of `blocks` blocks of 4,096 bytes with `records` results of 1 KB, and then to the last one.
    BrokenPromise."""
    found = await figures("capacity.py", records, blocks, heap="48M")
    tally = Tally(faults=1, issued=found["fitted"], held=found["fitted"])
    # A start must stay in its share of the time: what it costs grows with what is held.
    slowest, most = max(found["start_worst_ms"], found["full_start_ms"]), START_MS * max(blocks, 1024) // BLOCKS
    if slowest > most:
        raise BrokenPromise(f"a start on a full journal takes {slowest} ms; it has {most}", tally)
    if found["append_last_us"] > _FLAT * found["append_first_us"]:
        raise BrokenPromise("an append costs more the more is held", tally)
    first, last, longest = (found[f"append_{name}_us"] / 1000 for name in ("first", "last", "greatest"))
    tally.note = (
        f"{found['fitted']:,} results of 1 KB on {blocks // 256} MB; a start with {records:,} takes "
        f"{found['start_ms']} ms of the board's time, on a full flash {found['full_start_ms']} ms; an append "
        f"{first:.0f} ms at first and {last:.0f} ms at the end, the longest {longest:.0f} ms; erases of a block: least "
        f"{found['erases_least']}, median {found['erases_median']}, most {found['erases_most']} (the part endures "
        "100,000)"
    )
    return tally


PARTS = (
    Part("power-cut", "power is cut at every program, erase and sync, with each tear", 10, 1, _power_cuts),
    Part("power-cut-again", "power is cut again in the first life after a cut", 10, 0, _cuts_after_cuts),
    Part("rot", "one cell flips its bit, anywhere on the flash", 200, 2, _rot),
    Part("capacity", "the flash is filled to the last block", 1, 0, _capacity),
)
