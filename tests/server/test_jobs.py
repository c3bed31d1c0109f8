"""A server that runs does its jobs by itself: what is due is told though nobody asks."""

import asyncio
import time
from collections.abc import Iterator

import psycopg
import pytest

from reader import outcome
from server import jobs
from tests.server import factory
from tests.server.conftest import Database, cluster
from tests.server.running import Running, run

PATIENCE_S = 60


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """Of its own: jobs are for every organisation of a database, and under one master key."""
    with cluster() as made:
        yield made


@pytest.fixture(scope="module")
def running(database: Database) -> Iterator[Running]:
    with run(database.owner, database.app, jobs=True) as started:
        yield started


def test_a_running_server_tells_of_a_positive_that_nobody_acted_on(running: Running) -> None:
    organisation = running.organisation()
    organisation.deliver(factory.result(outcome_code=outcome.POSITIVE, moment=organisation.reader.moment()))
    with psycopg.connect(running.owner_url, autocommit=True) as link:
        link.execute(
            "UPDATE follow_up SET due_at = now() - interval '1 day', remind_at = now() - interval '1 day'"
            " WHERE organisation_id = %s",
            (organisation.id,),
        )
        running.call(_at_once(running))
        deadline = time.monotonic() + PATIENCE_S
        while link.execute("SELECT 1 FROM notice WHERE organisation_id = %s", (organisation.id,)).fetchone() is None:
            assert time.monotonic() < deadline, "nobody was told"
            time.sleep(0.1)


async def _at_once(running: Running) -> None:
    """Give the server the job that each minute brings."""
    state = running.app.state.doorstep
    async with jobs.make(state.database_url, state.sessions, running.settings).open_async() as app:
        await app.tasks["remind"].defer_async(timestamp=0)


async def test_every_job_of_the_server_comes_by_itself(running: Running) -> None:
    state = running.app.state.doorstep
    async with jobs.make(state.database_url, state.sessions, running.settings).open_async() as app:
        named = {task.task.name for task in app.periodic_registry.periodic_tasks.values()}
        assert named == {name for name in app.tasks if "builtin" not in name}
        assert {"remind", "advance"} <= named
    deadline = time.monotonic() + PATIENCE_S
    async with await psycopg.AsyncConnection.connect(running.owner_url, autocommit=True) as link:
        while (await (await link.execute("SELECT 1 FROM jobs.procrastinate_workers")).fetchone()) is None:
            assert time.monotonic() < deadline, "no worker came"
            await asyncio.sleep(0.1)


async def test_the_jobs_begin_again_whatever_ended_them(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, thrice = list[None](), asyncio.Event()

    def broken(*_: object) -> None:
        begun.append(None)
        if len(begun) == 3:
            thrice.set()
        raise RuntimeError("a job's own mistake")

    monkeypatch.setattr(jobs, "make", broken)
    monkeypatch.setattr(jobs, "AGAIN_SECONDS", 0)
    state = running.app.state.doorstep
    working = asyncio.create_task(jobs.work(state.database_url, state.sessions, running.settings))
    await asyncio.wait_for(thrice.wait(), PATIENCE_S)
    assert not working.done()
    working.cancel()
