"""One running server for these tests."""

from collections.abc import Iterator

import httpx
import pytest

from tests.server.conftest import Database
from tests.server.running import Organisation, Running, run


@pytest.fixture(scope="session")
def running(database: Database) -> Iterator[Running]:
    with run(database.owner, database.app) as started:
        yield started


@pytest.fixture
def organisation(running: Running) -> Organisation:
    return running.organisation()


@pytest.fixture
def browser(running: Running) -> Iterator[httpx.Client]:
    """A client that keeps cookies and asks for pages, as a browser does."""
    with httpx.Client(base_url=running.url, headers={"Accept": "text/html"}, timeout=30) as client:
        yield client
