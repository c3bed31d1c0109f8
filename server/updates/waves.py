"""Which reader is in which wave, and what becomes of a rollout as its readers stand: functions of their arguments."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

CANARY, SHARES, SOAK_HOURS, LIMIT_PERCENT = 1, (10, 50, 100), 48, 5
CANARY_MAX, WAVES_MAX, SOAK_HOURS_MAX = 100, 8, 720
SILENT = timedelta(days=30)
"""A reader of which nothing was heard for so long holds no wave up."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reader that may be updated; `silent` when nothing was heard of it in `SILENT`."""

    reader_id: bytes
    silent: bool


def assign(rollout_id: UUID, canary: int, shares: Sequence[int], readers: Sequence[Candidate]) -> dict[bytes, int]:
    """The wave of each reader: 0 the canary, then one a share, the last of which is 100.

    The order is by a hash of rollout and reader, so that it is the same however often it is asked for and no reader is
    always the first; those that are silent come last, because a canary that is not heard of proves nothing.
    """

    def place(one: Candidate) -> tuple[bool, bytes]:
        return one.silent, hashlib.sha256(rollout_id.bytes + one.reader_id).digest()

    ordered = sorted(readers, key=place)
    bounds = [min(canary, len(ordered))]
    bounds.extend(max(bounds[0], -(-len(ordered) * share // 100)) for share in shares)
    waves: dict[bytes, int] = {}
    for wave, bound in enumerate(bounds):
        waves.update((one.reader_id, wave) for one in ordered[:bound] if one.reader_id not in waves)
    return waves


@dataclass(frozen=True, slots=True)
class Standing:
    """How the readers of one wave stand. Revoked ones count only once they came to an end.

    `unsent` were not sent the update, `open` were and have come to no end, of which `silent` were not heard of in
    `SILENT`. `confirmed` run it for good. `went_back`, `refused` and `faulty` (a fault was journalled after the update)
    are of what nobody has looked at, each reader counted once; `excused` are those of which somebody has, and nothing
    came since.
    """

    readers: int
    unsent: int = 0
    open: int = 0
    silent: int = 0
    confirmed: int = 0
    went_back: int = 0
    refused: int = 0
    faulty: int = 0
    excused: int = 0

    @property
    def bad(self) -> int:
        """How many count against the limit."""
        return self.went_back + self.refused + self.faulty


@dataclass(frozen=True, slots=True)
class Progress:
    """What is decided on: the wave opened last, when it settled, and how every wave stands."""

    wave: int
    settled_at: datetime | None
    soak: timedelta
    limit_percent: int
    waves: Sequence[Standing]


@dataclass(frozen=True, slots=True)
class Trip:
    """Pause: too many readers of a wave did badly."""

    why: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Nobody holds the wave up any more: its soak begins."""


@dataclass(frozen=True, slots=True)
class Open:
    """Send it to the readers of that wave."""

    wave: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Every reader came to an end and the last wave has soaked."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done yet."""


Decision = Trip | Settle | Open | Finish | Wait


def decide(progress: Progress, at: datetime) -> Decision:
    """What becomes of a running rollout at `at`; asked again after each decision that is not `Wait`."""
    opened = progress.waves[: progress.wave + 1]
    for wave, standing in enumerate(opened):
        if standing.bad * 100 > progress.limit_percent * standing.readers:
            return Trip(why(wave, standing, progress.limit_percent))
    last = progress.wave + 1 == len(progress.waves)
    if progress.settled_at is None:
        # Silence is no evidence: nothing follows until one reader runs it, or a person looked at what came instead.
        proved = any(one.confirmed or one.excused for one in opened)
        present = opened[-1]
        empty = present.readers == 0
        if empty and not last:
            return Open(progress.wave + 1)
        settled = present.unsent == 0 and present.open == present.silent
        return Settle() if settled and proved else Wait()
    if at < progress.settled_at + progress.soak:
        return Wait()
    if not last:
        return Open(progress.wave + 1)
    return Finish() if all(one.open == 0 and one.unsent == 0 for one in progress.waves) else Wait()


def why(wave: int, standing: Standing, limit_percent: int) -> str:
    """Why a wave paused the rollout, in words."""
    did = [
        f"{count:,} {what}"
        for count, what in (
            (standing.went_back, "went back to the application before"),
            (standing.refused, "refused it"),
            (standing.faulty, "reported a fault after it"),
        )
        if count
    ]
    readers = "1 reader" if standing.readers == 1 else f"{standing.readers:,} readers"
    return f"Of {readers} of {named(wave)}, {' and '.join(did)}: more than {limit_percent} per cent."


def named(wave: int) -> str:
    """What a wave is called."""
    return "the canary wave" if wave == 0 else f"wave {wave + 1}"
