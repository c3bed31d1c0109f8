"""A transfer that takes its time: a reader with much to give, and an old laptop's air."""

import asyncio
import time
from dataclasses import replace
from typing import Any

from emulator.air import Air, LinkModel
from emulator.path import Enrolled
from tests.system.laptop import Laptop
from tests.system.village import Village, cancel, strip

_MTU_REQUEST, _MTU_RESPONSE, _NOTIFICATION = 0x02, 0x03, 0x1B  # Core Specification 3F 3.4.2.1, 3.4.2.2, 3.4.7.1
_SMALLEST_MTU = (23).to_bytes(2, "little")
STORED_AT = 256  # segments: half the hub's window, when it stores for the first time


class Crawl:
    """An old laptop's air: the smallest packets, so that few records are many segments; and once `after` of them have
    gone, one packet each way every `interval_s`: the middle of a transfer, at length."""

    def __init__(self, air: Air, after: int, interval_s: float = 0.25) -> None:
        self.reached = asyncio.Event()
        self._interval_s = interval_s
        self._air, self._after = air, after
        self._model, self._send = air.model, air.send_acl_data

    def __enter__(self) -> "Crawl":
        self._air.send_acl_data = self._hear  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc: object) -> None:
        self._air.send_acl_data = self._send  # type: ignore[method-assign]
        self._air.model = self._model

    def _hear(self, sender: Any, destination: Any, transport: Any, data: bytes) -> None:
        if len(data) > 4 and data[4] in (_MTU_REQUEST, _MTU_RESPONSE):
            data = data[:5] + _SMALLEST_MTU
        if len(data) > 4 and data[4] == _NOTIFICATION:
            self._after -= 1
            if self._after == 0:
                self._air.model = replace(self._model, interval_s=self._interval_s, packets_per_event=1)
                self.reached.set()
        self._send(sender, destination, transport, data)


async def loaded(village: Village, laptop: Laptop, records: int, specimen: str = "DS-LOAD-01") -> Enrolled:
    """A reader with a test and so many records that the hub has not seen: another hub sets its clock over and over."""
    enrolled = await village.reader("Loaded")
    await cancel(enrolled, strip(specimen, "error", "cancelled"))
    enrolled.reader.speed = 1
    reader_id, air = bytes.fromhex(enrolled.reader_id), village.path.bench.air
    ticket = await laptop.ticket(reader_id)
    async with laptop.connected(reader_id) as central:
        await central.admit(ticket)
        # The link's time is not what this is about: it costs none here.
        slow, air.model = air.model, LinkModel.ideal()
        for _ in range(0, records, 4):
            now_ms = time.time_ns() // 1_000_000
            await central.set_clock(now_ms + 60_000, now_ms, now_ms + 60_000, now_ms)
        air.model = slow
    return enrolled
