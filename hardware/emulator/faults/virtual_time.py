"""An event loop whose time passes only when nobody has anything to do: an hour of waiting costs nothing, and the same
seed gives the same course on any machine.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from .campaign import BrokenPromise

T = TypeVar("T")
HOUR_S = 3600.0


class _Waiting(selectors.SelectSelector):
    """Never waits: it moves the loop's clock on by as long as it was told to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise BrokenPromise("both ends wait for each other, and nothing will ever happen again")
        self.now_s += max(0.0, timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, waiting: _Waiting) -> None:
        self._waiting = waiting
        super().__init__(waiting)

    def time(self) -> float:
        return self._waiting.now_s


def run(main: Coroutine[Any, Any, T], limit_s: float) -> T:
    """Run `main` to its end in simulated time. BrokenPromise when it has not ended after `limit_s` of it."""
    loop = _Loop(_Waiting())
    try:
        return loop.run_until_complete(_within(main, limit_s))
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left))
        finally:
            loop.close()


async def _within(main: Coroutine[Any, Any, T], limit_s: float) -> T:
    scope = asyncio.timeout(limit_s)
    try:
        async with scope:
            return await main
    except TimeoutError:
        if not scope.expired():
            raise
        raise BrokenPromise(f"not everything was delivered within {limit_s / HOUR_S:.1f} hours") from None
