"""No result that is not plainly negative is without owner and due time, from its arrival to its outcome."""

import asyncio
import os
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from reader import outcome
from server.accounts import service as accounts
from server.accounts.permissions import NotAllowed
from server.accounts.service import Viewer
from server.database import tenancy
from server.followup import repository, service
from server.followup.models import FollowUp, FollowUpPolicy
from server.followup.states import Act, Ending, NotNow, State, Step
from server.problems import NotFound
from server.readers.keys import Keyring
from server.results import tasks
from tests.server import factory
from tests.server.conftest import Ward


async def person(ward: Ward, role: str = "clinician", name: str = "A Person") -> Viewer:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        account = await accounts.create_user(
            session, f"{os.urandom(5).hex()}@example.org", name, role, "correct staple lantern", ward.id
        )
    return Viewer(account.id, ward.id, ward.organisation.name, name, account.email, role, "csrf", b"")


async def arrive(ward: Ward, code: int = outcome.POSITIVE, reason: int = outcome.NONE, **fields: object) -> UUID:
    reader = await ward.reader(f"Reader {os.urandom(3).hex()}")
    sealed = reader.seal(factory.result(outcome_code=code, reason=reason, moment=reader.moment(), **fields))  # type: ignore[arg-type]
    await ward.exchange([sealed])
    [row] = await ward.rows("SELECT id FROM result WHERE reader_id = :reader", reader=reader.reader_id)
    return row.id


async def follow_up(ward: Ward, result_id: UUID) -> FollowUp | None:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await repository.find(session, result_id)


async def do(ward: Ward, viewer: Viewer, result_id: UUID, step: Step, owner: UUID | None = None) -> FollowUp:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        now = await repository.find(session, result_id)
        assert now is not None
        return await service.act(session, viewer, result_id, now.version, step, owner)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (outcome.POSITIVE, outcome.NONE),
        (outcome.INVALID, outcome.NO_CONTROL_LINE),
        (outcome.INDETERMINATE, outcome.GREY_ZONE),
        (outcome.ERROR, outcome.POWER_LOST),
    ],
)
async def test_a_result_that_is_not_negative_has_an_owner_and_a_due_time_as_soon_as_it_is_held(
    ward: Ward, code: int, reason: int
) -> None:
    lead = await person(ward, "lead")
    await person(ward, "clinician")
    found = await follow_up(ward, await arrive(ward, code, reason))
    assert found is not None
    assert (found.owner_id, found.state) == (lead.account_id, State.NEW)
    assert found.due_at is not None
    assert found.opened_at < found.due_at == found.acknowledge_by < found.act_by


async def test_a_negative_needs_nobody(ward: Ward) -> None:
    assert await follow_up(ward, await arrive(ward, outcome.NEGATIVE)) is None


async def test_what_nobody_can_own_still_has_a_due_time_and_is_counted_as_unowned(ward: Ward) -> None:
    result_id = await arrive(ward)
    found = await follow_up(ward, result_id)
    assert found is not None
    assert found.owner_id is None
    viewer = await person(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        counts = await repository.counts(session, ward.id, viewer.account_id, found.opened_at)
    assert (counts.mine, counts.everybody, counts.unowned) == (0, 1, 1)
    taken = await do(ward, viewer, result_id, Step(Act.ACKNOWLEDGE))
    assert taken.owner_id == viewer.account_id


async def test_the_whole_way_from_arrival_to_closed_is_kept_act_by_act(ward: Ward) -> None:
    viewer = await person(ward)
    result_id = await arrive(ward)
    for step in (
        Step(Act.ACKNOWLEDGE),
        Step(Act.PLAN, "Call today, treat if symptoms"),
        Step(Act.NOT_REACHED),
        Step(Act.CONTACT, "Reached by phone"),
        Step(Act.RECORD, ending=Ending.TREATED),
        Step(Act.CLOSE),
    ):
        found = await do(ward, viewer, result_id, step)
    assert (found.state, found.ending, found.due_at, found.tries) == (State.CLOSED, Ending.TREATED, None, 1)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        events = await repository.events(session, result_id)
    assert [(event.act, name) for event, name in events] == [
        (act, "A Person") for act in ("acknowledge", "plan", "not-reached", "contact", "record", "close")
    ]
    audited = await ward.rows("SELECT action FROM audit_entry WHERE subject = :id ORDER BY id", id=str(result_id))
    assert [row.action for row in audited] == [f"follow-up.{event.act}" for event, _ in events]


async def test_two_who_act_at_once_do_not_overwrite_each_other(ward: Ward) -> None:
    one, other = await person(ward), await person(ward)
    result_id = await arrive(ward)

    async def acknowledge(viewer: Viewer) -> FollowUp:
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            return await service.act(session, viewer, result_id, 0, Step(Act.ACKNOWLEDGE))

    done = await asyncio.gather(acknowledge(one), acknowledge(other), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["FollowUp", "NotNow"]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert len(await repository.events(session, result_id)) == 1


async def test_what_is_reopened_is_due_again_and_keeps_its_history(ward: Ward) -> None:
    viewer = await person(ward)
    result_id = await arrive(ward)
    await do(ward, viewer, result_id, Step(Act.ACKNOWLEDGE))
    ended = await do(ward, viewer, result_id, Step(Act.RECORD, ending=Ending.NO_TREATMENT_NEEDED))
    assert ended.due_at is None
    again = await do(ward, viewer, result_id, Step(Act.REOPEN, "The lot was recalled"))
    assert (again.state, again.ending, again.owner_id) == (State.NEW, None, viewer.account_id)
    assert again.due_at is not None
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert len(await repository.events(session, result_id)) == 3


async def test_it_is_handed_to_a_person_who_may_follow_up_and_to_nobody_else(ward: Ward, other_ward: Ward) -> None:
    viewer, colleague, auditor = await person(ward), await person(ward), await person(ward, "auditor")
    stranger = await person(other_ward)
    result_id = await arrive(ward)
    for wrong in (auditor.account_id, stranger.account_id, None):
        with pytest.raises(service.OwnerUnknown):
            await do(ward, viewer, result_id, Step(Act.HAND_OVER, "On leave"), wrong)
    taken = await do(ward, viewer, result_id, Step(Act.HAND_OVER, "On leave"), colleague.account_id)
    assert taken.owner_id == colleague.account_id


@pytest.mark.parametrize("role", ["operator", "administrator", "auditor", "of-another-time"])
async def test_only_those_who_care_for_people_may_act(ward: Ward, role: str) -> None:
    result_id = await arrive(ward)
    viewer = Viewer(UUID(int=1), ward.id, ward.organisation.name, "A Person", "a@example.org", role, "csrf", b"")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        with pytest.raises(NotAllowed):
            await service.act(session, viewer, result_id, 0, Step(Act.ACKNOWLEDGE))


async def test_another_organisations_follow_up_is_not_there(ward: Ward, other_ward: Ward) -> None:
    result_id = await arrive(ward)
    stranger = await person(other_ward)
    async with tenancy.transaction(ward.sessions, other_ward.id) as session:
        with pytest.raises(NotFound):
            await service.act(session, stranger, result_id, 0, Step(Act.ACKNOWLEDGE))


async def test_the_leads_own_policy_is_followed_and_its_version_noted(ward: Ward) -> None:
    lead, deputy = await person(ward, "lead"), await person(ward)
    gone = await person(ward)
    await ward.rows("UPDATE account SET active = false WHERE id = :id RETURNING id", id=gone.account_id)
    for minutes in (30, 15):
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            await repository.supersede(
                session,
                FollowUpPolicy(
                    organisation_id=ward.id, assay="*", outcome=outcome.POSITIVE, version=0, urgency=1,
                    acknowledge_min=minutes, act_min=60, working_hours=False, tries=2,
                    owner_id=gone.account_id, deputy_id=deputy.account_id, lead_id=lead.account_id,
                ),
            )  # fmt: skip
    found = await follow_up(ward, await arrive(ward))
    assert found is not None
    assert (found.rule, found.tries_needed, found.owner_id) == (2, 2, deputy.account_id)
    assert (found.acknowledge_by - found.opened_at).total_seconds() == 15 * 60


async def test_the_database_refuses_an_open_follow_up_without_a_due_time_and_any_change_of_what_was_done(
    ward: Ward,
) -> None:
    viewer = await person(ward)
    result_id = await arrive(ward)
    await do(ward, viewer, result_id, Step(Act.ACKNOWLEDGE))
    for statement in (
        "UPDATE follow_up SET due_at = NULL",
        "UPDATE follow_up_event SET note = 'never happened'",
        "DELETE FROM follow_up_event",
        "DELETE FROM follow_up",
    ):
        with pytest.raises(DBAPIError):
            async with tenancy.transaction(ward.sessions, ward.id) as session:
                await (await session.connection()).execute(text(statement))


async def test_a_result_that_cannot_have_its_follow_up_is_not_held_either(ward: Ward) -> None:
    await ward.rows(
        "INSERT INTO working_hours (organisation_id, zone, days, opens, closes)"
        " VALUES (:id, 'Nowhere/Land', '{0}', '08:00', '18:00') RETURNING 1 AS done",
        id=ward.id,
    )
    reader = await ward.reader()
    sealed = reader.seal(factory.result(outcome_code=outcome.POSITIVE, moment=reader.moment()))
    answer = await ward.post(factory.exchange_body([sealed]))
    assert answer.status_code == 500
    assert await ward.rows("SELECT number FROM sealed_record WHERE reader_id = :id", id=reader.reader_id) == []
    # Reopened by whoever mends the hours: the hub offers it again, and nothing was lost.
    await ward.rows("UPDATE working_hours SET zone = 'Europe/London' RETURNING 1 AS done")
    await ward.exchange([sealed])
    assert len(await ward.rows("SELECT result_id FROM follow_up")) == 1


async def test_not_now_is_said_when_the_state_does_not_allow_it(ward: Ward) -> None:
    viewer = await person(ward)
    result_id = await arrive(ward)
    with pytest.raises(NotNow, match="It is new"):
        await do(ward, viewer, result_id, Step(Act.CLOSE))


async def test_a_negative_that_the_servers_own_analysis_does_not_bear_is_followed_up(
    ward: Ward, keyring: Keyring
) -> None:
    await person(ward, "lead")
    samples = factory.strip_samples(test=9_000)
    result_id = await arrive(ward, outcome.NEGATIVE, trace=factory.strip_trace(samples))
    assert await follow_up(ward, result_id) is None
    await tasks.recompute_for(ward.sessions, keyring, [ward.id])
    found = await follow_up(ward, result_id)
    assert found is not None
    assert (found.opened_for, found.outcome) == ("recomputation", outcome.NEGATIVE)
    assert found.owner_id is not None
    assert found.due_at is not None
