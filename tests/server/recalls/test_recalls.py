"""A recall finds every result that it is of, once, however often it is cut off, and somebody follows each up."""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from reader import outcome
from server.accounts.permissions import NotAllowed
from server.database import tenancy
from server.followup.states import Act, Ending, State, Step
from server.recalls import repository, service
from server.recalls.repository import Scope
from tests.server import factory
from tests.server.conftest import Ward
from tests.server.followup.test_follow_up import arrive, do, follow_up, person


async def recall(ward: Ward, scope: Scope, role: str = "lead") -> UUID:
    viewer = await person(ward, role, "A Lead")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        made = await service.make(session, viewer, scope, "The lot was stored too warm")
    await service.go_on(ward.sessions, ward.id, made.id)
    return made.id


async def marks(ward: Ward, recall_id: UUID) -> dict[UUID, str]:
    rows = await ward.rows("SELECT result_id, did FROM recalled_result WHERE recall_id = :id", id=recall_id)
    return {row.result_id: row.did for row in rows}


async def test_a_recalled_negative_is_followed_up_and_says_why(ward: Ward) -> None:
    owner = await person(ward)
    negative = await arrive(ward, outcome.NEGATIVE, lot="WARM-1")
    other = await arrive(ward, outcome.NEGATIVE, lot="COOL-1")
    assert await follow_up(ward, negative) is None
    made = await recall(ward, Scope(lot="WARM-1"))
    assert await marks(ward, made) == {negative: "opened"}
    opened = await follow_up(ward, negative)
    assert opened
    assert (opened.opened_for, opened.state, opened.owner_id is not None) == ("recall", State.NEW, True)
    assert opened.due_at is not None
    assert opened.due_at > opened.opened_at
    assert await follow_up(ward, other) is None
    await do(ward, owner, negative, Step(Act.ACKNOWLEDGE))


async def test_what_was_closed_is_opened_again_and_what_is_open_stays_as_it_is(ward: Ward) -> None:
    clinician = await person(ward)
    closed, still = await arrive(ward, lot="WARM-2"), await arrive(ward, lot="WARM-2")
    await do(ward, clinician, closed, Step(Act.ACKNOWLEDGE))
    await do(ward, clinician, closed, Step(Act.RECORD, ending=Ending.TREATED))
    await do(ward, clinician, still, Step(Act.ACKNOWLEDGE))
    invalid = await arrive(ward, outcome.INVALID, outcome.NO_CONTROL_LINE, lot="WARM-2")
    made = await recall(ward, Scope(lot="WARM-2"))
    assert await marks(ward, made) == {closed: "reopened", still: "open", invalid: "open"}
    again, untouched = await follow_up(ward, closed), await follow_up(ward, still)
    assert again
    assert untouched
    assert (again.state, again.ending, again.acknowledged_at, again.version) == (State.NEW, None, None, 3)
    assert again.due_at == again.acknowledge_by > again.opened_at
    assert untouched.state == State.ACKNOWLEDGED
    events = await ward.rows("SELECT act, note FROM follow_up_event WHERE result_id = :id ORDER BY version", id=closed)
    assert tuple(events[-1]) == ("reopen", "Recalled: The lot was stored too warm")
    # The chain of versions goes on from there.
    await do(ward, clinician, closed, Step(Act.ACKNOWLEDGE))


async def test_cut_off_after_any_portion_it_marks_everything_once(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PORTION", 3)
    await person(ward)
    reader = await ward.reader()
    await ward.exchange(reader.results(8, lot="WARM-3", outcome_code=outcome.NEGATIVE))
    viewer = await person(ward, "lead")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        made = await service.make(session, viewer, Scope(lot="WARM-3"), "Too warm")
    counted: list[int] = []
    while not await service.go_on(ward.sessions, ward.id, made.id, 1):
        counted.append(len(await marks(ward, made.id)))
        assert len(counted) < 20
    assert counted == sorted(counted)
    assert 0 < counted[0] < 8
    for _ in range(3):
        await service.go_on(ward.sessions, ward.id, made.id)
    assert len(await marks(ward, made.id)) == 8
    assert len(await ward.rows("SELECT 1 FROM follow_up")) == 8


async def test_a_result_that_arrives_later_is_marked_until_the_recall_is_lifted(ward: Ward) -> None:
    await person(ward)
    made = await recall(ward, Scope(lot="WARM-4"))
    assert await marks(ward, made) == {}
    late = await arrive(ward, outcome.NEGATIVE, lot="WARM-4")
    await service.go_on_with_all(ward.sessions, ward.id)
    assert await marks(ward, made) == {late: "opened"}
    assert await called_recalled(ward, late)
    viewer = await person(ward, "lead")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.lift(session, viewer, made, "The logger was wrong")
    assert not await called_recalled(ward, late)
    later = await arrive(ward, outcome.NEGATIVE, lot="WARM-4")
    await service.go_on_with_all(ward.sessions, ward.id)
    assert later not in await marks(ward, made)
    [kept] = await ward.rows("SELECT reason, why_lifted FROM recall WHERE id = :id", id=made)
    assert tuple(kept) == ("The lot was stored too warm", "The logger was wrong")
    with pytest.raises(service.AlreadyLifted):
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            await service.lift(session, viewer, made, "Again")


async def called_recalled(ward: Ward, result_id: UUID) -> bool:
    from sqlalchemy import select
    from sqlmodel import col

    from server.results.models import Result

    async with tenancy.transaction(ward.sessions, ward.id) as session:
        statement = select(repository.recalled()).where(col(Result.id) == result_id)
        return (await (await session.connection()).execute(statement)).scalar_one()


async def test_a_doubtful_test_time_is_taken_in_and_a_known_one_outside_is_not(ward: Ward) -> None:
    await person(ward)
    result = await arrive(ward, outcome.NEGATIVE, lot="WARM-5")
    now = datetime.now(UTC)
    [row] = await ward.rows("SELECT tested_at, tested_uncertainty_ms FROM result WHERE id = :id", id=result)
    before = Scope(lot="WARM-5", tested_to=now - timedelta(days=3))
    held = await found(ward, before)
    assert held == (1 if row.tested_at is None else 0)
    assert await found(ward, Scope(lot="WARM-5", tested_from=now - timedelta(days=3), tested_to=now)) == 1
    assert await found(ward, Scope(lot="WARM-5", tested_from=now + timedelta(days=3))) == 0
    assert await found(ward, Scope(lot="WARM-5", firmware=factory.FIRMWARE)) == 1
    assert await found(ward, Scope(lot="WARM-5", firmware="9.9.9")) == 0
    assert await found(ward, Scope(reader_id=os.urandom(8))) == 0


async def found(ward: Ward, scope: Scope) -> int:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return (await repository.touched(session, ward.id, scope)).results


async def test_only_a_lead_recalls_and_never_everything_nor_without_a_reason(ward: Ward) -> None:
    with pytest.raises(NotAllowed):
        await recall(ward, Scope(lot="X"), role="clinician")
    lead = await person(ward, "lead")
    for scope, reason in (
        (Scope(), "Because"),
        (Scope(tested_from=datetime.now(UTC)), "Because"),
        (Scope(lot="X"), "  "),
        (Scope(lot="X" * 65), "Because"),
        (Scope(reader_id=bytes(8)), "Because"),
    ):
        with pytest.raises(service.RecallRefused):
            async with tenancy.transaction(ward.sessions, ward.id) as session:
                await service.make(session, lead, scope, reason)


async def lifted(ward: Ward, recall_id: UUID, *, close: bool) -> int:
    lead = await person(ward, "lead")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.lift(session, lead, recall_id, "The logger was wrong", close=close)


async def test_lifting_closes_what_only_the_recall_opened_when_that_is_chosen_and_says_why(ward: Ward) -> None:
    owner = await person(ward)
    negative, closed, still = [
        await arrive(ward, code, lot="WARM-6") for code in (outcome.NEGATIVE, outcome.POSITIVE, outcome.POSITIVE)
    ]
    contacted = await arrive(ward, outcome.NEGATIVE, lot="WARM-6")
    await do(ward, owner, closed, Step(Act.ACKNOWLEDGE))
    await do(ward, owner, closed, Step(Act.RECORD, ending=Ending.TREATED))
    made = await recall(ward, Scope(lot="WARM-6"))
    await do(ward, owner, negative, Step(Act.ACKNOWLEDGE))
    await do(ward, owner, contacted, Step(Act.ACKNOWLEDGE))
    await do(ward, owner, contacted, Step(Act.CONTACT))
    assert await lifted(ward, made, close=True) == 2
    states = {one: found.state for one in (negative, closed, still, contacted) if (found := await follow_up(ward, one))}
    # What was open before, and where somebody has spoken with the person, is not for the recall to end.
    assert states == {
        negative: State.CLOSED, closed: State.CLOSED, still: State.NEW, contacted: State.CONTACTED,
    }  # fmt: skip
    ended = await follow_up(ward, negative)
    assert ended
    assert (ended.ending, ended.due_at, ended.remind_at) == (Ending.RECALL_LIFTED, None, None)
    statement = "SELECT act, note, version FROM follow_up_event WHERE result_id = :id ORDER BY version"
    events = await ward.rows(statement, id=closed)
    assert tuple(events[-1]) == ("close", "Recall lifted: The logger was wrong", 4)
    # It can be opened again as any other.
    await do(ward, owner, negative, Step(Act.REOPEN, "The person asked"))


async def test_lifting_closes_nothing_unless_it_is_chosen(ward: Ward) -> None:
    await person(ward)
    negative = await arrive(ward, outcome.NEGATIVE, lot="WARM-7")
    made = await recall(ward, Scope(lot="WARM-7"))
    assert await lifted(ward, made, close=False) == 0
    found = await follow_up(ward, negative)
    assert found
    assert found.state == State.NEW


async def test_what_another_recall_holds_or_somebody_opened_again_stays_open(ward: Ward) -> None:
    owner = await person(ward)
    twice, again = (
        await arrive(ward, outcome.NEGATIVE, lot="WARM-8"),
        await arrive(ward, outcome.POSITIVE, lot="WARM-9"),
    )
    first = await recall(ward, Scope(lot="WARM-8"))
    second = await recall(ward, Scope(lot="WARM-8", firmware=factory.FIRMWARE))
    assert await lifted(ward, first, close=True) == 0
    # Once the other is lifted too, nothing else keeps it open.
    assert await lifted(ward, second, close=True) == 1
    await do(ward, owner, again, Step(Act.ACKNOWLEDGE))
    await do(ward, owner, again, Step(Act.RECORD, ending=Ending.TREATED))
    third = await recall(ward, Scope(lot="WARM-9"))
    await do(ward, owner, again, Step(Act.ACKNOWLEDGE))
    await do(ward, owner, again, Step(Act.RECORD, ending=Ending.TREATED))
    await do(ward, owner, again, Step(Act.REOPEN, "They have a fever"))
    assert await lifted(ward, third, close=True) == 0
    found = await follow_up(ward, twice)
    assert found
    assert found.state == State.CLOSED
