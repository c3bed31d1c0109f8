"""Each month where it is wanted, what is due is counted once and administrators are told once; nothing is erased."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from reader import outcome
from server import jobs
from server.accounts.service import Viewer
from server.database import tenancy
from server.database.columns import now
from server.notices import retention as notices
from server.retention import monthly, monthly_repository
from server.retention.models import RetentionLook
from server.settings import Settings
from tests.server.conftest import ACTOR, Database, Ward
from tests.server.followup.test_follow_up import person
from tests.server.notices.test_reminders import Mailbox, mailbox, mailing
from tests.server.retention.test_erasure import deliver
from tests.server.retention.test_rules import age, rules

__all__ = ["mailbox", "mailing"]

LONDON = ZoneInfo("Europe/London")


async def choose(ward: Ward, *, wanted: bool) -> None:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await monthly.choose(session, ACTOR, ward.id, wanted=wanted)


async def look(ward: Ward, at: datetime) -> bool:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await monthly.look(session, ward.id, at, LONDON)


async def last(ward: Ward) -> RetentionLook:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        found = await monthly_repository.last(session)
    assert found is not None
    return found


async def old_results(ward: Ward, database: Database) -> None:
    """Three results of two years ago, of which one is followed up still; kept for a year."""
    reader = await ward.reader()
    await ward.exchange(reader.results(2))
    await deliver(ward, reader, "WAITS-1", outcome.POSITIVE)
    await age(ward, database, 24)
    await rules(ward, results=12)


async def held(ward: Ward) -> int:
    return len(await ward.rows("SELECT id FROM result"))


async def test_it_is_made_once_a_month_only_where_it_is_wanted_and_erases_nothing(
    ward: Ward, database: Database
) -> None:
    await old_results(ward, database)
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert not await look(ward, at), "nobody wants it"
    await choose(ward, wanted=True)
    assert await look(ward, at)
    assert not await look(ward, at + timedelta(hours=11))
    found = await last(ward)
    assert found.due == {"results": {"erased": 2, "held_back": 1}}
    # After a month without a server the next is made when it runs again, and the one that was missed is not.
    assert await look(ward, datetime(2027, 1, 17, 3, tzinfo=UTC))
    assert [row.month.isoformat() for row in await ward.rows("SELECT month FROM retention_look ORDER BY month")] == [
        "2026-11-01",
        "2027-01-01",
    ]
    await choose(ward, wanted=False)
    assert not await look(ward, datetime(2027, 2, 1, 12, tzinfo=UTC))
    assert await held(ward) == 3
    assert await ward.rows("SELECT id FROM erasure") == []
    acts = [
        row.action for row in await ward.rows("SELECT action FROM audit_entry WHERE actor_kind = 'job' ORDER BY id")
    ]
    assert acts.count("retention.dry-run") == 2


async def test_a_month_begins_where_the_server_is(ward: Ward) -> None:
    await rules(ward, results=12)
    await choose(ward, wanted=True)
    # Half past midnight of 1 July in London is still June in UTC.
    assert await look(ward, datetime(2027, 6, 30, 23, 30, tzinfo=UTC))
    assert (await last(ward)).month.isoformat() == "2027-07-01"


async def test_without_a_rule_there_is_nothing_to_look_at(ward: Ward) -> None:
    await choose(ward, wanted=True)
    assert not await look(ward, now())
    await rules(ward, people=120)
    assert await look(ward, now())


async def test_two_servers_at_once_make_one_look(ward: Ward) -> None:
    await rules(ward, results=12)
    await choose(ward, wanted=True)
    await person(ward, "administrator")
    at = now()
    assert sorted(await asyncio.gather(*(look(ward, at) for _ in range(4)))) == [False, False, False, True]
    assert len(await ward.rows("SELECT id FROM retention_look")) == 1
    assert len(await ward.rows("SELECT account_id FROM retention_notice")) == 1


async def test_a_look_that_is_cut_off_is_made_whole_later(ward: Ward) -> None:
    await rules(ward, results=12)
    await choose(ward, wanted=True)
    async with ward.sessions() as session:
        await tenancy.enter(session, ward.id)
        assert await monthly.look(session, ward.id, now(), LONDON)
        await session.rollback()
    assert await ward.rows("SELECT id FROM retention_look") == []
    assert await look(ward, now())


async def job(ward: Ward, database: Database, settings: Settings) -> None:
    """The job, once, as a worker does it."""
    async with jobs.make(database.app, ward.sessions, settings).open_async() as app:
        await app.tasks["look"].defer_async(timestamp=0)
        await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


async def test_the_job_tells_each_administrator_once_by_counts_and_nobody_else(
    ward: Ward, database: Database, mailing: Settings, mailbox: Mailbox
) -> None:
    await old_results(ward, database)
    lead = await person(ward, "lead")
    administrators: list[Viewer] = [await person(ward, "administrator") for _ in range(2)]
    gone = await person(ward, "administrator")
    await ward.rows("UPDATE account SET active = false WHERE id = :id RETURNING id", id=gone.account_id)
    await choose(ward, wanted=True)
    mailbox.refusing = True
    await job(ward, database, mailing)
    assert mailbox.messages == []
    mailbox.refusing = False
    await ward.rows("UPDATE retention_notice SET retry_at = now() RETURNING 1 AS done")
    for _ in range(2):
        await job(ward, database, mailing)
    assert [len(mailbox.to(one)) for one in (*administrators, lead, gone)] == [1, 1, 0, 0]
    [message] = mailbox.to(administrators[0])
    assert message["Subject"] == "Something is due for erasure"
    text = message.get_content()
    assert "Results and their follow-up: 2 due, 1 more held back" in text
    assert f"{mailing.origin}/retention" in text
    assert "WAITS-1" not in text
    assert await held(ward) == 3


async def test_a_message_that_goes_out_twice_has_one_id(ward: Ward, mailing: Settings, mailbox: Mailbox) -> None:
    await rules(ward, results=12)
    viewer = await person(ward, "administrator")
    await choose(ward, wanted=True)
    assert await look(ward, now())
    for _ in range(2):
        # The second as if the server had died after the sending and before the noting of it.
        assert await notices.send_waiting(ward.sessions, mailing, ward.id, now()) == 1
        await ward.rows("UPDATE retention_notice SET sent_at = NULL RETURNING 1 AS done")
    one, again = mailbox.to(viewer)
    assert one["Message-ID"] == again["Message-ID"]
    assert one["Subject"] == "Nothing is due for erasure"
