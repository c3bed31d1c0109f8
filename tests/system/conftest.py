"""The whole path for these tests, one for the session: server and hub as processes, readers on a bench, a browser."""

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.system.pages import Pages
from tests.system.village import Village

expect.set_options(timeout=30_000)

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def seed() -> int:
    """Of everything random; DOORSTEP_SEED chooses another."""
    chosen = int(os.environ.get("DOORSTEP_SEED", "2026"))
    print(f"seed {chosen}")
    return chosen


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def the_path(seed: int) -> AsyncIterator[Village]:
    # Not in pytest's own folder: another run of pytest closes that to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="doorstep-") as folder:
        async with Village(Path(folder), seed).running() as village:
            yield village


@pytest_asyncio.fixture(loop_scope="session")
async def village(the_path: Village, seed: int) -> AsyncIterator[Village]:
    """The path, whole, without readers; what the test adds is taken away after it."""
    print(f"seed {seed}")
    await the_path.restore()
    yield the_path
    await the_path.retire()
    # Shown when the test has failed.
    for program in (the_path.path.server, the_path.path.hub):
        print(f"The {program.name} said last:\n{program.last_words()}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is not there: install the system's chromium to run the tests of the pages."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def pages(chromium: Browser, the_path: Village) -> AsyncIterator[Pages]:
    """Signs clinicians in; a page whose script fails, or that asks for what it may not have, fails the test."""
    opened = Pages(chromium, the_path.path.place.address)
    yield opened
    await opened.close()
    assert opened.complaints == []
