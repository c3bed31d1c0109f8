"""Work at its time, by procrastinate: any number of processes share it, and each minute's is done by one of them.

A job holds no data: what is due stands in the tables, so that a job lost or done twice changes nothing. Its tables are
in the schema `jobs`, apart from what belongs to an organisation.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from procrastinate import App, PsycopgConnector

from server.audit import sealing
from server.database import tenancy
from server.database.columns import now
from server.database.direct import ASK_AGAIN_SECONDS
from server.database.engine import Sessions, options
from server.followup import escalation
from server.notices import privacy, webhook
from server.notices import retention as retention_notices
from server.notices import rollouts as rollout_notices
from server.notices import service as notices
from server.organisations import repository as organisations
from server.readers.keys import Keyring
from server.recalls import service as recalls
from server.retention import monthly
from server.retention import service as retention
from server.settings import Settings
from server.updates import advancing

log = logging.getLogger("doorstep.jobs")

POOL = 2
AGAIN_SECONDS = 10
EVERY_MINUTE = "* * * * *"


def make(database_url: str, sessions: Sessions, settings: Settings) -> App:
    """The jobs of a server; `run_worker_async` works them until it is cancelled."""
    connector = PsycopgConnector(
        conninfo=database_url,
        kwargs={"options": f"{options()} -c search_path=jobs,public"},
        min_size=1,
        max_size=POOL,
        reconnect_timeout=ASK_AGAIN_SECONDS,
    )
    app = App(connector=connector)

    @app.periodic(cron=EVERY_MINUTE)
    @app.task(name="remind", queueing_lock="remind", lock="remind", pass_context=False)
    async def remind(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction]
        await remind_everybody(sessions, settings)

    @app.periodic(cron=EVERY_MINUTE)
    @app.task(name="seal", queueing_lock="seal", lock="seal", pass_context=False)
    async def seal(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction]
        await seal_everybody(sessions)

    @app.periodic(cron=EVERY_MINUTE)
    @app.task(name="recall", queueing_lock="recall", lock="recall", pass_context=False)
    async def recall(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction]
        await recall_for_everybody(sessions)

    @app.periodic(cron=EVERY_MINUTE)
    @app.task(name="deliver", queueing_lock="deliver", lock="deliver", pass_context=False)
    async def deliver(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction]
        await deliver_for_everybody(sessions, settings)

    @app.periodic(cron=EVERY_MINUTE)
    @app.task(name="erase", queueing_lock="erase", lock="erase", pass_context=False)
    async def erase(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction]
        await erase_for_everybody(sessions)

    @app.periodic(cron=EVERY_MINUTE)
    @app.task(name="look", queueing_lock="look", lock="look", pass_context=False)
    async def look(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction]
        await look_for_everybody(sessions, settings)

    @app.periodic(cron=EVERY_MINUTE)
    @app.task(name="advance", queueing_lock="advance", lock="advance", pass_context=False)
    async def advance(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction]
        await advance_for_everybody(sessions, settings)

    return app


async def work(database_url: str, sessions: Sessions, settings: Settings) -> None:
    """Do the jobs until cancelled. Whatever ends them, such as a database that is away, they begin again: without them
    nobody is told of what is overdue."""
    while True:
        try:
            async with make(database_url, sessions, settings).open_async() as app:
                await app.run_worker_async(install_signal_handlers=False, delete_jobs="successful")
        except Exception:
            log.exception("the jobs were interrupted; they go on later")
        await asyncio.sleep(AGAIN_SECONDS)


async def remind_everybody(sessions: Sessions, settings: Settings) -> None:
    """Escalate what is due in every organisation, then send what waits to be sent."""

    async def remind(organisation_id: UUID) -> None:
        at = now()
        while await _escalated(sessions, organisation_id, at) == escalation.PORTION:
            pass
        await notices.send_waiting(sessions, settings, organisation_id, at)
        await privacy.send_waiting(sessions, settings, organisation_id, at)

    await _for_everybody(sessions, "reminders", remind)


async def _escalated(sessions: Sessions, organisation_id: UUID, at: datetime) -> int:
    async with tenancy.transaction(sessions, organisation_id) as session:
        return await escalation.escalate(session, at)


async def deliver_for_everybody(sessions: Sessions, settings: Settings) -> None:
    """Deliver what waits for the webhook of every organisation."""

    async def deliver(organisation_id: UUID) -> None:
        await webhook.deliver_waiting(sessions, settings, organisation_id, now())

    await _for_everybody(sessions, "webhook deliveries", deliver)


async def seal_everybody(sessions: Sessions) -> None:
    """Seal the audit log of every organisation."""

    async def seal(organisation_id: UUID) -> None:
        async with tenancy.transaction(sessions, organisation_id) as session:
            await sealing.seal(session, organisation_id)

    await _for_everybody(sessions, "seals of the audit log", seal)


async def recall_for_everybody(sessions: Sessions) -> None:
    """Mark what recalls in force hold, in every organisation."""
    await _for_everybody(sessions, "recalls", lambda one: recalls.go_on_with_all(sessions, one))


async def erase_for_everybody(sessions: Sessions) -> None:
    """Go on with the erasures that are under way, in every organisation."""
    await _for_everybody(sessions, "erasures", lambda one: retention.go_on_with_all(sessions, one))


async def look_for_everybody(sessions: Sessions, settings: Settings) -> None:
    """Count once a month what is due for erasure where that is wanted, and tell the administrators."""
    zone = ZoneInfo(settings.time_zone)

    async def look(organisation_id: UUID) -> None:
        at = now()
        async with tenancy.transaction(sessions, organisation_id) as session:
            await monthly.look(session, organisation_id, at, zone)
        # Now and not `at`: what was just made is told at once.
        await retention_notices.send_waiting(sessions, settings, organisation_id, now())

    await _for_everybody(sessions, "monthly looks at retention", look)


async def advance_for_everybody(sessions: Sessions, settings: Settings) -> None:
    """Move the rollouts of every organisation on, and tell the leads of those that were paused by their limits."""
    keyring = Keyring(settings.master_key_bytes())

    async def advance(organisation_id: UUID) -> None:
        await advancing.go_on_with_all(sessions, keyring, organisation_id)
        # Now, so that a pause just made is told at once.
        await rollout_notices.send_waiting(sessions, settings, organisation_id, now())

    await _for_everybody(sessions, "rollouts", advance)


async def _for_everybody(sessions: Sessions, what: str, work: Callable[[UUID], Awaitable[None]]) -> None:
    """Do `work` for every organisation. One that fails stops no other; the first failure is raised at the end."""
    async with tenancy.transaction(sessions) as session:
        found = [one.id for one in await organisations.organisations(session)]
    failed: list[Exception] = []
    for organisation_id in found:
        try:
            await work(organisation_id)
        except Exception as error:
            log.exception("the %s of an organisation failed", what)
            failed.append(error)
    if failed:
        raise failed[0]
