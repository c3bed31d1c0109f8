"""A laptop in a QEMU guest, with the whole path around it; one for the session."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.bluez.guest import Guest
from tests.bluez.laptop import LaptopVillage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def guest() -> AsyncIterator[Guest]:
    with tempfile.TemporaryDirectory(prefix="doorstep-guest-") as folder:
        async with Guest(Path(folder)) as guest:
            yield guest


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def the_path(guest: Guest) -> AsyncIterator[LaptopVillage]:
    # Not in pytest's own folder: another run of pytest closes that to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="doorstep-") as folder:
        async with LaptopVillage(Path(folder), guest, seed=2026).running() as village:
            yield village


@pytest_asyncio.fixture(loop_scope="session")
async def village(the_path: LaptopVillage, guest: Guest) -> AsyncIterator[LaptopVillage]:
    """The path, whole, without readers; what the test adds is taken away after it."""
    await the_path.restore()
    yield the_path
    await the_path.retire()
    # Shown when the test has failed.
    print("The hub's last events:", *the_path.events[-30:], sep="\n")
    print(f"The server said last:\n{the_path.path.server.last_words()}\nThe guest:\n{await guest.last_words()}")
