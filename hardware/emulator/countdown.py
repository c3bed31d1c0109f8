"""Follows a test's countdown on the screen: fast while nothing happens, at a person's pace for what comes after it."""

import re

from .reader import EmulatedReader

_CLOCK = re.compile(r"\b(\d\d):(\d\d)\b")
_SLOWEST = 2.0
_STEP_S = 0.5


def left_s(screen: str) -> int | None:
    """Seconds that the countdown in a screen's text still has; None without a countdown."""
    found = _CLOCK.search(screen)
    return None if found is None else int(found[1]) * 60 + int(found[2])


async def until(reader: EmulatedReader, seconds: int, fast: float = 300.0, timeout: float = 240) -> None:
    """Let the countdown run to `seconds`, at most `fast` times as fast as our time and ever slower towards the end.

    The reader's speed is 1 afterwards. One in step lets just so much pass. Raises ReaderError when the
    countdown does not get there.
    """

    def at_most(limit: float) -> bool:
        left = left_s(reader.screen_text())
        return left is not None and left <= limit

    # What is left is halved in steps of _STEP_S of ours at least: a busy machine that looks late does not pass it.
    await reader.wait_for(lambda: left_s(reader.screen_text()) is not None, timeout, "a countdown")
    while reader.in_step and not at_most(seconds):
        await reader.let_pass(max(0.2, (left_s(reader.screen_text()) or 0) - seconds), timeout)
    while not at_most(seconds):
        left = left_s(reader.screen_text())
        if left is None:  # the picture is being drawn
            await reader.wait_for(lambda: left_s(reader.screen_text()) is not None, timeout, "a countdown")
            continue
        ahead = max(1.0, (left - seconds) / 2)
        reader.speed = min(fast, max(_SLOWEST, ahead / _STEP_S))
        limit = seconds + ahead
        await reader.wait_for(lambda limit=limit: at_most(limit), timeout, f"{limit:.0f} s left to wait")
    reader.speed = 1.0
