"""Runs classes of faults seed by seed, counts, and says how to replay what failed."""

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

# In the order in which they run; a module is loaded only when its class is asked for.
CLASSES = {
    "journal": "power cuts and rot under the reader's journal",
    "update": "power cuts, rot and bad releases under the reader's update",
    "link": "loss, death and slowness of the radio under the transfer",
    "hub": "kills, disks, clocks, adapters and networks that lie, under the laptop",
    "server": "kills of the server and of PostgreSQL, crowds, and a restore from a backup",
    "hostile": "a hub that holds a key and uses it against the programme",
}

Say = Callable[[str], None]
_COUNTS = ("faults", "issued", "held", "lost", "duplicated", "undetected")


@dataclass
class Tally:
    """What a trial counted: faults injected, records issued to a person, and of these held at the end, lost, held
    twice, and wrong or missing without anybody being told.
    """

    faults: int = 0
    issued: int = 0
    held: int = 0
    lost: int = 0
    duplicated: int = 0
    undetected: int = 0
    note: str = ""

    def add(self, other: "Tally") -> None:
        """Add another's counts to these; its note, if it has one, takes the place of ours."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.note = other.note or self.note

    @property
    def whole(self) -> bool:
        """Nothing was lost, duplicated or undetected."""
        return not (self.lost or self.duplicated or self.undetected)


class BrokenPromise(Exception):
    """What must always hold did not; the sentence says what, `tally` what was counted until then."""

    def __init__(self, sentence: str, tally: Tally | None = None) -> None:
        super().__init__(sentence)
        self.tally = tally or Tally()


Trial = Callable[[int], Awaitable[Tally]]


@dataclass(frozen=True)
class Part:
    """One thing that is tried with many seeds; see the package's docstring. `few` is 0 for what the suite does not
    run."""

    name: str
    what: str
    seeds: int
    few: int
    open: Callable[[Say], AbstractAsyncContextManager[Trial]]
    limit_s: float = 600.0  # for one trial: a trial that never ends is a failure, not a wait


@dataclass(frozen=True)
class Failure:
    """One seed that did not hold."""

    klass: str
    part: str
    seed: int
    sentence: str

    @property
    def replay(self) -> str:
        """The exact command that does it again."""
        return f"doorstep faults --class {self.klass} --part {self.part} --seed {self.seed}"


@dataclass
class Row:
    """A part's line of the table."""

    klass: str
    part: str
    what: str
    first_seed: int
    seeds: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    failures: list[Failure] = field(default_factory=list[Failure])

    @property
    def passed(self) -> bool:
        """Every seed was carried through and held. A part of which nothing ran has shown nothing."""
        return self.seeds > 0 and not self.failures and self.tally.whole

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("tally", "failures", "klass")}
        failures = [{"seed": one.seed, "sentence": one.sentence, "replay": one.replay} for one in self.failures]
        return {"class": self.klass, **found, **asdict(self.tally), "passed": self.passed, "failures": failures}


class NoSuchPart(Exception):
    """A class or part that there is not; the sentence names those there are."""


def parts(klass: str) -> tuple[Part, ...]:
    """The parts of a class. NoSuchPart."""
    if klass not in CLASSES:
        raise NoSuchPart(f"There is no class {klass!r}. There are: {', '.join(CLASSES)}, all.")
    found: tuple[Part, ...] = importlib.import_module(f".{klass}", __package__).PARTS
    return found


def chosen(klass: str, part: str | None = None) -> Iterator[tuple[str, Part]]:
    """Class and part of all that `klass` ("all" for every one) and `part` (None for every one) ask for. NoSuchPart."""
    pairs = [(name, one) for name in (CLASSES if klass == "all" else (klass,)) for one in parts(name)]
    found = [(name, one) for name, one in pairs if part in (None, one.name)]
    if not found:
        raise NoSuchPart(f"Class {klass} has no part {part!r}. It has: {', '.join(one.name for _, one in pairs)}.")
    yield from found


async def run_part(klass: str, part: Part, seeds: Sequence[int], say: Say) -> Row:
    """Try one part with each of `seeds`."""
    row = Row(klass, part.name, part.what, seeds[0] if seeds else 0)
    began = said = time.monotonic()

    def progress(line: str) -> None:
        say(f"{klass}/{part.name}: {line}")

    try:
        async with part.open(progress) as trial:
            for seed in seeds:
                row.tally.add(await _try(row, part, trial, seed, progress))
                row.seeds += 1
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    progress(f"{row.seeds} of {len(seeds)} seeds, {len(row.failures)} failed")
    except Exception as error:  # noqa: BLE001  what a part could not set up or put away is a failure of it
        row.failures.append(Failure(klass, part.name, seeds[row.seeds - 1 if row.seeds else 0], _sentence(error)))
    row.seconds = round(time.monotonic() - began, 1)
    return row


async def _try(row: Row, part: Part, trial: Trial, seed: int, progress: Say) -> Tally:
    sentence = ""
    try:
        async with asyncio.timeout(part.limit_s):
            tally = await trial(seed)
        if not tally.whole:
            sentence = f"{tally.lost} lost, {tally.duplicated} duplicated, {tally.undetected} undetected"
    except BrokenPromise as broken:
        tally, sentence = broken.tally, str(broken)
    except Exception as error:  # noqa: BLE001  a trial that cannot be carried through is a failure of it, with its seed
        tally, sentence = Tally(), _sentence(error)
    if sentence:
        failure = Failure(row.klass, row.part, seed, sentence)
        row.failures.append(failure)
        progress(f"seed {seed} failed: {sentence}\n  replay: {failure.replay}")
    return tally


def _sentence(error: Exception) -> str:
    return f"the trial could not be carried through: {type(error).__name__}: {error}"
