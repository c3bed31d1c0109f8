"""What happens in the hub, told once: to the log, to JSON lines for a program that watches, and to whoever listens
inside."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hub.clock import Clock
from hub.errors import StoreError
from hub.problems import KINDS, Problem
from hub.store import Store
from hub.writer import Writer

_log = logging.getLogger(__name__)


class Events:
    """`listeners` get each event as a dict: "event", "time" (UTC, ISO 8601) and the event's own fields."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._standing: set[tuple[str, str]] = set()
        self.listeners: list[Callable[[dict[str, Any]], None]] = []

    def emit(self, event: str, **fields: Any) -> None:
        now = datetime.fromtimestamp(self._clock.read().wall_ms / 1000, UTC)
        _log.info(event, extra={"fields": fields})
        told = {"event": event, "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **fields}
        for listener in self.listeners:
            listener(told)

    def tell(self, code: str, subject: str, detail: str) -> None:
        """Tell a problem that is stored already."""
        told = Problem(code, subject, detail, 0, 0, 1)
        self.emit("problem", code=code, subject=subject, sentence=told.sentence, next_step=told.next_step)

    async def problem(self, code: str, subject: str = "", detail: str = "") -> None:
        """Note a problem; it stands until `solved`. Told when it is new in this run."""
        now_ms = self._clock.read().wall_ms
        try:
            await self._writer(Store.raise_problem, code, subject, detail, now_ms)
        except StoreError as error:  # a full disk cannot take the note either; it is still told
            _log.error("problem not stored", extra={"problem": code, "error": error.code})
        if (code, subject) not in self._standing:
            self._standing.add((code, subject))
            self.tell(code, subject, detail)

    async def solved(self, *codes: str, subject: str = "") -> None:
        """These problems, if they stood, do so no longer."""
        unknown = set(codes) - set(KINDS)
        if unknown:
            raise KeyError(unknown)
        try:
            await self._writer(Store.clear_problems, codes, subject)
        except StoreError as error:
            _log.error("problem not cleared", extra={"error": error.code})
        for code in codes:
            if (code, subject) in self._standing:
                self._standing.discard((code, subject))
                self.emit("solved", code=code, subject=subject)


def to_json_line(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))
