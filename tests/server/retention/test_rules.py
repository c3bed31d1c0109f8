"""Rules of retention: what is due is counted first, erased when somebody says so, and nothing else is."""

from datetime import date, timedelta

import pytest
from sqlalchemy import create_engine, text

from reader import outcome
from server import jobs
from server.audit.service import Actor
from server.database import tenancy
from server.database.columns import now
from server.database.engine import driver_url
from server.patients import service as patients
from server.patients.service import Entry
from server.retention import service
from server.retention.models import Kind
from tests.server.conftest import ACTOR, Database, Ward
from tests.server.retention.test_erasure import TWO, deliver, dump, end, found_in, planted, prove


async def age(ward: Ward, database: Database, months: int) -> None:
    """Let everything of the ward have happened so long ago."""
    owner = create_engine(driver_url(database.owner))
    with owner.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table, column in (
            ("result", "received_at"), ("follow_up", "ended_at"), ("patient", "created_at"), ("patient_change", "at"),
            ("specimen_link", "linked_at"), ("specimen_link", "ended_at"), ("quarantine", "processed_at"),
        ):  # fmt: skip
            connection.execute(
                text(
                    f"UPDATE {table} SET {column} = {column} - make_interval(months => :months)"
                    " WHERE organisation_id = :organisation"
                ),
                {"months": months, "organisation": ward.id},
            )
    owner.dispose()


async def rules(ward: Ward, **months: int) -> dict[Kind, service.Rule]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.set_rules(
            session, ACTOR, ward.id, {Kind(name.replace("_", "-")): m for name, m in months.items()}
        )
        return {one.kind: one for one in await service.dry_run(session, ACTOR, ward.id)}


async def run(ward: Ward) -> dict[str, object]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        erasure = await service.begin_run(session, ACTOR, ward.id)
    await jobs.erase_for_everybody(ward.sessions)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.certificate(session, ACTOR, erasure.id)


async def test_a_dry_run_counts_what_the_run_then_erases_and_erases_nothing_itself(
    ward: Ward, database: Database
) -> None:
    reader = await ward.reader()
    there = await planted(ward, reader)
    await ward.exchange(reader.results(3))
    await end(ward, there)
    waits = await deliver(ward, reader, "WAITS-1", outcome.POSITIVE)
    await age(ward, database, 13)
    await ward.exchange(reader.results(2))
    due = await rules(ward, results=12, people=14)
    assert due[Kind.RESULTS].due == service.Due(5, 1)
    assert due[Kind.PEOPLE].due == service.Due(0, 0)
    assert due[Kind.SET_ASIDE].due is None
    assert len(await ward.rows("SELECT 1 FROM result")) == 8
    made = await run(ward)
    assert (made["results"], made["people_erased"], made["held_back"]) == (5, 0, 1)
    left = await ward.rows("SELECT id, specimen FROM result ORDER BY number")
    assert (left[0].id, len(left)) == (waits, 3)
    # The person is there until the rule for people says otherwise, and what they were tested by is not.
    assert len(await ward.rows("SELECT 1 FROM patient")) == 2
    assert await ward.rows("SELECT 1 FROM specimen_link") == []
    assert (await prove(ward, reader)).erased == 5


async def test_the_rule_for_people_erases_who_was_not_seen_for_so_long_and_nobody_else(
    ward: Ward, database: Database
) -> None:
    reader = await ward.reader()
    there = await planted(ward, reader)
    await end(ward, there)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        other = await patients.register(session, there.viewer, Entry("Ann", "Jones", date(1951, 1, 1)))
        await patients.link(session, there.viewer, "JONES-1", other.id, TWO)
    await age(ward, database, 25)
    await deliver(ward, reader, "JONES-1")
    assert (await rules(ward, people=24))[Kind.PEOPLE].due == service.Due(1, 0)
    made = await run(ward)
    assert (made["results"], made["people_erased"]) == (2, 2)
    assert found_in(dump(database), there.who) == []
    assert [row.family for row in await ward.rows("SELECT family FROM patient")] == ["Jones"]


async def test_the_bytes_of_what_left_quarantine_go_by_their_rule_and_what_waits_there_stays(
    ward: Ward, database: Database
) -> None:
    reader = await ward.reader()
    await ward.exchange([b"never understood", b"dealt with"])
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await (await session.connection()).execute(
            text("UPDATE quarantine SET status = 'processed', processed_at = now() WHERE content = 'dealt with'")
        )
    await age(ward, database, 2)
    assert (await rules(ward, set_aside=1))[Kind.SET_ASIDE].due == service.Due(1, 0)
    assert (await run(ward))["set_aside"] == 1
    rows = await ward.rows("SELECT content, status FROM quarantine ORDER BY id")
    assert [(bytes(row.content), row.status) for row in rows] == [(b"never understood", "open"), (b"", "processed")]
    assert reader.number == 0


async def test_a_run_that_was_cut_off_is_gone_on_with_and_no_portion_is_half_done(
    ward: Ward, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "RESULTS_AT_ONCE", 2)
    reader = await ward.reader()
    await ward.exchange(reader.results(5))
    await age(ward, database, 2)
    await rules(ward, results=1)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        erasure = await service.begin_run(session, ACTOR, ward.id)
    assert not await service.go_on(ward.sessions, ward.id, erasure.id, 1)
    assert len(await ward.rows("SELECT 1 FROM result")) == 3

    class Killed(Exception):
        pass

    async def killed(*_: object) -> tuple[int, int]:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(service.repository, "erase", killed)
        with pytest.raises(Killed):
            await service.go_on(ward.sessions, ward.id, erasure.id)
    assert len(await ward.rows("SELECT 1 FROM result")) == 3
    await jobs.erase_for_everybody(ward.sessions)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        made = await service.certificate(session, Actor("command", "x"), erasure.id)
    assert (made["results"], len(made["records"])) == (5, 5)
    assert (await prove(ward, reader)).whole


def test_months_are_counted_by_the_calendar() -> None:
    at = now().replace(year=2026, month=3, day=31)
    assert service.months_before(at, 1).date() == date(2026, 2, 28)
    assert service.months_before(at, 25).date() == date(2024, 2, 29)
    assert service.months_before(at, 12) == at.replace(year=2025)
    assert at - service.months_before(at, 1) > timedelta(days=30)
