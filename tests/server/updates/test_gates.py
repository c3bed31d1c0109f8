"""A rollout goes on only where the wave before did well, and pauses itself, in words, where it did not."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader import wire
from server.accounts import service as accounts
from server.database import epoch, tenancy
from server.database.columns import now
from server.updates import notice_repository, repository, service, waves
from server.updates.models import State
from server.updates.waves import Candidate, Finish, Open, Progress, Settle, Standing, Trip, Wait, decide
from tests.server import factory
from tests.server.conftest import ACTOR, Database, Ward
from tests.server.updates import images
from tests.server.updates.images import fault, go_on, rollout, said, stages, started, updated

AT = datetime(2026, 8, 6, 12, tzinfo=UTC)
SOAK = timedelta(hours=48)


def progress(*standings: Standing, wave: int = 0, settled_at: datetime | None = None, limit: int = 10) -> Progress:
    return Progress(wave, settled_at, SOAK, limit, standings)


UNSENT = Standing(4, unsent=4)
WELL = Standing(1, confirmed=1)


@pytest.mark.parametrize(
    ("given_", "decision"),
    [
        (progress(Standing(1, unsent=1), UNSENT), Wait()),
        (progress(Standing(1, open=1), UNSENT), Wait()),
        (progress(WELL, UNSENT), Settle()),
        (progress(WELL, UNSENT, settled_at=AT - SOAK + timedelta(seconds=1)), Wait()),
        (progress(WELL, UNSENT, settled_at=AT - SOAK), Open(1)),
        # A canary that is not heard of proves nothing, and neither does one that forgot the update.
        (progress(Standing(1, open=1, silent=1), UNSENT), Wait()),
        (progress(Standing(1), UNSENT), Wait()),
        # Somebody looked at a canary that did badly and let it go on.
        (progress(Standing(1, excused=1), UNSENT), Settle()),
        # A later wave is not held up by who was not heard of for long.
        (progress(WELL, Standing(4, open=2, silent=2, confirmed=2), wave=1), Settle()),
        (progress(WELL, Standing(4, open=2, silent=1, confirmed=2), wave=1), Wait()),
        # But nothing is done while a reader may still begin.
        (progress(WELL, Standing(4, open=1, silent=1, confirmed=3), wave=1, settled_at=AT - SOAK), Wait()),
        (progress(WELL, Standing(4, confirmed=4), wave=1, settled_at=AT - SOAK), Finish()),
        (progress(WELL, Standing(4, confirmed=4), wave=1, settled_at=AT - timedelta(hours=1)), Wait()),
        # A share so small that the wave before holds it already.
        (progress(WELL, Standing(0), UNSENT, wave=1), Open(2)),
    ],
)
def test_what_becomes_of_a_rollout(given_: Progress, decision: object) -> None:
    assert decide(given_, AT) == decision


@pytest.mark.parametrize("bad", ["went_back", "refused", "faulty"])
def test_a_limit_is_passed_by_more_than_its_share_of_one_wave(bad: str) -> None:
    at_limit = replace(Standing(20, confirmed=18), **{bad: 2})
    assert decide(progress(WELL, at_limit, wave=1), AT) == Settle()
    tripped = decide(progress(WELL, replace(at_limit, **{bad: 3}), wave=1), AT)
    assert isinstance(tripped, Trip)
    assert "wave 2" in tripped.why
    assert "3 " in tripped.why
    # Also in a wave that was settled before.
    assert isinstance(decide(progress(replace(WELL, **{bad: 1}), UNSENT, settled_at=AT - SOAK), AT), Trip)


def test_why_says_what_happened_in_words() -> None:
    standing = Standing(1_200, went_back=100, faulty=30)
    assert waves.why(2, standing, 5) == (
        "Of 1,200 readers of wave 3, 100 went back to the application before and 30 reported a fault after it: more"
        " than 5 per cent."
    )


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 100), st.sets(st.integers(1, 99), max_size=7), st.randoms())
def test_every_reader_is_in_one_wave_and_always_in_the_same(
    silent: list[bool], canary: int, shares: set[int], random: object
) -> None:
    rollout_id = uuid4()
    found = [Candidate(bytes([at]) * 8, one) for at, one in enumerate(silent)]
    steps = (*sorted(shares), 100)
    chosen = waves.assign(rollout_id, canary, steps, found)
    assert chosen.keys() == {one.reader_id for one in found}
    assert waves.assign(rollout_id, canary, steps, list(reversed(found))) == chosen
    canaries = [one for one in found if chosen[one.reader_id] == 0]
    assert len(canaries) == min(canary, len(found))
    for at, share in enumerate(steps, 1):
        reached = sum(wave <= at for wave in chosen.values())
        assert reached == max(len(canaries), -(-len(found) * share // 100))
    # Those that are heard of are before those that are not.
    order = sorted(found, key=lambda one: chosen[one.reader_id])
    assert max([chosen[one.reader_id] for one in order if not one.silent], default=0) <= min(
        [chosen[one.reader_id] for one in order if one.silent], default=99
    )


async def by_wave(ward: Ward, count: int, **plan: object) -> tuple[UUID, dict[int, list[factory.Reader]]]:
    made = {one.reader_id: one for one in [await ward.reader(f"Reader {at}") for at in range(count)]}
    rollout_id = await started(ward, **plan)
    waves_ = range(4)
    return rollout_id, {
        wave: [made[one] for one in sorted(await images.wave_of(ward, rollout_id, wave))] for wave in waves_
    }


async def lead(ward: Ward) -> str:
    email = f"lead-{ward.id.hex}@example.org"
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await accounts.create_user(session, email, "A Lead", "lead", None, ward.id)
    return email


async def told(ward: Ward) -> list[str]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        keys = await notice_repository.untold(session, now())
        found = [await notice_repository.take(session, key) for key in keys]
    return [one.email for one in found if one]


@pytest.mark.parametrize("how", ["went back", "refused", "fault"])
async def test_a_canary_that_does_badly_pauses_it_and_tells_the_leads(ward: Ward, how: str) -> None:
    email = await lead(ward)
    rollout_id, found = await by_wave(ward, 3)
    [canary] = found[0]
    match how:
        case "went back":
            await updated(ward, canary, stages=(1, 2, 3, 5))
        case "refused":
            await ward.exchange([images.applied(canary, 1, wire.ERR_UNSUPPORTED)])
        case _:
            await updated(ward, canary)
            await ward.exchange([fault(canary)])
    await asyncio.gather(*(go_on(ward, rollout_id) for _ in range(3)))
    paused = await rollout(ward, rollout_id)
    assert paused.state == State.PAUSED
    assert "canary wave" in paused.why
    assert how.split()[0] in paused.why
    assert await told(ward) == [email]
    assert sorted((await stages(ward, rollout_id)).values()).count("waiting") == 2
    entries = await ward.rows("SELECT action, actor_kind FROM audit_entry WHERE action = 'rollout.trip'")
    assert [tuple(one) for one in entries] == [("rollout.trip", "job")]


async def test_a_fault_from_before_the_update_counts_nothing(ward: Ward) -> None:
    rollout_id, found = await by_wave(ward, 2, shares=(100,))
    [canary] = found[0]
    await ward.exchange([fault(canary)])
    await updated(ward, canary)
    await go_on(ward, rollout_id)
    assert (await rollout(ward, rollout_id)).wave == 1


async def test_resumed_it_goes_on_and_what_was_looked_at_does_not_pause_it_again(ward: Ward) -> None:
    rollout_id, found = await by_wave(ward, 5, canary=2, shares=(100,))
    first, second = found[0]
    await updated(ward, first)
    await ward.exchange([said(second, wire.UPDATE_WENT_BACK)])
    await go_on(ward, rollout_id)
    assert (await rollout(ward, rollout_id)).state == State.PAUSED
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        with pytest.raises(service.RolloutMoved):
            await service.pause(session, ACTOR, ward.id, rollout_id, "Paused it is")
        await service.resume(session, ACTOR, ward.id, rollout_id)
    assert await told(ward) == []
    await go_on(ward, rollout_id)
    going = await rollout(ward, rollout_id)
    assert (going.state, going.wave) == (State.RUNNING, 1)
    # What comes after is judged anew.
    await updated(ward, found[1][0], stages=(1, 2, 3, 5))
    await go_on(ward, rollout_id)
    assert (await rollout(ward, rollout_id)).state == State.PAUSED


async def test_a_reader_that_was_looked_at_and_then_does_worse_counts_again(ward: Ward) -> None:
    rollout_id, found = await by_wave(ward, 2, shares=(100,), limit_percent=50)
    [canary] = found[0]
    for bad in (
        [said(canary, stage) for stage in (1, 2, 3)] + [fault(canary)],
        [fault(canary)],
        [said(canary, wire.UPDATE_WENT_BACK)],
    ):
        await ward.exchange(bad)
        await go_on(ward, rollout_id)
        assert (await rollout(ward, rollout_id)).state == State.PAUSED
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            await service.resume(session, ACTOR, ward.id, rollout_id)
        await go_on(ward, rollout_id)
        assert (await rollout(ward, rollout_id)).state == State.RUNNING


async def test_a_paused_rollout_sends_nothing_whoever_asks(ward: Ward) -> None:
    rollout_id, found = await by_wave(ward, 3)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.pause(session, ACTOR, ward.id, rollout_id, "Wait for the engineer")
    await updated(ward, *found[0])
    before = await stages(ward, rollout_id)
    await asyncio.gather(*(go_on(ward, rollout_id) for _ in range(3)))
    assert await stages(ward, rollout_id) == before
    assert (await rollout(ward, rollout_id)).why == "Wait for the engineer"


async def test_a_reader_that_was_not_heard_of_is_last_and_counted_apart(ward: Ward) -> None:
    async def made(at: int) -> factory.Reader:
        return await ward.reader(f"Reader {at}")

    heard, silent = await made(1), await made(2)
    await ward.exchange([heard.seal(factory.event(moment=heard.moment()))])
    long_ago = "UPDATE custody SET heard_at = now() - interval '31 days' WHERE reader_id = :id RETURNING 1"
    await ward.rows(long_ago, id=silent.reader_id)
    rollout_id = await started(ward, shares=(100,))
    assert await images.wave_of(ward, rollout_id, 0) == {heard.reader_id}
    await updated(ward, heard)
    await go_on(ward, rollout_id)
    found = await rollout(ward, rollout_id)
    assert (found.state, found.wave, found.settled_at is not None) == (State.RUNNING, 1, True)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        standings = await repository.standings(session, found, now())
    assert standings == [Standing(1, confirmed=1), Standing(1, open=1, silent=1)]
    # It comes back after all.
    await updated(ward, silent)
    await go_on(ward, rollout_id)
    assert (await rollout(ward, rollout_id)).state == State.DONE


async def test_after_a_restore_somebody_has_to_say_that_it_goes_on(ward: Ward, database: Database) -> None:
    email = await lead(ward)
    rollout_id, found = await by_wave(ward, 3, shares=(100,))
    epoch.begin(database.owner, "restored")
    await updated(ward, *found[0])
    await go_on(ward, rollout_id)
    paused = await rollout(ward, rollout_id)
    assert (paused.state, "restored" in paused.why) == (State.PAUSED, True)
    assert await told(ward) == [email]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.resume(session, ACTOR, ward.id, rollout_id)
    await go_on(ward, rollout_id)
    assert (await rollout(ward, rollout_id)).wave == 1


@pytest.mark.parametrize(
    ("field", "plan"),
    [
        ("canary", {"canary": 0}),
        ("canary", {"canary": 101}),
        ("shares", {"shares": ()}),
        ("shares", {"shares": (10, 50)}),
        ("shares", {"shares": (50, 10, 100)}),
        ("shares", {"shares": (0, 100)}),
        ("shares", {"shares": (10, 10, 100)}),
        ("soak_hours", {"soak_hours": -1}),
        ("soak_hours", {"soak_hours": 721}),
        ("limit_percent", {"limit_percent": 51}),
    ],
)
async def test_a_plan_that_cannot_be_followed_is_refused(ward: Ward, field: str, plan: dict[str, object]) -> None:
    await ward.reader()
    with pytest.raises(service.RolloutRefused) as refused:
        await started(ward, **plan)
    assert refused.value.extra == {"field": field}
