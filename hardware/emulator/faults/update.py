"""Class update: the power goes at every write of a reader's update, its cells rot, and releases are bad."""

import random
import secrets
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from reader import wire

from ..bench import Bench
from ..flash import Tear
from ..path import provision
from ..reader import EmulatedReader
from . import images
from .campaign import BrokenPromise, Part, Say, Tally, Trial
from .interpreter import figures

_SHARE = 10  # a trial takes every tenth cut, so that ten seeds take each of them once
_ROT_STEP = 200
_READY_S, _BACK_S = 120.0, 400.0
_BOOTS = 6  # of a reader that goes back: the first, three of the trial, and the one after
_WRITES = 60  # from the switch to the confirmation


@asynccontextmanager
async def _power_cuts(say: Say) -> AsyncGenerator[Trial]:
    cuts = 0

    async def trial(seed: int) -> Tally:
        nonlocal cuts
        found = await figures("update_cut.py", seed, _SHARE)
        cuts += found["cuts"]
        note = (
            f"{cuts:,} cuts in {found['writes']} writes of three updates, with each tear, in {found['states']} states"
        )
        return Tally(faults=found["cuts"], note=note)

    yield trial


@asynccontextmanager
async def _rot(say: Say) -> AsyncGenerator[Trial]:
    total = dict.fromkeys(("tried", "damaged"), 0)

    async def trial(seed: int) -> Tally:
        found = await figures("update_rot.py", seed - 1, _ROT_STEP)
        for name in total:
            total[name] += found[name]
        tally = Tally(faults=found["tried"])
        if found["dead"]:
            raise BrokenPromise(f"with one bit flipped, {found['dead']} times no start was possible at all", tally)
        tally.note = (
            f"{total['tried']:,} cells flipped: the same slot starts, {total['damaged']:,} times with damage seen"
        )
        return tally

    yield trial


class _Bad:
    """A release that fails in one way, and why it must be said to have gone back."""

    def __init__(self, name: str, why: str, file: str, old: str, new: str) -> None:
        self.name, self.why, self.edits = name, why, {file: (old, new)}


_APP = "reader/app.py"
BAD = (
    _Bad("raises at import", "three starts", _APP, "class App:", 'raise ValueError("bad")\n\n\nclass App:'),
    _Bad("raises at start", "three starts", _APP, "        parts = self.parts\n", "        parts = self.nothing\n"),
    _Bad(
        "hangs", "three starts", _APP, "class App:",
        "while True:\n    time.sleep_ms(500)\n\n\nclass App:",
    ),
    _Bad(
        "takes its reader for a stranger", "three starts", _APP, "        parts.screen.start()\n",
        '        raise IdentityError("bad")\n',
    ),
    _Bad(
        "never delivers", "48 hours", "reader/renewal.py", "const(172800000)",
        "const(600000)",  # what is 48 hours for people is minutes for a trial
    ),
)  # fmt: skip


@asynccontextmanager
async def _bad_releases(say: Say) -> AsyncGenerator[Trial]:
    with tempfile.TemporaryDirectory(prefix="doorstep-faults-") as folder:

        async def trial(seed: int) -> Tally:
            bad = BAD[(seed - 1) % len(BAD)]
            where = Path(folder) / str(seed)
            files = images.compiled(images.another(where, 2, "0.2.0", bad.edits))
            async with Bench(seed=seed) as bench:
                reader = await _ready(bench, files)
                await _gone_back(reader, bad)
            say(f"a release that {bad.name} went back")
            return Tally(faults=1)

        yield trial


async def _ready(bench: Bench, files: dict[str, bytes]) -> EmulatedReader:
    """A reader that has that image whole in its first slot."""
    reader = await bench.add_reader(start=False, in_step=True)
    await provision(reader, secrets.token_bytes(8), secrets.token_bytes(32), 0, "Village hall")
    await reader.write_files(images.received(files, 2))
    reader.circuit.rtc.set_time(datetime.now(UTC))
    reader.close_lid()
    await reader.start()
    await reader.wait_for_text("Ready", _READY_S)
    return reader


async def _gone_back(reader: EmulatedReader, bad: _Bad) -> None:
    """Let it switch, fail, and come back by itself."""

    def back() -> bool:
        return (2, wire.UPDATE_WENT_BACK, bad.why) in images.said(reader)

    try:
        await reader.wait_for(lambda: reader.boots > 1, _BACK_S, "the switch")
        await reader.wait_for(lambda: back() or reader.boots > _BOOTS, _BACK_S, "the application before")
    finally:
        await reader.cut_power()
    if not back() or images.runs(reader) != (1, 0):
        console = "\n".join(reader.console)
        raise BrokenPromise(f"a release that {bad.name} did not go back: {images.runs(reader)}\n{console}")


@asynccontextmanager
async def _on_readers(say: Say) -> AsyncGenerator[Trial]:
    with tempfile.TemporaryDirectory(prefix="doorstep-faults-") as folder:
        files = images.compiled(images.another(Path(folder) / "second", 2, "0.2.0"))

        async def trial(seed: int) -> Tally:
            chance = random.Random(seed)  # noqa: S311  a simulation
            faults = 0
            async with Bench(seed=seed) as bench:
                reader = await _ready(bench, files)
                for _ in range(chance.randrange(1, 4)):
                    reader.cut_power_after(chance.randrange(_WRITES), chance.choice(list(Tear)))
                    await reader.wait_for(lambda: not reader.powered or _well(reader), _BACK_S, "a cut")
                    faults += not reader.powered
                    reader.flash.keep_power()
                    await reader.power_on()
                    await reader.wait_for_text("Ready", _READY_S)
                await reader.wait_for(lambda: _well(reader), _BACK_S, "the release to get well")
                await reader.cut_power()
                if images.runs(reader) != (2, 1):
                    raise BrokenPromise(f"it runs {images.runs(reader)}", Tally(faults=faults))
            return Tally(faults=faults)

        yield trial


def _well(reader: EmulatedReader) -> bool:
    return any("is well" in line for line in reader.console)


PARTS = (
    Part("power-cut", "power is cut at every program, erase and sync of three updates", _SHARE, 2, _power_cuts),
    Part("rot", "one cell of an updated reader flips its bit", _ROT_STEP, 2, _rot),
    Part(
        "bad-release", "a release fails at import, at start, hangs, or is never confirmed", len(BAD), 0, _bad_releases
    ),
    Part("on-readers", "real readers lose their power again and again while they switch", 10, 0, _on_readers),
)
