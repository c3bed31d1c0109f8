"""Alerts of custody: raised once for what is wrong, cleared by what resolves it and by nothing else."""

from typing import Any

import pytest
from sqlalchemy import create_engine, text

from reader import wire
from server.custody import alerts, watch
from server.custody.alerts import Alert, SilenceUnusable
from server.database import tenancy
from server.database.engine import driver_url
from server.readers import service as readers
from tests.server import factory
from tests.server.conftest import ACTOR, Database, Ward


async def reviewed(ward: Ward, *, cleared: bool = False) -> list[Alert]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await alerts.review(session, ward.id)
        return await alerts.listed(session, cleared=cleared)


def told(found: list[Alert]) -> list[tuple[str, int | None, bool]]:
    return [(one.kind, one.number, one.cleared_at is None) for one in found]


def hours_pass(database: Database, reader: factory.Reader, hours: int) -> None:
    """Move what is known of a reader into the past."""
    engine = create_engine(driver_url(database.owner))
    with engine.begin() as connection:
        for statement in (
            "UPDATE custody SET heard_at = heard_at - make_interval(hours => :hours) WHERE reader_id = :id",
            "UPDATE reader SET enrolled_at = enrolled_at - make_interval(hours => :hours) WHERE reader_id = :id",
        ):
            connection.execute(text(statement), {"hours": hours, "id": reader.reader_id})
    engine.dispose()


async def test_a_gap_is_alarmed_once_and_cleared_when_the_record_comes(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(5)
    await ward.exchange([sealed[0], *sealed[2:]])
    assert told(await reviewed(ward)) == [("gap", 2, True)]
    await ward.exchange([sealed[3]])
    assert told(await reviewed(ward)) == [("gap", 2, True)], "not twice, and not cleared by anything else"
    await ward.exchange([sealed[1]])
    assert await reviewed(ward) == []
    assert told(await reviewed(ward, cleared=True)) == [("gap", 2, False)]


async def test_behind_a_gap_that_is_filled_the_next_one_is_alarmed(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(6)
    await ward.exchange([sealed[0], sealed[2], sealed[5]])
    assert told(await reviewed(ward)) == [("gap", 2, True)]
    await ward.exchange([sealed[1]])
    assert told(await reviewed(ward, cleared=True)) == [("gap", 4, True), ("gap", 2, False)]


async def test_a_record_that_its_reader_declares_damaged_is_no_gap_any_more(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(3)
    await ward.exchange([sealed[0], sealed[2]])
    assert told(await reviewed(ward)) == [("gap", 2, True)]
    await ward.exchange([reader.seal(factory.event(wire.EVENT_RECORD_DAMAGED, numbers=[2]))])
    assert await reviewed(ward) == []


async def test_a_cloned_reader_is_alarmed_until_it_is_revoked(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(2))
    clone = factory.Reader(reader.reader_id, reader.key)
    await ward.exchange(clone.results(2))
    [found] = await reviewed(ward)
    assert (found.kind, found.number) == ("fork", 1)
    await ward.exchange(reader.results(2))
    assert len(await reviewed(ward)) == 1, "that the true one goes on settles nothing"
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await readers.revoke(session, ward.organisation, reader.reader_id, ACTOR)
    assert await reviewed(ward) == []


async def test_a_silent_reader_is_alarmed_by_the_policy_whatever_hubs_claim_to_see(
    ward: Ward, database: Database
) -> None:
    reader, never = await ward.reader("Heard"), await ward.reader("Never heard")
    await ward.exchange(reader.results(1))
    assert await reviewed(ward) == []
    for one in (reader, never):
        hours_pass(database, one, alerts.SILENT_HOURS + 1)
    assert sorted(one.reader for one in await reviewed(ward)) == ["Heard", "Never heard"]
    await ward.exchange(reader.sealed, sightings=[factory.sighting(reader, next=9), factory.sighting(never, next=9)])
    assert len(await reviewed(ward)) == 2, "neither a replay nor a claim is a sign of life"
    await ward.exchange(reader.results(1))
    assert [one.reader for one in await reviewed(ward)] == ["Never heard"]


async def test_each_organisation_has_its_own_policy(ward: Ward, other_ward: Ward, database: Database) -> None:
    one, other = await ward.reader(), await other_ward.reader()
    for reader in (one, other):
        hours_pass(database, reader, 5)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await alerts.set_silence(session, ward.id, 4, ACTOR)
        with pytest.raises(SilenceUnusable):
            await alerts.set_silence(session, ward.id, 0, ACTOR)
    assert told(await reviewed(ward)) == [("silent", None, True)]
    assert await reviewed(other_ward) == []
    [entry] = await ward.rows("SELECT detail FROM audit_entry WHERE action = 'custody.set-policy'")
    assert entry.detail == {"silent_hours": 4}


async def test_alerts_are_found_without_anybody_looking(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(3)[1:])
    await watch.review_all(ward.sessions)
    rows: list[Any] = await ward.rows("SELECT kind, number FROM custody_alert")
    assert [(row.kind, row.number) for row in rows] == [("gap", 1)]
