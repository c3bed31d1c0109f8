"""How far each reader is follows from its own records, whenever and in whatever order they come."""

import asyncio
import itertools

import cbor2
import pytest

from reader import wire
from server.custody import again
from server.database import tenancy
from server.readers import service as readers
from server.updates import advancing, repository, service
from server.updates.models import State
from tests.server import factory
from tests.server.conftest import ACTOR, Ward
from tests.server.custody.test_downlink import commands
from tests.server.custody.test_exchange import opened_down
from tests.server.updates import images
from tests.server.updates.images import applied, go_on, image, released, said, stages, started


async def test_the_command_names_the_image_and_is_sealed_for_its_reader(ward: Ward) -> None:
    reader = await ward.reader()
    content = image(model=images.model())
    await started(ward, await released(ward, content))
    answer = await ward.exchange()
    [(reader_id, number, sealed)] = [one for one in commands(answer) if one[1] == 1]
    assert (reader_id, number) == (reader.reader_id, 1)
    message = opened_down(reader, sealed)
    manifest = content[: content.index(b"\x01")]
    assert message == {
        wire.DOWN_TYPE: wire.DOWN_UPDATE,
        wire.DOWN_A: [2, 1, len(manifest), len(content)],
        wire.DOWN_B: images.hashlib.sha256(manifest).digest(),
        wire.DOWN_C: "2.0.0",
    }


async def test_stages_follow_what_the_reader_journals(ward: Ward) -> None:
    reader = await ward.reader()
    rollout_id = await started(ward)
    names = ("awaited", "whole", "started", "confirmed")
    for stage, name in zip(images.ALL_WELL, names, strict=True):
        await ward.exchange([said(reader, stage)])
        assert await stages(ward, rollout_id) == {reader.reader_id: name}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_records_that_come_out_of_order_end_in_the_same_stage(ward: Ward, order: tuple[int, ...]) -> None:
    reader = await ward.reader()
    rollout_id = await started(ward)
    sealed = [said(reader, stage) for stage in (1, 3, 5)]
    for at in order:
        await ward.exchange([sealed[at]])
    await ward.exchange(sealed)
    assert await stages(ward, rollout_id) == {reader.reader_id: "went-back"}


async def test_a_command_that_was_taken_is_awaited_and_one_that_was_refused_is_not(ward: Ward) -> None:
    taking, refusing = await ward.reader("Taking"), await ward.reader("Refusing")
    rollout_id = await started(ward, canary=2)
    await ward.exchange([applied(taking, 1), applied(refusing, 1, wire.ERR_UNSUPPORTED)])
    assert await stages(ward, rollout_id) == {taking.reader_id: "awaited", refusing.reader_id: "refused"}
    await ward.exchange([said(refusing, wire.UPDATE_REFUSED, detail="not greater")])
    rows = await ward.rows("SELECT detail FROM rollout_reader WHERE stage = 'refused'")
    assert [row.detail for row in rows] == ["not greater"]


async def test_another_release_and_what_came_before_the_command_say_nothing_of_this_one(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange([said(reader, wire.UPDATE_DROPPED)])
    rollout_id = await started(ward)
    await ward.exchange([said(reader, wire.UPDATE_CONFIRMED, release=1), said(reader, 99), said(reader, 1)])
    assert await stages(ward, rollout_id) == {reader.reader_id: "awaited"}


async def test_an_event_that_has_no_numbers_changes_nothing(ward: Ward) -> None:
    reader = await ward.reader()
    rollout_id = await started(ward)
    odd = [[], [2], [-2, -1], [2**60, 2**60]]
    await ward.exchange(
        [reader.seal(factory.event(wire.EVENT_UPDATE, None, numbers, reader.moment())) for numbers in odd]
    )
    assert await stages(ward, rollout_id) == {reader.reader_id: "sent"}


async def test_a_record_that_waited_in_quarantine_counts_once_it_is_processed(ward: Ward) -> None:
    reader = await ward.reader()
    rollout_id = await started(ward)
    # Sealed with a key that the server does not have yet.
    key = ward.keyring.rotated(reader.reader_id, 1)
    first, later = reader.key, factory.Reader(reader.reader_id, key, generation=1)
    later.number, later.previous = reader.number, reader.previous
    await ward.exchange([said(later, wire.UPDATE_WHOLE)])
    assert await stages(ward, rollout_id) == {reader.reader_id: "sent"}
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await readers.restore(
            session, ward.keyring, ward.organisation, ward.site, "Reader", reader.reader_id, 1, None, ACTOR
        )
    for _ in range(2):
        await asyncio.to_thread(again.process, ward.pool, ward.keyring, ward.id, ACTOR)
    assert first
    assert await stages(ward, rollout_id) == {reader.reader_id: "whole"}


async def test_the_next_wave_waits_for_the_one_before_and_then_goes_to_all(ward: Ward) -> None:
    everybody = {one.reader_id: one for one in [await ward.reader(f"Reader {at}") for at in range(10)]}
    rollout_id = await started(ward, canary=1, shares=(50, 100))
    sizes = [len(await images.wave_of(ward, rollout_id, wave)) for wave in range(3)]
    assert sizes == [1, 4, 5]
    for wave in range(3):
        chosen = await images.wave_of(ward, rollout_id, wave)
        now = await stages(ward, rollout_id)
        assert {one for one, stage in now.items() if stage == "sent"} == chosen
        await go_on(ward, rollout_id)
        assert await stages(ward, rollout_id) == now
        await images.updated(ward, *(everybody[one] for one in sorted(chosen)))
        await go_on(ward, rollout_id)
    found = await images.rollout(ward, rollout_id)
    assert (found.state, set((await stages(ward, rollout_id)).values())) == (State.DONE, {"confirmed"})


async def test_many_at_once_send_each_reader_one_command(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advancing, "PORTION", 2)
    for at in range(7):
        await ward.reader(f"Reader {at}")
    image_id = await released(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        rollout = await service.start(session, ACTOR, ward.id, image_id, service.Plan(canary=7))
    await asyncio.gather(*(go_on(ward, rollout.id) for _ in range(4)))
    rows = await ward.rows("SELECT reader_id, count(*) AS many FROM command WHERE kind = 8 GROUP BY reader_id")
    assert sorted(row.many for row in rows) == [1] * 7


async def test_two_that_start_at_once_start_one(ward: Ward) -> None:
    await ward.reader()
    image_id = await released(ward)

    async def start() -> bool:
        try:
            async with tenancy.transaction(ward.sessions, ward.id) as session:
                await service.start(session, ACTOR, ward.id, image_id, service.Plan())
        except service.RolloutUnderWay:
            return False
        return True

    assert sorted(await asyncio.gather(*(start() for _ in range(4)))) == [False, False, False, True]


async def test_a_stop_tells_those_that_have_not_begun_and_leaves_the_others(ward: Ward) -> None:
    by_id = {one.reader_id: one for one in [await ward.reader(f"Reader {at}") for at in range(4)]}
    rollout_id = await started(ward, canary=3)
    sent = sorted(await images.wave_of(ward, rollout_id, 0))
    await images.updated(ward, by_id[sent[0]], stages=(1, 2, 3))
    await images.updated(ward, by_id[sent[1]], stages=(1, 2))
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.stop(session, ACTOR, ward.id, rollout_id, "It gets warm")
        with pytest.raises(service.RolloutMoved):
            await service.stop(session, ACTOR, ward.id, rollout_id, "Twice")
    await asyncio.gather(*(go_on(ward, rollout_id) for _ in range(3)))
    messages: dict[bytes, list[object]] = {}
    for reader_id, _, sealed in commands(await ward.exchange()):
        message = opened_down(by_id[reader_id], sealed)
        if message[wire.DOWN_TYPE] == wire.DOWN_UPDATE:
            messages.setdefault(reader_id, []).append(message[wire.DOWN_A])
    assert {one for one, said in messages.items() if said[-1] is None} == set(sent[1:])
    assert messages[sent[0]][-1] is not None
    await ward.exchange([said(by_id[sent[2]], wire.UPDATE_DROPPED)])
    assert (await stages(ward, rollout_id))[sent[2]] == "dropped"
    # Every reader may be in the next one.
    await started(ward, await released(ward, image(model=images.model(), release=3)), canary=4)


async def test_no_other_rollout_begins_while_a_stopped_one_has_readers_to_tell(ward: Ward) -> None:
    await ward.reader()
    rollout_id = await started(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.stop(session, ACTOR, ward.id, rollout_id, "No")
    later = await released(ward, image(model=images.model(), release=3))
    with pytest.raises(service.RolloutUnderWay):
        await started(ward, later)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert await repository.to_go_on_with(session) == [rollout_id]
    await advancing.go_on_with_all(ward.sessions, ward.keyring, ward.id)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert await repository.to_go_on_with(session) == []
    await started(ward, later)


async def test_a_revoked_reader_and_one_that_runs_it_already_are_left_out(ward: Ward) -> None:
    revoked, running, confirmed, left = [await ward.reader(f"Reader {at}") for at in range(4)]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await readers.revoke(session, ward.organisation, revoked.reader_id, ACTOR)
    booted = factory.event(moment=running.moment())
    booted[wire.REC_FIRMWARE] = "2.0.0"
    await ward.exchange([running.seal(booted), said(confirmed, wire.UPDATE_CONFIRMED, release=3)])
    assert cbor2.dumps(booted)
    rollout_id = await started(ward, canary=9)
    assert await stages(ward, rollout_id) == {left.reader_id: "sent"}


async def test_there_is_nothing_to_roll_out_where_every_reader_runs_it(ward: Ward) -> None:
    with pytest.raises(service.RolloutRefused, match="No reader"):
        await started(ward)
