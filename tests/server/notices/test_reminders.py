"""Reminders reach the right people over a real mail server, once each, at their time, and say nothing of a person."""

import asyncio
import email
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import policy as email_policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import text

from reader import outcome
from server import jobs
from server.accounts.service import Viewer
from server.database import tenancy
from server.database.columns import now
from server.followup import escalation, repository
from server.followup.models import FollowUpPolicy
from server.followup.states import Act, Ending, Step
from server.notices import service as notices
from server.settings import Settings
from tests.server.conftest import Database, Ward
from tests.server.followup.test_follow_up import arrive, do, person


@dataclass
class Mailbox:
    """A mail server that keeps what it takes; while `refusing` it answers that it cannot."""

    messages: list[EmailMessage] = field(default_factory=list)
    refusing: bool = False
    port: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusing:
            return "451 try again later"
        message = email.message_from_bytes(envelope.content, policy=email_policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 taken"

    def to(self, viewer: Viewer) -> list[EmailMessage]:
        return [one for one in self.messages if viewer.email in str(one["To"])]


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(box, hostname="mail.example.org", loop=loop), "127.0.0.1", 0)
    box.port = listening.sockets[0].getsockname()[1]
    yield box
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def mailing(settings: Settings, mailbox: Mailbox) -> Settings:
    return settings.model_copy(
        update={
            "smtp_host": "127.0.0.1",
            "smtp_port": mailbox.port,
            "smtp_security": "none",
            "mail_from": "d@example.org",
        }
    )


async def look(ward: Ward, settings: Settings, at: datetime) -> int:
    """What the job does for one organisation at `at`; how many were escalated."""
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        count = await escalation.escalate(session, at)
    await notices.send_waiting(ward.sessions, settings, ward.id, at)
    return count


async def rule(ward: Ward, owner: Viewer, deputy: Viewer, lead: Viewer, urgency: int = 1) -> None:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await repository.supersede(
            session,
            FollowUpPolicy(
                organisation_id=ward.id, assay="*", outcome=outcome.POSITIVE, version=0, urgency=urgency,
                acknowledge_min=60, act_min=120, working_hours=False, tries=3,
                owner_id=owner.account_id, deputy_id=deputy.account_id, lead_id=lead.account_id,
            ),
        )  # fmt: skip


async def test_owner_and_deputy_are_told_when_it_is_due_then_the_lead_then_daily(
    ward: Ward, mailing: Settings, mailbox: Mailbox
) -> None:
    owner, deputy, lead = await person(ward), await person(ward), await person(ward, "lead")
    await rule(ward, owner, deputy, lead)
    result_id = await arrive(ward)
    start = now()
    assert await look(ward, mailing, start + timedelta(minutes=59)) == 0
    assert mailbox.messages == []
    assert await look(ward, mailing, start + timedelta(minutes=61)) == 1
    assert [len(mailbox.to(one)) for one in (owner, deputy, lead)] == [1, 1, 0]
    assert await look(ward, mailing, start + timedelta(minutes=62)) == 0
    await look(ward, mailing, start + timedelta(minutes=95))
    assert [len(mailbox.to(one)) for one in (owner, deputy, lead)] == [2, 1, 1]
    await look(ward, mailing, start + timedelta(minutes=130))
    assert len(mailbox.to(lead)) == 2
    assert await look(ward, mailing, start + timedelta(hours=20)) == 0
    assert await look(ward, mailing, start + timedelta(hours=27)) == 1
    [message, *_] = mailbox.to(owner)
    body = message.get_content()
    assert f"/results/{result_id}" in body
    assert message["Subject"] == "One result is overdue, 1 urgent"
    for private in ("S-1", "SARS", "ositive", "sars2"):
        assert private not in body + message["Subject"]


async def test_nobody_is_told_of_what_was_acted_on(ward: Ward, mailing: Settings, mailbox: Mailbox) -> None:
    viewer = await person(ward)
    acknowledged, ended, waiting = await arrive(ward), await arrive(ward), await arrive(ward)
    for result_id in (acknowledged, ended):
        await do(ward, viewer, result_id, Step(Act.ACKNOWLEDGE))
    await do(ward, viewer, ended, Step(Act.RECORD, ending=Ending.TREATED))
    await look(ward, mailing, now() + timedelta(hours=5))
    [message] = mailbox.messages
    assert str(waiting) in message.get_content()
    assert str(acknowledged) not in message.get_content()
    # What was acknowledged is due again, for the acting on it; what has its outcome never is.
    await look(ward, mailing, now() + timedelta(hours=25))
    told = "".join(one.get_content() for one in mailbox.messages)
    assert str(acknowledged) in told
    assert str(ended) not in told


async def test_many_at_once_are_one_message_and_what_is_not_urgent_waits_for_the_next_hour(
    ward: Ward, mailing: Settings, mailbox: Mailbox
) -> None:
    viewer = await person(ward)
    await rule(ward, viewer, viewer, viewer, urgency=3)
    for _ in range(4):
        await arrive(ward)
    start = now()
    await look(ward, mailing, start + timedelta(minutes=61))
    assert len(mailbox.messages) == 1
    assert mailbox.messages[0].get_content().count("/results/") == 4
    # The second telling falls within the hour: it is kept until the hour is over.
    await look(ward, mailing, start + timedelta(minutes=95))
    assert len(mailbox.messages) == 1
    await look(ward, mailing, start + timedelta(minutes=122))
    assert len(mailbox.messages) == 2


async def test_a_mail_server_that_is_away_delays_and_loses_nothing(
    ward: Ward, mailing: Settings, mailbox: Mailbox
) -> None:
    await person(ward)
    await arrive(ward)
    at = now() + timedelta(hours=5)
    mailbox.refusing = True
    await look(ward, mailing, at)
    nowhere = mailing.model_copy(update={"smtp_port": 1})
    await look(ward, nowhere, at + timedelta(minutes=2))
    assert mailbox.messages == []
    mailbox.refusing = False
    await look(ward, mailing, at + timedelta(minutes=3))
    assert mailbox.messages == [], "it is tried again later each time"
    await look(ward, mailing, at + timedelta(minutes=10))
    assert len(mailbox.messages) == 1


async def test_two_who_look_at_once_tell_once(ward: Ward, mailing: Settings, mailbox: Mailbox) -> None:
    viewer = await person(ward)
    for _ in range(6):
        await arrive(ward)
    at = now() + timedelta(hours=5)
    await asyncio.gather(*(look(ward, mailing, at) for _ in range(5)))
    await look(ward, mailing, at)
    links = [line for one in mailbox.to(viewer) for line in one.get_content().splitlines() if "/results/" in line]
    assert len(links) == len(set(links)) == 6


async def test_what_nobody_owned_is_somebodys_once_there_is_somebody(
    ward: Ward, mailing: Settings, mailbox: Mailbox
) -> None:
    result_id = await arrive(ward)
    at = now() + timedelta(hours=5)
    await look(ward, mailing, at)
    viewer = await person(ward, "lead")
    await look(ward, mailing, at + timedelta(hours=3))
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        found = await repository.find(session, result_id)
    assert found is not None
    assert found.owner_id == viewer.account_id
    assert len(mailbox.to(viewer)) == 1


async def test_what_a_closed_account_still_owns_becomes_somebody_elses(
    ward: Ward, mailing: Settings, mailbox: Mailbox
) -> None:
    gone = await person(ward)
    result_id = await arrive(ward)
    there = await person(ward)
    await ward.rows("UPDATE account SET active = false WHERE id = :id RETURNING id", id=gone.account_id)
    await look(ward, mailing, now() + timedelta(hours=5))
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        found = await repository.find(session, result_id)
    assert found is not None
    assert found.owner_id == there.account_id
    assert [len(mailbox.to(one)) for one in (gone, there)] == [0, 1]


async def test_a_twice_sent_message_has_one_id_and_nobody_answers_it_by_machine(
    ward: Ward, mailing: Settings, mailbox: Mailbox
) -> None:
    viewer = await person(ward)
    await arrive(ward)
    at = now() + timedelta(hours=5)
    await look(ward, mailing, at)
    # As if the server had died after the sending and before the noting of it.
    await ward.rows("UPDATE notice SET sent_at = NULL RETURNING 1 AS done")
    await look(ward, mailing, at + timedelta(minutes=1))
    one, again = mailbox.to(viewer)
    assert one["Message-ID"] == again["Message-ID"]
    assert one["Auto-Submitted"] == "auto-generated"


async def test_the_job_tells_what_became_due_while_no_server_ran(
    ward: Ward, mailing: Settings, mailbox: Mailbox, database: Database
) -> None:
    viewer = await person(ward)
    await arrive(ward)
    await ward.rows(
        "UPDATE follow_up SET due_at = now() - interval '3 days', remind_at = now() - interval '3 days'"
        " RETURNING 1 AS done"
    )
    async with jobs.make(database.app, ward.sessions, mailing).open_async() as app:
        await app.tasks["remind"].defer_async(timestamp=0)
        await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        async with ward.sessions() as session:
            states = await (await session.connection()).execute(
                text("SELECT DISTINCT status::text FROM jobs.procrastinate_jobs WHERE task_name = 'remind'")
            )
            assert "failed" not in {row[0] for row in states}
    assert len(mailbox.to(viewer)) == 1
