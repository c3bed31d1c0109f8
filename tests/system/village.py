"""A village for the tests of the whole path: server and hub, the hub watched, and readers that come and go."""

import asyncio
import contextlib
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from emulator.measurements import Measurements
from emulator.path import ORGANISATION, Enrolled, WholePath, walk_back
from emulator.scenario import Expectation, StripPlan, TestPlan, TubePlan
from emulator.worker import Shown, Worker

ANTIGEN = "(01)02000000000015(17)291231(10)AG2601(21){:04d}"
LAMP = "(01)02000000000039(17)291231(10)NA2601(21){:04d}"
OPERATOR = "OPKIT1"
# A reader drops who is not admitted within 20 s of its own time, so a hub must have some real seconds for it.
SPEED_IN_RANGE = 5.0
# The physical model only: what these tests are about does not depend on measurements by others.
MODEL = Measurements(Path("absent"))

Event = dict[str, Any]


def strip(specimen: str, outcome: str, reason: str = "none", *, test: float = 0.0, control: float = 0.45) -> TestPlan:
    """A cassette whose lines darken the membrane by so much, and what it must come to."""
    return TestPlan(
        specimen=specimen,
        operator=OPERATOR,
        cassette=ANTIGEN.format(int(specimen[-2:])),
        strip=StripPlan(test=test, control=control),
        expect=Expectation.model_validate({"outcome": outcome, "reason": reason}),
    )


def tube(
    specimen: str, outcome: str, reason: str = "none", *, sample: float | None = None, control: float | None = 14.0
) -> TestPlan:
    """Two tubes that rise at those minutes or not at all, and what they must come to."""
    return TestPlan(
        specimen=specimen,
        operator=OPERATOR,
        cassette=LAMP.format(int(specimen[-2:])),
        tube=TubePlan(positive_min=sample, control_min=control),
        expect=Expectation.model_validate({"outcome": outcome, "reason": reason}),
    )


class Village:
    """One running path. Readers belong to the test that adds them: `retire` takes them away."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = WholePath(folder, seed=seed, told=self._told)
        self.random = random.Random(seed)
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def _told(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    # Server and hub

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Village"]:
        """The server and the hub run; they end with the block."""
        async with self.path:
            await self.path.start_hub()
            yield self

    async def restore(self) -> None:
        """Start what a test has stopped, so that the next one finds the path whole."""
        if not self.path.server.running:
            await self.start_server()
        if not self.path.hub.running:
            await self.path.start_hub()

    async def start_server(self) -> None:
        await self.path.server.start()
        await self.path.until_answering()

    async def until(self, wanted: Callable[[list[Event]], object], since: int, timeout: float = 60) -> None:
        """Wait until `wanted` holds of the hub's events after the first `since`."""
        try:
            async with asyncio.timeout(timeout):
                while not wanted(self.events[since:]):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            said = "\n".join(map(str, self.events[since:][-12:]))
            raise AssertionError(f"The hub did not get there in {timeout:.0f} s. Its last events:\n{said}") from None

    def hub_rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the hub's database holds, read beside the running hub."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.path.place.folder / 'hub' / 'hub.sqlite3'}?mode=ro", uri=True)
        ) as database:
            return database.execute(statement, parameters).fetchall()

    async def hub_status(self, enrolled: Enrolled) -> dict[str, Any]:
        """What `doorstep hub status` says of one reader."""
        status = json.loads(await self.path.command("hub", "status", "--json"))
        (found,) = [reader for reader in status["readers"] if reader["id"] == enrolled.reader_id]
        return found

    async def results(self) -> list[dict[str, Any]]:
        """The results of this test's readers, oldest first."""
        mine = {enrolled.reader_id for enrolled in self.path.readers}
        return [result for result in await self.path.results() if result["reader_id"] in mine]

    # Readers

    async def reader(self, name: str, *, behind: timedelta = timedelta(0), away: bool = False) -> Enrolled:
        """A new reader that asks for a test, its clock chip `behind` ours; with `away`, out of the hub's range."""
        enrolled = await self.path.add_reader(name, clock=datetime.now(UTC) - behind)
        if away:
            enrolled.reader.out_of_range()
            enrolled.reader.in_step = True
        await worker(enrolled).ready()
        return enrolled

    async def retire(self) -> None:
        """Take this test's readers away."""
        await asyncio.gather(*(enrolled.reader.cut_power() for enrolled in self.path.readers))
        self.path.readers.clear()


def worker(enrolled: Enrolled) -> Worker:
    """A person at the reader."""
    return Worker(enrolled.reader, MODEL)


async def run(enrolled: Enrolled, plan: TestPlan, seed: int = 4) -> Shown:
    """One whole test, out of the hub's range; what the screen said."""
    reader = enrolled.reader
    before, reader.in_step = reader.in_step, True
    shown = await worker(enrolled).run(plan, seed)
    reader.in_step = before
    return shown


async def cancel(enrolled: Enrolled, plan: TestPlan) -> Shown:
    """Start a test, cancel it and confirm; what the screen said."""
    enrolled.reader.speed = SPEED_IN_RANGE
    person = worker(enrolled)
    await person.ready()
    await person.begin(plan)
    await enrolled.reader.press("B")
    await enrolled.reader.wait_for_text("Cancel test?")
    await enrolled.reader.press("A")
    shown = await person.outcome()
    await person.finish(plan)
    enrolled.reader.speed = 1.0
    return shown


async def come_home(enrolled: Enrolled) -> None:
    """Back in the hub's range, once the reader's clock shows ours."""
    await walk_back(enrolled.reader)
    enrolled.reader.in_range()


async def whole(village: Village, timeout: float = 240) -> dict[str, dict[str, int]]:
    """Wait until every reader has its receipts; then nothing is lost and nothing is there twice, anywhere.

    The counts agree at reader, hub and server; the hub's numbers are 1 to N, each once; and the server, reading every
    record anew, finds each chain whole.
    """
    custody = await village.path.settled(timeout)
    ledger = json.loads(await village.path.command("custody", "--organisation", ORGANISATION, "--prove", "--json"))
    lines = {line["reader_id"]: line for line in ledger["readers"]}
    for reader_id, counts in custody.items():
        assert len(set(counts.values())) == 1, counts
        rows = village.hub_rows("SELECT number FROM records WHERE reader_id = ?", bytes.fromhex(reader_id))
        assert sorted(number for (number,) in rows) == list(range(1, counts["issued"] + 1))
        line = lines[reader_id]
        assert line["proof"]["whole"], line
        assert line["proof"]["held"] == counts["issued"]
        assert (line["gaps"], line["conflicts"], line["quarantined"], line["forked"]) == (0, 0, 0, False)
    return custody


async def all_of(*work: Awaitable[Any]) -> list[Any]:
    """Several people at once; the first failure ends them all."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_one(part)) for part in work]
    return [task.result() for task in tasks]


async def _one(part: Awaitable[Any]) -> Any:
    return await part
