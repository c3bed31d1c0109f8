"""A real reader is updated: by radio, at rest, on trial, and back; nothing of it disturbs a test or a result."""

from pathlib import Path
from typing import Any

import pytest

from emulator.faults import images
from emulator.physics import Line, Strip
from reader import slots, wire
from tests.reader.stubs import updates
from tests.reader.stubs.hands import KEY, PATIENCE_S, READER_ID, Hands, events, reader_at_hand
from tests.reader.stubs.small_hub import connected

STRIP = Strip(lines=[Line(11.0, 0.40), Line(6.0, 0.15)], seed=1)
LONG_S = 300


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> updates.Release:
    return updates.release(tmp_path_factory.mktemp("releases") / "second", 2, "0.2.0")


async def started(hands: Hands, boots: int) -> None:
    """Wait for that start of the reader, and for its picture."""
    await hands.reader.wait_for(lambda: hands.reader.boots >= boots, LONG_S, f"start {boots}")
    await hands.see("Ready")


async def received(hands: Hands, found: updates.Release, **changes: Any) -> None:
    """Put a received image on its flash, and start it anew."""
    await hands.reader.cut_power()
    await hands.reader.write_files(images.received(images.split(found.manifest, found.image), found.number, **changes))
    await hands.reader.power_on()
    await hands.see("Ready")


async def test_a_release_comes_by_radio_is_switched_to_at_rest_and_confirmed_by_a_receipt(
    second: updates.Release,
) -> None:
    size = len(second.image)
    async with reader_at_hand() as hands:
        reader = hands.reader
        assert images.runs(reader) == (1, 0)
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            assert await updates.commanded(hub, 1, second.command) == wire.ERR_NONE
            code, reached, _ = await updates.carried(hub, second.image, second.id, size // 2)
            assert not code
        await reader.wait_for(lambda: not reader.connected, PATIENCE_S, "the hub's leaving")
        await hands.see(f"Update {100 * reached // size}%")
        await reader.cut_power()
        await reader.power_on()
        await hands.see(f"Update {100 * reached // size}%")
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            assert await updates.asked(hub, second.id) == (wire.ERR_NONE, reached, size)
            assert await updates.carried(hub, second.image, second.id) == (wire.ERR_NONE, size, size)
            assert images.runs(reader) == (1, 0), "while a hub is connected nothing is switched"
        await reader.wait_for(lambda: not reader.connected, PATIENCE_S, "the hub's leaving")
        await reader.wait_for_text("New software.", LONG_S)
        await started(hands, 3)
        assert images.runs(reader) == (2, 1)
        await reader.wait_for_console("release 2 is well", LONG_S)
        records = await updates.visited(hands)
        assert updates.told(records)[-1] == ("0.2.0", [2, wire.UPDATE_STARTED])
        await reader.wait_for(lambda: (2, wire.UPDATE_CONFIRMED, "0.2.0") in images.said(reader), LONG_S, "a receipt")
        records = await updates.visited(hands)
        assert records[-1][wire.REC_FIRMWARE] == "0.2.0"
        assert updates.told(records)[-1] == ("0.2.0", [2, wire.UPDATE_CONFIRMED])
        await reader.cut_power()
        await reader.power_on()
        await hands.see("Ready")
        assert images.runs(reader) == (2, 1)
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            again = second.command
            assert await updates.commanded(hub, 2, again) == wire.ERR_UNSUPPORTED, "it is not above what was confirmed"


async def test_nothing_is_received_while_a_test_runs_and_its_result_is_as_ever(second: updates.Release) -> None:
    async with reader_at_hand() as hands:
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            assert await updates.commanded(hub, 1, second.command) == wire.ERR_NONE
        await hands.reader.wait_for(lambda: not hands.reader.connected, PATIENCE_S, "the hub's leaving")
        await hands.start_strip(STRIP)
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            assert await updates.asked(hub, second.id) == (wire.ERR_STORAGE, 0, 0)
        await hands.reader.wait_for(lambda: not hands.reader.connected, PATIENCE_S, "the hub's leaving")
        assert "POSITIVE" in await hands.outcome(300)


async def test_a_reader_with_a_low_battery_takes_nothing_and_does_not_switch(second: updates.Release) -> None:
    async with reader_at_hand() as hands:
        await received(hands, second)
        hands.reader.circuit.world.battery.percent = 12.0
        await hands.reader.let_pass(200, LONG_S)
        assert images.runs(hands.reader) == (1, 0)
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            assert await updates.asked(hub, second.id) == (wire.ERR_BATTERY, 0, 0)
        hands.reader.circuit.world.battery.percent = 80.0
        await started(hands, 3)
        assert images.runs(hands.reader) == (2, 1)


async def test_nobody_at_the_buttons_is_interrupted_by_a_switch(second: updates.Release) -> None:
    async with reader_at_hand() as hands:
        await received(hands, second)
        for _ in range(8):
            await hands.reader.let_pass(20, LONG_S)
            await hands.reader.press("B")
        assert images.runs(hands.reader) == (1, 0)
        await started(hands, 3)
        assert images.runs(hands.reader) == (2, 1)


async def test_a_cell_that_rots_before_the_switch_is_seen_and_what_is_damaged_is_wanted_again(
    second: updates.Release,
) -> None:
    name = "/slot_a/reader/cbor.mpy"
    async with reader_at_hand() as hands:
        await received(hands, second)
        await hands.reader.cut_power()
        files = images.split(second.manifest, second.image)
        await hands.reader.write_files({name: files["reader/cbor.mpy"][:-1] + b"\0"})
        await hands.reader.power_on()
        await hands.see("Ready")
        await hands.reader.let_pass(200, LONG_S)
        assert images.runs(hands.reader) == (1, 0)
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            code, offset, size = await updates.asked(hub, second.id)
            assert (code, offset < size) == (wire.ERR_NONE, True)
            assert await updates.carried(hub, second.image, second.id) == (wire.ERR_NONE, size, size)


async def test_a_bad_release_in_the_second_slot_gives_way_to_the_one_confirmed_in_the_first(
    second: updates.Release, tmp_path: Path
) -> None:
    raises = {"reader/app.py": ("class App:", 'raise ValueError("bad")\n\n\nclass App:')}
    third = updates.release(tmp_path / "third", 3, "0.3.0", raises)
    confirmed = slots.State()
    confirmed.slot, confirmed.floor = 1, 2
    async with reader_at_hand() as hands:
        await received(hands, second)
        await hands.reader.cut_power()
        files = images.split(third.manifest, third.image)
        await hands.reader.write_files(images.received(files, 3, slot="b", state=confirmed))
        await hands.reader.power_on()
        await hands.see("Ready")
        assert images.runs(hands.reader) == (2, 1)
        boots = hands.reader.boots
        await started(hands, boots + 4)  # three of the third release, and back
        assert images.runs(hands.reader) == (2, 1)
        assert ("three starts", [3, wire.UPDATE_WENT_BACK]) in updates.told(await updates.visited(hands))


async def test_a_confirmed_application_that_no_longer_loads_gives_way_to_the_one_the_reader_was_made_with() -> None:
    state = slots.State()
    state.slot, state.floor = 1, 2
    async with reader_at_hand() as hands:
        await hands.reader.cut_power()
        broken = {"/slot_a/reader/__init__.py": b"", "/slot_a/reader/app.mpy": b"rotten"}
        await hands.reader.write_files(broken | images.kept(state))
        await hands.reader.power_on()
        await hands.see("Ready", LONG_S)
        assert images.runs(hands.reader) == (1, 0)
        assert updates.told(await updates.visited(hands))[-1] == ("did not start", [2, wire.UPDATE_WENT_BACK])


async def test_a_state_that_is_damaged_in_both_copies_is_told_and_the_first_application_runs() -> None:
    async with reader_at_hand() as hands:
        await hands.reader.cut_power()
        await hands.reader.write_files({"/slots.a": b"rotten", "/spare/slots.b": b"rotten"})
        await hands.reader.power_on()
        await hands.see("Ready", LONG_S)
        assert images.runs(hands.reader) == (1, 0)
        faults = events(await updates.visited(hands), wire.EVENT_FAULT)
        assert ("state of the update", []) in faults
