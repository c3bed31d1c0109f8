"""The hub's clock: what it reads, how far it may be believed, and how an old reading is put right after it was
moved."""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESS = uuid.uuid4().hex
_DRIFT = 100e-6  # a laptop's crystal: 100 parts in a million
_BELIEVED_OFFSET_MS = 120_000
_BELIEVED_UNCERTAINTY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Reading:
    """`wall_ms` is Unix time as this laptop believes it; `steady_ms` counts since start `boot` and is never moved."""

    wall_ms: int
    steady_ms: int
    boot: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The server's clock beside ours at one exchange. `server_ms` was true at `at`, give or take `uncertainty_ms`."""

    server_ms: int
    at: Reading
    uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class Time:
    unix_ms: int
    uncertainty_ms: int


class Clock:
    """The system's clocks. Tests give another object with the same `read`."""

    def read(self) -> Reading:
        if _BOOT_ID.exists():  # Linux: CLOCK_BOOTTIME goes on while the lid is closed, and the boot has a name
            steady = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            boot = _BOOT_ID.read_text().strip()
        else:
            steady, boot = time.monotonic_ns(), _PROCESS
        return Reading(time.time_ns() // 1_000_000, steady // 1_000_000, boot)


def believed(now: Reading, last: Comparison | None) -> Time | None:
    """The time to give to a reader, or None when the hub has no reason to believe its own clock so closely."""
    time = estimated(now, last)
    return time if time is not None and time.uncertainty_ms <= _BELIEVED_UNCERTAINTY_MS + 1 else None


def estimated(now: Reading, last: Comparison | None) -> Time | None:
    """The time, with an uncertainty that grows with the days since the server was heard; None when nothing is known.

    Within the start in which the server was last heard, its time is carried on by the steady clock. After a restart
    the wall clock is believed if it agreed with the server then and has not gone back since.
    """
    if last is None:
        return None
    if now.boot == last.at.boot:
        elapsed = max(0, now.steady_ms - last.at.steady_ms)
        return Time(last.server_ms + elapsed, int(last.uncertainty_ms + elapsed * _DRIFT) + 1)
    offset = last.server_ms - last.at.wall_ms
    elapsed = now.wall_ms - last.at.wall_ms
    if abs(offset) > _BELIEVED_OFFSET_MS or elapsed < 0:
        return None
    return Time(now.wall_ms, int(last.uncertainty_ms + abs(offset) + 1_000 + elapsed * _DRIFT) + 1)


def rebased(wall_ms: int, steady_ms: int, boot: str, now: Reading) -> int:
    """An earlier reading in terms of the wall clock as it is now, so that a clock set in between moves no anchor."""
    if boot != now.boot:
        return wall_ms
    return max(0, now.wall_ms - (now.steady_ms - steady_ms))


def wrong_by_ms(last: Comparison | None) -> int | None:
    """How far the laptop's clock was from the server's, if by more than is let pass."""
    if last is None or abs(last.server_ms - last.at.wall_ms) <= _BELIEVED_OFFSET_MS + last.uncertainty_ms:
        return None
    return last.at.wall_ms - last.server_ms


def span(ms: int) -> str:
    """A span in words, such as "3 hours"."""
    seconds = abs(ms) // 1000
    for size, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {word}"
    return f"{seconds} seconds"
