"""A result is corrected, withdrawn or restored by a chained version, never an edit, and is followed up again."""

from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from reader import outcome
from server.accounts.permissions import NotAllowed
from server.accounts.service import Viewer
from server.corrections import service
from server.corrections.models import Correction, Kind
from server.corrections.service import CorrectedMeanwhile, CorrectionRefused, History
from server.database import tenancy
from server.database.engine import driver_url
from server.followup import repository as follow_ups
from server.followup.states import Act, Ending, State, Step
from server.problems import NotFound
from tests.server.conftest import Database, Ward
from tests.server.followup.test_follow_up import arrive, do, follow_up, person


async def say(
    ward: Ward, viewer: Viewer, result_id: UUID, version: int, kind: Kind, code: int | None = None, why: str = "Why"
) -> Correction:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.correct(session, viewer, result_id, version, kind, code, why)


async def history(ward: Ward, result_id: UUID) -> History:
    [row] = await ward.rows(
        "SELECT s.chain_hash FROM sealed_record s JOIN result r USING (reader_id, number) WHERE r.id = :id",
        id=result_id,
    )
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.history(session, result_id, bytes(row.chain_hash))


async def test_a_version_is_added_and_chained_and_what_the_reader_said_stays(ward: Ward) -> None:
    lead = await person(ward, "lead")
    result_id = await arrive(ward, outcome.POSITIVE)
    await say(ward, lead, result_id, 0, Kind.CORRECTED, outcome.NEGATIVE, " Contaminated run ")
    await say(ward, lead, result_id, 1, Kind.WITHDRAWN)
    await say(ward, lead, result_id, 2, Kind.RESTORED)
    found = await history(ward, result_id)
    assert found.whole
    assert [(one.version, one.kind, one.outcome, who) for one, who in found.versions] == [
        (1, "corrected", outcome.NEGATIVE, "A Person"), (2, "withdrawn", None, "A Person"),
        (3, "restored", None, "A Person"),
    ]  # fmt: skip
    assert found.versions[0][0].why == "Contaminated run"
    assert [one.previous for one, _ in found.versions][1:] == [one.hash for one, _ in found.versions][:-1]
    [row] = await ward.rows("SELECT outcome FROM result WHERE id = :id", id=result_id)
    assert row.outcome == outcome.POSITIVE


async def test_a_closed_follow_up_is_opened_again_for_its_owner_with_the_reason(ward: Ward) -> None:
    owner, lead = await person(ward), await person(ward, "lead")
    result_id = await arrive(ward, outcome.POSITIVE)
    await do(ward, owner, result_id, Step(Act.ACKNOWLEDGE))
    await do(ward, owner, result_id, Step(Act.RECORD, "", Ending.TREATED))
    await do(ward, owner, result_id, Step(Act.CLOSE))
    before = await follow_up(ward, result_id)
    assert before is not None
    await say(ward, lead, result_id, 0, Kind.CORRECTED, outcome.NEGATIVE, "Labels were swapped")
    after = await follow_up(ward, result_id)
    assert after is not None
    assert (after.state, after.owner_id, after.outcome) == (State.NEW, owner.account_id, outcome.NEGATIVE)
    assert (after.due_at, after.ended_at, after.ending, after.version) == (after.acknowledge_by, None, None, 4)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        events = await follow_ups.events(session, result_id)
    assert (events[-1][0].act, events[-1][0].note) == (Act.REOPEN, "Corrected: Labels were swapped")


@pytest.mark.parametrize(
    ("kind", "code", "now_of"),
    [(Kind.CORRECTED, outcome.POSITIVE, outcome.POSITIVE), (Kind.WITHDRAWN, None, outcome.NEGATIVE)],
)
async def test_a_negative_that_was_never_followed_up_is_from_now_on(
    ward: Ward, kind: Kind, code: int | None, now_of: int
) -> None:
    lead = await person(ward, "lead")
    result_id = await arrive(ward, outcome.NEGATIVE)
    assert await follow_up(ward, result_id) is None
    await say(ward, lead, result_id, 0, kind, code)
    opened = await follow_up(ward, result_id)
    assert opened is not None
    assert (opened.state, opened.outcome, opened.owner_id) == (State.NEW, now_of, lead.account_id)
    assert opened.due_at is not None
    # Whoever acts next finds it as any other.
    await do(ward, lead, result_id, Step(Act.ACKNOWLEDGE))


async def test_what_is_under_way_starts_again_because_the_person_may_have_been_told_otherwise(ward: Ward) -> None:
    owner, lead = await person(ward), await person(ward, "lead")
    result_id = await arrive(ward, outcome.POSITIVE)
    await do(ward, owner, result_id, Step(Act.ACKNOWLEDGE))
    await do(ward, owner, result_id, Step(Act.CONTACT))
    await say(ward, lead, result_id, 0, Kind.WITHDRAWN)
    after = await follow_up(ward, result_id)
    assert after is not None
    assert (after.state, after.contacted_at, after.outcome) == (State.NEW, None, outcome.POSITIVE)


@pytest.mark.parametrize(
    ("kind", "code", "why"),
    [
        (Kind.CORRECTED, outcome.POSITIVE, "It is so already"),
        (Kind.CORRECTED, outcome.ERROR, "Only a reader says so"),
        (Kind.CORRECTED, None, "Nothing chosen"),
        (Kind.WITHDRAWN, outcome.NEGATIVE, "Two things at once"),
        (Kind.RESTORED, None, "Nothing to restore"),
        (Kind.WITHDRAWN, None, "   "),
        (Kind.WITHDRAWN, None, "x" * 2_001),
    ],
)
async def test_what_says_nothing_new_or_gives_no_reason_is_refused(
    ward: Ward, kind: Kind, code: int | None, why: str
) -> None:
    lead = await person(ward, "lead")
    result_id = await arrive(ward, outcome.POSITIVE)
    with pytest.raises(CorrectionRefused):
        await say(ward, lead, result_id, 0, kind, code, why)
    assert (await history(ward, result_id)).versions == []


async def test_two_who_correct_at_once_do_not_overwrite_each_other(ward: Ward) -> None:
    lead = await person(ward, "lead")
    result_id = await arrive(ward, outcome.POSITIVE)
    await say(ward, lead, result_id, 0, Kind.WITHDRAWN)
    with pytest.raises(CorrectedMeanwhile):
        await say(ward, lead, result_id, 0, Kind.CORRECTED, outcome.NEGATIVE)
    with pytest.raises(CorrectionRefused):
        await say(ward, lead, result_id, 1, Kind.WITHDRAWN)
    await say(ward, lead, result_id, 1, Kind.CORRECTED, outcome.POSITIVE)


async def test_only_a_lead_of_the_organisation_corrects(ward: Ward, other_ward: Ward) -> None:
    result_id = await arrive(ward, outcome.POSITIVE)
    with pytest.raises(NotAllowed):
        await say(ward, await person(ward), result_id, 0, Kind.WITHDRAWN)
    with pytest.raises(NotFound):
        await say(other_ward, await person(other_ward, "lead"), result_id, 0, Kind.WITHDRAWN)


@pytest.mark.parametrize("change", ["why = 'another'", "outcome = 1", "version = 7", "at = now()"])
async def test_a_version_is_never_changed_and_whoever_does_it_all_the_same_is_found(
    ward: Ward, database: Database, change: str
) -> None:
    lead = await person(ward, "lead")
    result_id = await arrive(ward, outcome.POSITIVE)
    await say(ward, lead, result_id, 0, Kind.CORRECTED, outcome.NEGATIVE)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        connection = await session.connection()
        for statement in (f"UPDATE correction SET {change}", "DELETE FROM correction"):
            with pytest.raises(DBAPIError, match="permission denied"):
                async with connection.begin_nested():
                    await connection.execute(text(statement))
    owner = create_engine(driver_url(database.owner))
    statement = text(f"UPDATE correction SET {change} WHERE result_id = :id")
    with pytest.raises(DBAPIError, match="stays where it is"), owner.begin() as connection:
        connection.execute(statement, {"id": result_id})
    with owner.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(statement, {"id": result_id})
    owner.dispose()
    assert not (await history(ward, result_id)).whole
