"""How fast a clinician's pages are with a million results behind them, beside the same with ten thousand.

Two servers, each in its own process over its own PostgreSQL, one with each history (`history`); 20 people who are
signed in open a page, read it for a while and open the next. A time is from the request to the last byte of the answer,
over a connection that stays. The two are measured by turns in the same minutes, so that whatever else the machine does
falls on both; how a page grows is the ratio of their medians.

The worklist is opened as people do: everything, their own, the team's, what is overdue, one outcome, one assay. The
results are of all of the history alike, so that most are in nobody's cache.
"""

import asyncio
import contextlib
import http.client
import json
import random
import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode, urlsplit

from ..path import EMAIL, ORGANISATION, SITE, WholePath
from .accept import READERS, sealer_of
from .figure import Figure, Say
from .history import History
from .posting import Post, ServerRefused
from .sealing import Sealer

SMALL, LARGE = 10_000, 1_000_000
USERS = 20
TURNS = 5
TURN_S = 8.0
_THINK_S = 2.0
_LIMIT_MS = 100.0
_GROWTH = 1.2
_SOURCES = 64  # records that really came; the others are copies of them
_RESULTS = 5_000
# The second assay is one that nobody used: what is not there must not be looked for in all of the history.
_LISTS = (
    *("/", "/?view=mine", "/?view=team", "/?view=overdue"),
    *("/?outcome=positive", "/?assay=sars2-ag", "/?assay=crp"),
)
_KINDS = ("worklist", "result")


async def measure(say: Say, full: bool = False) -> list[Figure]:
    """The worklist and the page of a result, with each history."""
    return await measure_at(say, SMALL, LARGE)


async def measure_at(say: Say, small: int, large: int, turns: int = TURNS, turn_s: float = TURN_S) -> list[Figure]:
    """The same with `small` and `large` results, in `turns` turns of `turn_s` seconds each."""
    with TemporaryDirectory(prefix="doorstep-bench-") as folder:
        async with contextlib.AsyncExitStack() as paths:
            wards: list[Ward] = []
            for results in (small, large):
                say(f"starts a server and makes {results:,} results in its tables")
                where = Path(folder) / str(results)
                where.mkdir()
                path = await paths.enter_async_context(WholePath(where))
                made = await path.command(
                    "server", "enrol-hub", "--organisation", ORGANISATION, "--site", SITE, "--json"
                )
                sealers = [await sealer_of(path, f"Reader {at + 1}") for at in range(READERS)]
                code = str(json.loads(made)["code"])
                wards.append(await asyncio.to_thread(_ward, path, code, sealers, results))
            say(f"has {USERS} people open pages of both by turns, {2 * turns * turn_s:.0f} s in all")
            await asyncio.to_thread(_open_by_turns, wards, turns, turn_s)
            return [figure for kind in _KINDS for figure in _figures(kind, *wards)]


@dataclass
class Ward:
    """A server with its history, the people signed in to it, and how long their pages took, in ms by kind."""

    results: int
    ids: list[str]
    people: "list[Person]"
    took: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})


def _ward(path: WholePath, code: str, sealers: list[Sealer], results: int) -> Ward:
    post = Post(path.place.address, code)
    sealed = [sealers[at % len(sealers)].result() for at in range(_SOURCES)]
    post.exchange(post.body(sealed), len(sealed))
    with History(Path(path.place.environment["DOORSTEP_DATA_DIR"]) / "postgresql") as history:
        history.wait_recomputed()
        emails = [EMAIL, *history.users(USERS - 1)]
        history.grow(results)
        ids = history.results(_RESULTS)
    return Ward(results, ids, [Person(path.place.address, email, path.password) for email in emails])


class Person:
    """Somebody with a browser, signed in."""

    def __init__(self, address: str, email: str, password: str) -> None:
        self._link = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self._cookies: dict[str, str] = {}
        form = self._ask("GET", "/sign-in", 200)
        token = re.search(rb'name="csrf" value="([^"]+)"', form)
        if token is None:
            raise ServerRefused("The sign-in page has no form.")
        fields = {"csrf": token[1].decode(), "email": email, "password": password}
        self._ask("POST", "/sign-in", 303, urlencode(fields))

    def open(self, path: str) -> float:
        """Milliseconds until the whole page is here. Raises ServerRefused for any answer but a page."""
        began = time.perf_counter()
        self._ask("GET", path, 200)
        return (time.perf_counter() - began) * 1000

    def _ask(self, method: str, path: str, wanted: int, body: str | None = None) -> bytes:
        headers = {
            "Accept": "text/html",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
        }
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            answer = self._answer(method, path, body, headers)
        except (ConnectionError, http.client.RemoteDisconnected):
            # The server ends a connection that was idle; what is asked here may be asked twice.
            self._link.close()
            answer = self._answer(method, path, body, headers)
        content = answer.read()
        if answer.status != wanted:
            raise ServerRefused(f"{path} was answered with status {answer.status}: {content[:300]!r}")
        for set_cookie in answer.headers.get_all("set-cookie") or []:
            name, _, value = set_cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return content

    def _answer(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        self._link.request(method, path, body, headers)
        return self._link.getresponse()


def _open_by_turns(wards: list[Ward], turns: int, turn_s: float) -> None:
    with ThreadPoolExecutor(USERS) as threads:
        for turn in range(turns + 1):
            for ward in wards:
                until = time.monotonic() + turn_s
                asked = [
                    threads.submit(_read, ward, person, random.Random(turn * USERS + at), until)  # noqa: S311
                    for at, person in enumerate(ward.people)
                ]
                found = [took for one in asked for took in one.result()]
                # The first turn is not counted: connections are made and templates compiled in it.
                for kind, took in found if turn else []:
                    ward.took[kind].append(took)


def _read(ward: Ward, person: Person, chance: random.Random, until: float) -> list[tuple[str, float]]:
    """Open the worklist and results by turns, with pauses, until then."""
    found: list[tuple[str, float]] = []
    while True:
        time.sleep(chance.expovariate(1 / _THINK_S))
        if time.monotonic() > until:
            return found
        kind = chance.choice(_KINDS)
        page = chance.choice(_LISTS) if kind == "worklist" else f"/results/{chance.choice(ward.ids)}"
        found.append((kind, person.open(page)))


def _figures(kind: str, small: Ward, large: Ward) -> list[Figure]:
    took, beside = large.took[kind], small.took[kind]
    what = f"{'the worklist' if kind == 'worklist' else 'the page of a result'} with {large.results:,} results held"
    people = f"and {USERS} people at work ({len(took)} pages)"
    return [
        Figure(f"pages.{kind}", f"{what} {people}, 95th percentile", _percentile(took, 95), "ms", _LIMIT_MS, "lower"),
        Figure(
            f"pages.{kind}.growth",
            f"{what}, median, beside that with {small.results:,}",
            statistics.median(took),
            "ms",
            _GROWTH * statistics.median(beside),
            "lower",
            rival=statistics.median(beside),
        ),
    ]


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
