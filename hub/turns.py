"""Which reader is visited next: the one with work that has waited longest, and not one that has just failed. Pure."""

import random
from dataclasses import dataclass

from hub.advert import Advert
from hub.store import Work

IN_RANGE_S = 30.0
REVISIT_S = 600.0
BACKOFF_FIRST_S = 2.0
BACKOFF_CAP_S = 300.0
IMAGE = "image"


@dataclass(slots=True)
class _Reader:
    advert: Advert
    heard_s: float
    visited_s: float | None = None
    ended_s: float = float("-inf")
    failures: int = 0
    not_before_s: float = 0.0
    visiting: bool = False


class Turns:
    """Times are seconds of any monotonic clock, always passed in."""

    def __init__(self, revisit_s: float = REVISIT_S, chance: random.Random | None = None) -> None:
        self._readers: dict[bytes, _Reader] = {}
        self._revisit_s = revisit_s
        self._chance = chance or random.Random()  # noqa: S311  jitter, no secret

    def heard(self, advert: Advert, now_s: float) -> bool:
        """Take an advertisement; returns True when it says something new."""
        reader = self._readers.get(advert.reader_id)
        if reader is None:
            self._readers[advert.reader_id] = _Reader(advert, now_s)
            return True
        news = reader.advert != advert or now_s - reader.heard_s > IN_RANGE_S
        reader.advert, reader.heard_s = advert, now_s
        return news

    def in_range(self, now_s: float) -> list[bytes]:
        return [reader_id for reader_id, reader in self._readers.items() if now_s - reader.heard_s <= IN_RANGE_S]

    def advert(self, reader_id: bytes) -> Advert:
        return self._readers[reader_id].advert

    def failures(self, reader_id: bytes) -> int:
        return self._readers[reader_id].failures

    def why(self, reader_id: bytes, work: Work, now_s: float) -> str | None:
        """Why this reader should be visited, or None."""
        reader = self._readers[reader_id]
        if reader.advert.next - 1 > work.stored:
            return "records"
        if work.receipt > reader.advert.released:
            return "receipt"
        if work.command > work.down:
            return "command"
        if reader.visited_s is None or now_s - reader.visited_s >= self._revisit_s:
            return "anchor"
        return None if work.image is None else IMAGE

    def choose(self, work: dict[bytes, Work], now_s: float) -> bytes | None:
        """The reader to visit now: in range, with work, a ticket and no back-off; those for which only an image waits
        last, and among equals the longest unvisited first."""
        able = [
            (why == IMAGE, reader.ended_s, reader_id)
            for reader_id in self.in_range(now_s)
            if not (reader := self._readers[reader_id]).visiting
            and reader.not_before_s <= now_s
            and reader_id in work
            and work[reader_id].tickets > 0
            and (why := self.why(reader_id, work[reader_id], now_s)) is not None
        ]
        return min(able)[2] if able else None

    def begin(self, reader_id: bytes) -> None:
        self._readers[reader_id].visiting = True

    def end(
        self, reader_id: bytes, now_s: float, ok: bool, next: int | None = None, released: int | None = None
    ) -> None:
        """A visit ended. What the reader said over the link is newer than the last advertisement."""
        reader = self._readers[reader_id]
        reader.visiting, reader.ended_s = False, now_s
        if next is not None and released is not None:
            old = reader.advert
            reader.advert, reader.visited_s = Advert(reader_id, next, released, old.flags), now_s
        if ok:
            reader.failures, reader.not_before_s = 0, now_s
            return
        reader.failures += 1
        longest = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2 ** (reader.failures - 1))
        reader.not_before_s = now_s + self._chance.uniform(longest / 2, longest)
