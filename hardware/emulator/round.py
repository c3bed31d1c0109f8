"""A scenario's tests on emulated readers, told line by line: each step, each new screen as text, each outcome."""

import asyncio
import contextlib
import re
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from .bench import Bench
from .measurements import Measurements
from .path import provision
from .power import ReaderError
from .reader import EmulatedReader
from .scenario import ReaderPlan, Scenario, ScenarioError, TestPlan
from .worker import Shown, Worker

_LONGEST_WATCH_S = 86_400.0
# What changes on a screen that is still the same one: the countdown, the temperature, the battery.
_MOVING = re.compile(r"[\d:.%\s]+")


class Round:
    """One run of a scenario. `quiet` keeps standard output free and tells the story on standard error."""

    def __init__(self, plan: Scenario, *, quiet: bool = False, stay: bool = False) -> None:
        self.plan = plan
        self.stay = stay
        self._measurements = Measurements()
        self._screen = Console(stderr=quiet, highlight=False, soft_wrap=True)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return round(time.monotonic() - self._began, 1)

    def check(self) -> None:
        """ScenarioError for a strip or tube that cannot be made, before anything is started."""
        for reader in self.plan.reader:
            for at, test in enumerate(reader.test):
                try:
                    if test.strip is not None:
                        test.strip.build(self._measurements, at)
                    elif test.tube is not None:
                        test.tube.build(self._measurements)
                except (KeyError, ValueError, OSError) as error:
                    reason = error.args[0] if isinstance(error, KeyError) else error
                    raise ScenarioError(
                        f"{reader.name}, test {at + 1} ({test.specimen}): {reason}. Mend it and try again."
                    ) from None

    async def run(self) -> list[dict[str, Any]]:
        """Every reader at once, its tests in order; one entry a reader, in the order of the scenario."""
        if not self._measurements.present:
            self._say("Bench", "finds no measured traces, so the physical model stands in for them")
        async with Bench(seed=self.plan.seed) as bench:
            if self.stay:
                self._say("Bench", f"has its readers in range of a hub with DOORSTEP_HUB_RADIO=emulated:{bench.radio}")
            readers = await asyncio.gather(*(self._reader(bench, plan) for plan in self.plan.reader))
            if self.stay:
                self._say("Bench", "stays. Press Ctrl-C to end and remove it all")
                with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is the way out, not a failure
                    await asyncio.Event().wait()
        return readers

    async def _reader(self, bench: Bench, plan: ReaderPlan) -> dict[str, Any]:
        reader = await bench.add_reader(name=plan.name, start=False, speed=self.plan.speed)
        reader_id = secrets.token_bytes(8)
        await provision(reader, reader_id, secrets.token_bytes(32), 0, plan.name)
        reader.circuit.rtc.set_time(datetime.now(UTC))
        reader.close_lid()
        await reader.start()
        self._say(plan.name, f"is switched on ({len(plan.test)} tests, time runs {self.plan.speed:g} times as fast)")
        watching = asyncio.create_task(self._watch(reader))
        try:
            worker = Worker(reader, self._measurements, lambda step: self._say(plan.name, step))
            tests = [await self._test(worker, test, self.plan.seed + at) for at, test in enumerate(plan.test)]
        finally:
            watching.cancel()
        if self.stay:
            reader.speed = 1.0
        return {"name": plan.name, "id": reader_id.hex(), "tests": tests}

    async def _test(self, worker: Worker, test: TestPlan, seed: int) -> dict[str, Any]:
        shown: Shown | None = None
        problem = None
        try:
            shown = await worker.run(test, seed)
        except ReaderError as error:
            problem = str(error)
        except TimeoutError:
            problem = f"the test did not go on. The screen says:\n{worker.reader.screen_text()}"
        expected = test.expect.outcome
        agrees = shown is not None and shown.outcome == expected
        name = worker.reader.name
        if shown is None:
            self._say(name, f"shows no outcome for {test.specimen}: {problem}", "red")
        elif agrees:
            self._say(name, f"shows {shown.outcome.upper()} for {test.specimen}, as expected", "green")
        else:
            self._say(name, f"shows {shown.outcome.upper()} for {test.specimen}; {expected} was expected", "red")
        return {
            "specimen": test.specimen,
            "expected": expected,
            "shown": None if shown is None else shown.outcome,
            "screen": worker.reader.screen_text() if shown is None else shown.text,
            "problem": problem,
            "agrees": agrees,
        }

    async def _watch(self, reader: EmulatedReader) -> None:
        """Print each screen when it becomes another one; a countdown that runs is one screen.

        The worker waits for nobody, so nothing here waits until a picture stands still: one that is caught half drawn
        is printed, and again when it is whole.
        """
        last = ""
        # The worker meets the same end and says what it means for the test.
        with contextlib.suppress(ReaderError):
            while True:
                await reader.wait_for(
                    lambda last=last: _kind(reader.screen_text()) != last, _LONGEST_WATCH_S, "another screen"
                )
                text = reader.screen_text()
                last = _kind(text)
                if text:
                    framed = "\n".join(f"                        │ {line:<16} │" for line in text.splitlines())
                    self._screen.print(f"{self._stamp()}[bold]{escape(reader.name):<15}[/bold] shows\n{escape(framed)}")

    def _stamp(self) -> str:
        passed = int(time.monotonic() - self._began)
        return f"[dim]{passed // 60}:{passed % 60:02d}[/dim]  "

    def _say(self, who: str, what: str, style: str = "") -> None:
        self._screen.print(f"{self._stamp()}[bold]{escape(who):<15}[/bold] {escape(what)}", style=style)


def _kind(text: str) -> str:
    return _MOVING.sub(" ", text)
