"""How long a result takes to the clinician: the whole path, every part the real program with its default settings.

The clock starts when the reader's screen says that it reads the strip, at its own pace, and stops when the worklist
that a signed-in browser would fetch on the page's event shows the specimen.
"""

import asyncio
import html
import re
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from .. import countdown
from ..measurements import Measurements
from ..path import EMAIL, Enrolled, PathError, WholePath
from ..scenario import Expectation, StripPlan, TestPlan
from ..worker import Worker
from .figure import Figure, Say

TESTS = 3
_LIMIT_S = 10.0
_FAST = 300.0
_WAIT_S = 60.0
_CASSETTE = "(01)02000000000015(17)291231(10)AG2601(21){:04d}"
_CSRF = re.compile(r'name="csrf"[^>]*value="([^"]+)"')
_EVENTS = re.compile(r'sse-connect="([^"]+)"')
_LIST = "/worklist/list"


async def measure(say: Say, full: bool = False, tests: int = TESTS) -> list[Figure]:
    """Median of several tests on one reader."""
    with tempfile.TemporaryDirectory(prefix="doorstep-bench-") as folder:
        say("starts a server, a hub and a reader")
        async with WholePath(Path(folder), seed=5) as path:
            # As it is set when nobody sets it: what is measured must not hang on how often the hub asks.
            path.place.environment.pop("DOORSTEP_HUB_POLL", None)
            enrolled = await path.add_reader("Village hall", clock=datetime.now(UTC))
            worker = Worker(enrolled.reader, Measurements())
            await worker.ready()
            await path.start_hub()
            await receipted(path, enrolled, 1)
            took: list[tuple[float, float]] = []
            for at in range(tests):
                say(f"runs test {at + 1} of {tests}")
                took.append(await _one(path, enrolled, worker, at))
    reads, stores = zip(*took, strict=True)
    return [
        Figure(
            "delivery",
            f"strip read to row on the clinician's page, median of {tests}",
            statistics.median(reads),
            "s",
            _LIMIT_S,
            "lower",
        ),
        Figure(
            "delivery.shown",
            "outcome on the reader's screen to the same row",
            statistics.median(stores),
            "s",
            _LIMIT_S,
            "lower",
        ),
    ]


async def _one(path: WholePath, enrolled: Enrolled, worker: Worker, at: int) -> tuple[float, float]:
    """Seconds from reading, and from the outcome on the reader's screen."""
    reader = enrolled.reader
    specimen = f"BENCH-{at:04d}"
    plan = TestPlan(
        specimen=specimen,
        cassette=_CASSETTE.format(at),
        strip=StripPlan(test=0.25),
        expect=Expectation(outcome="positive"),
    )
    issued, _ = path.advertised(enrolled)
    async with _page(path) as page:
        arrival = asyncio.create_task(page.until_listed(specimen))
        try:
            await worker.ready()
            await worker.begin(plan)
            await countdown.until(reader, 3, _FAST)
            await reader.wait_for_text("Reading", _WAIT_S)
            read = time.perf_counter()
            await worker.outcome()
            shown = time.perf_counter()
            async with asyncio.timeout(_WAIT_S):
                listed = await arrival
        except TimeoutError:
            raise PathError(
                f"{specimen} was not on the page within {_WAIT_S:.0f} s.\n{path.hub.last_words()}"
            ) from None
        finally:
            arrival.cancel()
    await worker.finish(plan)
    await receipted(path, enrolled, issued + 1)
    return listed - read, listed - shown


async def receipted(path: WholePath, enrolled: Enrolled, at_least: int, timeout: float = _WAIT_S) -> None:
    """Until the reader holds receipts for all it has issued, and that is `at_least` so many."""
    end = time.monotonic() + timeout
    while True:
        issued, released = path.advertised(enrolled)
        if issued >= at_least and issued == released and not enrolled.reader.connected:
            return
        if time.monotonic() > end:
            raise PathError(
                f"The reader got no receipts ({issued} issued, {released} released).\n{path.hub.last_words()}"
            )
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _page(path: WholePath) -> "AsyncGenerator[Page]":
    async with httpx.AsyncClient(base_url=path.place.address, timeout=30, follow_redirects=True) as client:
        page = Page(client)
        await page.sign_in(EMAIL, path.password)
        yield page


class Page:
    """The clinician's worklist, as a browser keeps it fresh."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._events = ""

    async def sign_in(self, email: str, password: str) -> None:
        """Sign in by the form and open the worklist. PathError when the page is another."""
        token = _found(_CSRF, (await self._client.get("/sign-in")).text)
        answer = await self._client.post("/sign-in", data={"csrf": token, "email": email, "password": password})
        self._events = _found(_EVENTS, answer.text)

    async def until_listed(self, specimen: str) -> float:
        """Listen to the page's events and fetch the list at each; `perf_counter` when the list shows `specimen`."""
        async with self._client.stream("GET", self._events, timeout=httpx.Timeout(30, read=None)) as events:
            async for line in events.aiter_lines():
                if line.startswith(("event: arrived", "event: changed")):
                    listed = await self._client.get(_LIST)
                    if f">{specimen}<" in listed.text:
                        return time.perf_counter()
        raise PathError("The page's stream of events ended.")


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if found is None:
        raise PathError(f"The clinician's page is not as expected: it has no {pattern.pattern}.")
    return html.unescape(found[1])
