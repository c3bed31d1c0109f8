"""Hands at a reader on the bench, for the reader's tests: provision it, do a test, fetch its records by radio."""

import asyncio
import datetime
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import cbor2

from emulator.bench import Bench
from emulator.physics import Strip, Tube
from emulator.reader import EmulatedReader
from reader import wire
from tests.reader.stubs.small_hub import GENERATION, connected, open_record

READER_ID = b"reader-1"
KEY = bytes(range(32))
TODAY = datetime.datetime(2026, 11, 21, 12)
SARS2_STRIP = "02000000000015"
SARS2_LAMP = "02000000000039"
SPECIMEN = "SPEC-0001"
PATIENCE_S = 90
"""How long is waited for what comes in a second or two: on a busy machine a reader's process gets its turn late."""


def cassette(gtin: str, expiry: str = "271231", lot: str = "LOT7", serial: str = "SER9") -> str:
    """A GS1 element string as the scanner gives it, FNC1 as GS."""
    return f"01{gtin}17{expiry}10{lot}\x1d21{serial}"


class Hands:
    """One provisioned reader and what a person does with it."""

    def __init__(self, bench: Bench, reader: EmulatedReader) -> None:
        self.bench = bench
        self.reader = reader

    async def see(self, text: str, timeout: float = PATIENCE_S) -> str:
        """Wait for a text on the screen; returns the whole screen, once it is all drawn where time does not fly."""
        await self.reader.wait_for_text(text, timeout)
        if self.reader.in_step or self.reader.speed <= 1:
            return await self.settled()
        return self.reader.screen_text()

    async def acknowledge(self, text: str) -> str:
        """See a notice, press OK, and be back where a test can begin; returns the notice."""
        screen = await self.see(text)
        await self.reader.press("A")
        await self.see("Ready")
        return screen

    async def scan(self, code: str) -> str:
        """Hold a code before the scanner; the whole screen that answers it."""
        before = self.reader.screen_text()
        self.reader.scan(code)
        await self.reader.wait_for(lambda: self.reader.screen_text() != before, PATIENCE_S, f"an answer to {code}")
        return await self.settled()

    async def settled(self) -> str:
        """The screen once it has stood still for a fifth of the reader's seconds: a picture takes a tenth of that."""
        while True:
            screen, since = self.reader.screen_text(), self.reader.uptime_s
            await self.reader.wait_for(lambda since=since: self.reader.uptime_s >= since + 0.2, PATIENCE_S, "a moment")
            if self.reader.screen_text() == screen:
                return screen

    async def identify(self, code: str, specimen: str = SPECIMEN, operator: str | None = None) -> None:
        """From idle to the screen that asks for the test to be put in."""
        await self.see("Ready")
        await self.reader.press("A")
        await self.see("Scan specimen")
        for scanned in (specimen, operator, code):
            if scanned:
                self.reader.scan(scanned)
                await self.reader.wait_for(lambda s=scanned: self._taken(s), PATIENCE_S, f"{scanned} taken")

    def _taken(self, code: str) -> bool:
        screen = self.reader.screen_text()
        return code[:14] in screen or "SARS" in screen or "Not possible" in screen

    async def start_strip(self, strip: Strip, code: str | None = None) -> None:
        """Identify, insert the strip and start its incubation."""
        await self.identify(code or cassette(SARS2_STRIP), operator="OP1234")
        await self.see("NEXT")
        await self.reader.press("A")
        await self.see("Insert cassette.")
        self.reader.open_lid()
        self.reader.insert_strip(strip)
        self.reader.close_lid()
        await self.see("Press START.")
        await self.reader.press("A")
        await self.see("CANCEL")

    async def start_tubes(self, sample: Tube, control: Tube) -> None:
        """Identify, insert both tubes and start the run."""
        await self.identify(cassette(SARS2_LAMP))
        await self.see("NEXT")
        await self.reader.press("A")
        await self.see("Insert both")
        self.reader.insert_tube(sample)
        self.reader.insert_tube(control, "control")
        await self.reader.press("A")
        await self.see("CANCEL")

    async def warm(self, celsius: int) -> None:
        """Wait until a run shows at least that temperature; no one picture of a climb is sure to be seen."""
        await self.reader.wait_for(lambda: self._celsius() >= celsius, PATIENCE_S, f"{celsius} degrees")

    def _celsius(self) -> int:
        found = re.search(r"(\d+)\.\d C", self.reader.screen_text())
        return int(found[1]) if found else 0

    async def outcome(self, speed: float, timeout: float = 3 * PATIENCE_S) -> str:
        """Let time fly until an outcome is shown; returns the screen."""
        self.reader.speed = speed
        words = ("POSITIVE", "NEGATIVE", "UNCLEAR", "INVALID", "ERROR")
        await self.reader.wait_for(
            lambda: any(word in self.reader.screen_text() for word in words), timeout, "an outcome"
        )
        self.reader.speed = 1
        return await self.see("OK")

    async def sealed(self) -> list[bytes]:
        """Every record the reader holds, collected by radio."""
        self.reader.speed = 1
        async with connected(self.bench, READER_ID, KEY) as hub:
            state = await hub.admit()
            return await hub.collect(state[2])

    async def records(self) -> list[dict[int, Any]]:
        """Every record it holds, opened."""
        return [open_record(sealed, KEY, READER_ID) for sealed in await self.sealed()]

    async def results(self) -> list[dict[int, Any]]:
        """The bodies of its result records."""
        return [record[4] for record in await self.records() if record[1] == 1]


def events(records: list[dict[int, Any]], code: int) -> list[tuple[str | None, list[int]]]:
    """(detail, numbers) of the events of a kind."""
    bodies = [record[4] for record in records if record[1] == wire.KIND_EVENT]
    return [(body[wire.EVT_DETAIL], body[wire.EVT_NUMBERS]) for body in bodies if body[wire.EVT_CODE] == code]


def results(records: list[dict[int, Any]]) -> list[tuple[int, int]]:
    """(outcome, reason) of the results."""
    bodies = [record[4] for record in records if record[1] == wire.KIND_RESULT]
    return [(body[wire.RES_OUTCOME], body[wire.RES_REASON]) for body in bodies]


@asynccontextmanager
async def reader_at_hand(clock: bool = True, **options: Any) -> AsyncIterator[Hands]:
    """A bench with one provisioned reader, switched on, its clock set."""
    async with Bench() as bench:
        reader = await bench.add_reader(start=False, **{"in_step": True, **options})
        identity = {1: READER_ID, 2: [[GENERATION, KEY]], 3: "reader one", 4: 0}
        await reader.write_files({"/identity.cbor": cbor2.dumps(identity, canonical=True)})
        if clock:
            reader.circuit.rtc.set_time(TODAY)
        await reader.start()
        hands = Hands(bench, reader)
        try:
            await hands.see("START")
            yield hands
        finally:
            await asyncio.sleep(0)
