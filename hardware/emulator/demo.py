"""`doorstep demo`: the whole path on this machine, three emulated readers, a hub and a server, told as it happens.

Three workers leave with a reader each, out of the hub's range, run their tests in accelerated time, and come back; what
they bring appears on a clinician's page. It ends by itself with --once, else with Ctrl-C.
"""

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table

from . import scenario
from .measurements import Measurements
from .path import EMAIL, Enrolled, PathError, WholePath, walk_back
from .power import ReaderError
from .scenario import ReaderPlan, Scenario, TestPlan
from .worker import Shown, Worker

SCENARIO = Path(__file__).with_name("demo.toml")
# Longest a test of the scenario takes in the reader's time, so that its clock is behind ours when the round ends.
_TEST_TIME = timedelta(minutes=52)
_STRIP_TIME = timedelta(minutes=20)

app = typer.Typer(help="Run the whole path on this machine: readers, hub and server.", add_completion=False)


@app.callback(invoke_without_command=True)
def demo(
    once: Annotated[bool, typer.Option("--once", help="End when every reader holds its receipts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    file: Annotated[Path, typer.Option("--scenario", help="Another scenario file.")] = SCENARIO,
) -> None:
    """Run readers, hub and server; print the address of the clinician's page and a sign-in."""
    try:
        plan = scenario.load(file)
    except scenario.ScenarioError as error:
        _stop(str(error), 2)
    try:
        with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
            sys.exit(asyncio.run(Demo(plan, once, as_json).run()))
    except* (PathError, ReaderError) as group:
        _stop(str(_first(group)), 1)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    inner: Any = group.exceptions[0]
    return _first(cast("BaseExceptionGroup[Any]", inner)) if isinstance(inner, BaseExceptionGroup) else inner


def _stop(sentence: str, code: int) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(code)


@dataclass
class _Done:
    """One test, as planned and as it came out on the reader's screen."""

    plan: TestPlan
    shown: Shown


@dataclass
class Demo:
    """One run. `run()` returns the exit code: 0 only if all is delivered and every outcome is the expected one."""

    plan: Scenario
    once: bool
    as_json: bool
    done: list[_Done] = field(default_factory=list[_Done])

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        # What a program reads is on standard output alone.
        self._screen = Console(stderr=self.as_json, highlight=False)
        self._measurements = Measurements()
        self._names: dict[str, str] = {}

    def say(self, who: str, what: str, style: str = "") -> None:
        """One line of the story."""
        passed = int(time.monotonic() - self._began)
        self._screen.print(
            f"[dim]{passed // 60}:{passed % 60:02d}[/dim]  [bold]{who:<14}[/bold] {what}", style=style, soft_wrap=True
        )

    async def run(self) -> int:
        """From nothing to every receipt."""
        # Asked to end, it ends in order, as by Ctrl-C: server and hub are processes of their own.
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        self.say("Doorstep", "sets up a server with its database, a hub and the readers; this takes some seconds")
        if not self._measurements.present:
            self.say("Doorstep", "finds no measured traces, so the physical model stands in for them")
        with tempfile.TemporaryDirectory(prefix="doorstep-demo-") as folder:
            async with WholePath(Path(folder), seed=self.plan.seed, told=self._hub_says) as path:
                self.say("Server", f"answers at {path.place.address}")
                self._sign_in(path)
                await path.start_hub()
                async with asyncio.TaskGroup() as rounds:
                    for reader in self.plan.reader:
                        rounds.create_task(self._round(path, reader))
                custody = await path.settled()
                results = await path.results()
                code = self._conclude(custody, results)
                if not self.once:
                    self._sign_in(path)
                    self._screen.print("Everything is delivered. Press Ctrl-C to end and remove it all.")
                    await asyncio.Event().wait()
        return code

    def _sign_in(self, path: WholePath) -> None:
        self._screen.print(
            f"\n      Clinician's page   [link]{path.place.address}/[/link]\n      Sign in with       {EMAIL}\n"
            f"      Password           {path.password}\n",
            markup=True,
        )

    async def _round(self, path: WholePath, plan: ReaderPlan) -> None:
        """One worker's round: out of range, each test in order, and back."""
        longest = sum((_STRIP_TIME if test.strip else _TEST_TIME for test in plan.test), timedelta(minutes=5))
        enrolled = await path.add_reader(plan.name, clock=datetime.now(UTC) - longest)
        self._names[enrolled.reader_id] = plan.name
        reader = enrolled.reader
        reader.out_of_range()
        worker = Worker(reader, self._measurements, lambda what: self.say(plan.name, what))
        await worker.ready()
        self.say(plan.name, f"goes out with {len(plan.test)} tests, where there is no network")
        for at, test in enumerate(plan.test):
            await self._test(worker, enrolled, test, self.plan.seed + at)
        await walk_back(reader)
        reader.in_range()
        self.say(plan.name, "is back in range of the hub")

    async def _test(self, worker: Worker, enrolled: Enrolled, test: TestPlan, seed: int) -> None:
        enrolled.reader.speed = self.plan.speed
        shown = await worker.run(test, seed)
        expected = shown.outcome == test.expect.outcome
        mark = "shows" if expected else "shows, against expectation,"
        self.say(enrolled.name, f"{mark} {shown.outcome.upper()} for {test.specimen}", "" if expected else "red")
        self.done.append(_Done(test, shown))

    def _hub_says(self, event: dict[str, Any]) -> None:
        reader_id = str(event.get("reader", ""))
        name = self._names.get(reader_id, reader_id)
        match event["event"]:
            case "collected":
                records = "a sealed record" if event["count"] == 1 else f"{event['count']} sealed records"
                self.say("Hub", f"collects {records} from {name}, which it cannot read")
            case "delivered":
                self.say("Hub", f"has the server's receipt for {name} up to number {event['number']}")
            case "released":
                self.say(name, f"holds the receipt and may let go of records up to {event['number']}", "green")
            case "problem":
                self.say("Hub", f"{event['sentence']} {event['next_step']}", "yellow")
            case _:
                pass

    def _conclude(self, custody: dict[str, dict[str, int]], results: list[dict[str, Any]]) -> int:
        readers = [{"id": reader_id, **counts} for reader_id, counts in custody.items()]
        shown = [
            {key: result[key] for key in ("specimen", "assay", "outcome", "reason", "value")}
            for result in sorted(results, key=lambda result: result["specimen"])
        ]
        whole = all(len({r["issued"], r["stored"], r["held"], r["released"]}) == 1 for r in readers)
        expected = {
            test.specimen: (test.expect.outcome, test.expect.reason) for plan in self.plan.reader for test in plan.test
        }
        right = {result["specimen"]: (result["outcome"], result["reason"]) for result in shown} == expected
        right = right and len(shown) == len(expected)
        right = right and all(one.shown.outcome == one.plan.expect.outcome for one in self.done)
        seconds = round(time.monotonic() - self._began, 1)
        if self.as_json:
            print(json.dumps({"readers": readers, "results": shown, "seconds": seconds}))
        else:
            self._tables(readers, shown, expected)
        if not whole:
            self.say("Doorstep", "the counts of a reader differ: not everything is where it should be", "red")
        if not right:
            self.say("Doorstep", "a result is not the expected one", "red")
        return 0 if whole and right else 1

    def _tables(
        self, readers: list[dict[str, Any]], results: list[dict[str, Any]], expected: dict[str, tuple[str, str]]
    ) -> None:
        custody = Table("reader", "issued", "stored by hub", "held by server", "released", title="Custody, in records")
        for reader in readers:
            counts = (str(reader[key]) for key in ("issued", "stored", "held", "released"))
            custody.add_row(self._names.get(reader["id"], reader["id"]), *counts)
        outcomes = Table("specimen", "assay", "outcome", "reason", "value", "expected", title="Results on the server")
        for result in results:
            wanted = expected.get(result["specimen"], ("nothing", ""))
            agrees = "yes" if wanted == (result["outcome"], result["reason"]) else " ".join(wanted)
            cells = (str(result[key]) for key in ("specimen", "assay", "outcome", "reason", "value"))
            outcomes.add_row(*cells, agrees)
        self._screen.print(custody)
        self._screen.print(outcomes)
