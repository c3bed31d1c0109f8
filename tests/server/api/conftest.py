"""One running server for the calls, and programs with a token of any role."""

from collections.abc import Iterator

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
