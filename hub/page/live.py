"""What goes on in the running hub right now, gathered from its events for the page."""

import asyncio
from dataclasses import dataclass
from typing import Any

from hub.advice import Progress, seconds_left

_QUIET = ("seen", "visiting")  # they come often and, by themselves, change nothing that a person must see at once


@dataclass(slots=True)
class _Visit:
    began_s: float
    taken: int = 0
    stored: int = 0


class Live:
    """A listener of `hub.events.Events`; `version` rises with whatever the page shows."""

    def __init__(self) -> None:
        self.version = 0
        self._visits: dict[str, _Visit] = {}
        self._standing: dict[tuple[str, str], dict[str, Any]] = {}
        self._changed = asyncio.Event()

    def __call__(self, event: dict[str, Any]) -> None:
        reader = event.get("reader", "")
        match event["event"]:
            case "visiting":
                self._visits[reader] = _Visit(_now_s())
            case "collected" if reader in self._visits:
                visit = self._visits[reader]
                visit.taken += event["count"]
                visit.stored = event["stored"]
            case "left":
                self._visits.pop(reader, None)
            case "problem":
                self._standing[event["code"], event["subject"]] = event
            case "solved":
                self._standing.pop((event["code"], event["subject"]), None)
            case _:
                pass
        if event["event"] not in _QUIET:
            self.wake()

    def wake(self) -> None:
        """Make whoever waits look again."""
        self.version += 1
        self._changed.set()

    def collecting(self, on_readers: dict[str, int]) -> dict[str, Progress]:
        """The transfers that run, by reader id in hex; `on_readers` is what the readers still hold, in records."""
        now_s = _now_s()
        found: dict[str, Progress] = {}
        for reader_id, visit in self._visits.items():
            left = on_readers.get(reader_id, 0)
            if left or visit.taken:
                total = visit.taken + left
                found[reader_id] = Progress(
                    visit.taken, total, seconds_left(visit.taken, total, now_s - visit.began_s) if left else 0.0
                )
        return found

    def unstored(self, stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The problems that stand and are not among those `stored`: a full disk takes no note of itself."""
        known = {(problem["code"], problem["subject"]) for problem in stored}
        return [
            {
                "code": code, "subject": subject, "sentence": told["sentence"], "next_step": told["next_step"],
                "since": told["time"], "last": told["time"], "count": 1,
            }
            for (code, subject), told in self._standing.items() if (code, subject) not in known
        ]  # fmt: skip

    def visiting(self) -> frozenset[str]:
        """The readers that are connected or being connected to."""
        return frozenset(self._visits)

    async def changed(self, since: int, timeout_s: float) -> None:
        """Wait until `version` is beyond `since`, or for `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.version <= since:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return  # times on the page grow old without any event


def _now_s() -> float:
    return asyncio.get_running_loop().time()
