"""The audit log's chain tells of every entry changed, added or taken away, by whoever may do anything to the tables."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, text

from server.audit import sealing
from server.audit.sealing import Verdict
from server.audit.service import Actor, record
from server.database import tenancy
from server.database.engine import driver_url
from tests.server.conftest import Database, Ward

ACTOR = Actor("command", "test")


async def note(ward: Ward, *subjects: str) -> None:
    for subject in subjects:
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            await record(
                session,
                organisation_id=ward.id,
                actor=ACTOR,
                action="result.read",
                subject_kind="result",
                subject=subject,
                detail={"b": 1, "a": ["é", None]},
            )


async def seal_now(ward: Ward) -> int:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await sealing.seal(session, ward.id)


async def seal(ward: Ward) -> int:
    """Seal all there is. Any other transaction on the machine, a vacuum's too, puts the sealing off while it lasts."""
    sealed = await seal_now(ward)
    async with asyncio.timeout(30):
        while (await verify(ward)).unsealed:
            sealed += await seal_now(ward)
    return sealed


async def verify(ward: Ward, expected: bytes | None = None) -> Verdict:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await sealing.verify(session, expected)


@contextmanager
def owner(database: Database) -> Iterator[Connection]:
    """Whoever owns the tables, with nothing in the way."""
    engine = create_engine(driver_url(database.owner))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield connection
    engine.dispose()


async def test_a_log_that_nobody_touched_is_whole_and_each_entry_is_sealed_once(ward: Ward) -> None:
    await seal(ward)
    begun = await verify(ward)
    await note(ward, "1", "2", "3")
    assert (await verify(ward)).unsealed == 3
    assert await seal(ward) == 3
    assert await seal(ward) == 0
    await note(ward, "4")
    assert await seal(ward) == 1
    verdict = await verify(ward, bytes.fromhex(begun.head))
    assert (verdict.whole, verdict.unsealed, verdict.expected) == (True, 0, True)
    assert verdict.entries == begun.entries + 4


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE audit_entry SET actor = 'nobody' WHERE subject = '2' AND organisation_id = :id",
        "UPDATE audit_entry SET at = at + interval '1 second' WHERE subject = '2' AND organisation_id = :id",
        "UPDATE audit_entry SET detail = jsonb_set(detail, '{b}', '2') WHERE subject = '2' AND organisation_id = :id",
        "DELETE FROM audit_entry WHERE subject = '2' AND organisation_id = :id",
        "INSERT INTO audit_entry (organisation_id, at, actor_kind, actor, action, subject_kind, subject, detail, xact)"
        " SELECT organisation_id, at, actor_kind, actor, action, subject_kind, 'never', detail, xact FROM audit_entry"
        " WHERE subject = '2' AND organisation_id = :id",
        "UPDATE audit_seal SET entries = entries - 1 WHERE organisation_id = :id",
    ],
)
async def test_whatever_is_done_to_a_sealed_entry_is_found(ward: Ward, database: Database, harm: str) -> None:
    await note(ward, "1", "2", "3")
    await seal(ward)
    assert (await verify(ward)).whole
    with owner(database) as connection:
        assert connection.execute(text(harm), {"id": ward.id}).rowcount >= 1
    verdict = await verify(ward)
    assert not verdict.whole
    assert verdict.broken is not None


async def test_a_log_cut_off_at_its_end_is_found_by_the_digest_that_was_noted(ward: Ward, database: Database) -> None:
    await note(ward, "1")
    await seal(ward)
    await note(ward, "2")
    await seal(ward)
    noted = bytes.fromhex((await verify(ward)).head)
    with owner(database) as connection:
        for statement in (
            "DELETE FROM audit_entry WHERE organisation_id = :id AND subject = '2'",
            "DELETE FROM audit_seal WHERE id = (SELECT max(id) FROM audit_seal WHERE organisation_id = :id)",
        ):
            connection.execute(text(statement), {"id": ward.id})
    assert (await verify(ward)).whole, "nothing inside the log tells"
    assert not (await verify(ward, noted)).whole


async def test_an_entry_that_is_still_being_written_is_sealed_later_and_not_forgotten(ward: Ward) -> None:
    await seal(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as slow:
        await record(
            slow, organisation_id=ward.id, actor=ACTOR, action="result.read", subject_kind="result", subject="slow"
        )
        await note(ward, "quick")
        assert await seal_now(ward) == 0, "what came after it waits too"
    await note(ward, "after")
    await seal(ward)
    verdict = await verify(ward)
    assert (verdict.whole, verdict.unsealed) == (True, 0)


async def test_one_organisations_seals_say_nothing_of_anothers(ward: Ward, other_ward: Ward) -> None:
    await note(ward, "1")
    await seal(ward)
    await note(other_ward, "1", "2")
    assert await seal(other_ward) >= 2
    assert (await verify(ward)).whole
    assert (await verify(other_ward)).whole
