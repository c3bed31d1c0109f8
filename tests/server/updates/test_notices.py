"""Leads are told by mail that a rollout paused itself: each once, why, and nothing of a person."""

import asyncio

from reader import wire
from server import jobs
from server.database import tenancy
from server.database.columns import now
from server.notices import rollouts as notices
from server.settings import Settings
from server.updates import service
from tests.server.conftest import ACTOR, Database, Ward
from tests.server.followup.test_follow_up import person
from tests.server.notices.test_reminders import Mailbox, mailbox, mailing
from tests.server.updates.images import go_on, said, started

__all__ = ["mailbox", "mailing"]


async def job(ward: Ward, database: Database, settings: Settings) -> None:
    """The job, once, as a worker does it."""
    async with jobs.make(database.app, ward.sessions, settings).open_async() as app:
        await app.tasks["advance"].defer_async(timestamp=0)
        await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


async def test_the_job_pauses_it_and_tells_each_lead_once_and_nobody_else(
    ward: Ward, database: Database, mailing: Settings, mailbox: Mailbox
) -> None:
    leads = [await person(ward, "lead") for _ in range(2)]
    clinician, gone = await person(ward), await person(ward, "lead")
    await ward.rows("UPDATE account SET active = false WHERE id = :id RETURNING id", id=gone.account_id)
    reader = await ward.reader()
    rollout_id = await started(ward)
    await ward.exchange([said(reader, wire.UPDATE_REFUSED)])
    mailbox.refusing = True
    await job(ward, database, mailing)
    assert mailbox.messages == []
    mailbox.refusing = False
    await ward.rows("UPDATE rollout_notice SET retry_at = now() RETURNING 1 AS done")
    for _ in range(2):
        await job(ward, database, mailing)
    assert [len(mailbox.to(one)) for one in (*leads, clinician, gone)] == [1, 1, 0, 0]
    [message] = mailbox.to(leads[0])
    assert message["Subject"] == "The rollout of release 2 is paused"
    text = message.get_content()
    assert "1 refused it" in text
    assert f"{mailing.origin}/updates/{rollout_id}" in text


async def test_a_message_that_goes_out_twice_has_one_id_and_none_goes_once_it_is_resumed(
    ward: Ward, mailing: Settings, mailbox: Mailbox
) -> None:
    lead = await person(ward, "lead")
    reader = await ward.reader()
    rollout_id = await started(ward)
    await ward.exchange([said(reader, wire.UPDATE_REFUSED)])
    await go_on(ward, rollout_id)
    for _ in range(2):
        sent = [notices.send_waiting(ward.sessions, mailing, ward.id, now()) for _ in range(3)]
        assert sum(await asyncio.gather(*sent)) == 1
        # As if the server had died after the sending and before the noting of it.
        await ward.rows("UPDATE rollout_notice SET sent_at = NULL RETURNING 1 AS done")
    one, again = mailbox.to(lead)
    assert one["Message-ID"] == again["Message-ID"]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.resume(session, ACTOR, ward.id, rollout_id)
    assert await notices.send_waiting(ward.sessions, mailing, ward.id, now()) == 0
