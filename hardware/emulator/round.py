"""A scenario's tests on emulated readers, told line by line: each step, each new screen as text, each outcome."""

import asyncio
import contextlib
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from .antenna import Adapter, AdapterError
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
    """One run of a scenario. `quiet` keeps standard output free and tells the story on standard error.

    `adapters` are Bumble transports of real controllers, one a reader in the order of the scenario; without them the
    readers are on the virtual air.
    """

    def __init__(
        self, plan: Scenario, *, quiet: bool = False, stay: bool = False, adapters: Sequence[str] = ()
    ) -> None:
        self.plan = plan
        self.stay = stay
        self._adapters = [Adapter(spec) for spec in adapters]
        self._measurements = Measurements()
        self._screen = Console(stderr=quiet, highlight=False, soft_wrap=True)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return round(time.monotonic() - self._began, 1)

    def check(self) -> None:
        """ScenarioError for what cannot be made or is not there, before anything is started."""
        if self._adapters and len(self._adapters) != len(self.plan.reader):
            raise ScenarioError(
                f"An adapter is one reader's: the scenario has {len(self.plan.reader)}, so give --hci as many times."
            )
        for reader in self.plan.reader:
            reader.identity()
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
        async with contextlib.AsyncExitStack() as stack:
            bench = await stack.enter_async_context(Bench(seed=self.plan.seed))
            for adapter in self._adapters:
                await stack.enter_async_context(adapter)
            if self.stay and not self._adapters:
                self._say("Bench", f"has its readers in range of a hub with DOORSTEP_HUB_RADIO=emulated:{bench.radio}")
            antennas = self._adapters or [None] * len(self.plan.reader)
            readers = await asyncio.gather(
                *(self._reader(bench, *each) for each in zip(self.plan.reader, antennas, strict=True))
            )
            if self.stay:
                self._say("Bench", "stays. Press Ctrl-C to end it")
                with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is the way out, not a failure
                    await self._until_unplugged()
        return readers

    async def _until_unplugged(self) -> None:
        """Wait for ever, or raise AdapterError when an adapter has gone."""
        if not self._adapters:
            await asyncio.Event().wait()
        await asyncio.wait([adapter.gone for adapter in self._adapters], return_when=asyncio.FIRST_COMPLETED)
        gone = next(adapter for adapter in self._adapters if adapter.gone.done())
        raise AdapterError(f"The adapter {gone.spec} has gone: plug it in and start again.")

    async def _reader(self, bench: Bench, plan: ReaderPlan, adapter: Adapter | None) -> dict[str, Any]:
        kept = plan.flash is not None and plan.flash.exists()
        identity = plan.identity()
        reader_id = bytes.fromhex(identity.reader_id)
        reader = await bench.add_reader(
            name=plan.name,
            flash=plan.flash,
            address=None if adapter is None else _address(reader_id),
            start=False,
            speed=self.plan.speed,
            antenna=adapter,
        )
        if not kept:
            await provision(reader, reader_id, bytes.fromhex(identity.key), identity.generation, plan.name)
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
        return {"name": plan.name, "id": identity.reader_id, "tests": tests}

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


def _address(reader_id: bytes) -> str:
    """A static random address (Core 5.4 Vol 6 Part B 1.3.2.1) that no other bench has."""
    return ":".join(f"{octet:02X}" for octet in (reader_id[0] | 0xC0, *reader_id[1:6]))


def _kind(text: str) -> str:
    return _MOVING.sub(" ", text)
