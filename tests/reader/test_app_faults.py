"""What the reader says, records and does when storage, battery, identity or the program fails: nothing is lost."""

import asyncio
from typing import Any

import pytest

from emulator.bench import Bench
from emulator.calls import Operation
from emulator.flash import BLOCK
from emulator.physics import Line, Strip
from reader import outcome, wire
from tests.reader.stubs.hands import (
    PATIENCE_S,
    SARS2_LAMP,
    SARS2_STRIP,
    Hands,
    cassette,
    events,
    reader_at_hand,
    results,
)

NEGATIVE = Strip(lines=[Line(11.0, 0.40)], seed=2)


async def _cancel(hands: Hands) -> None:
    hands.reader.remove_strip()
    # A cassette is used once, whatever came of its test.
    await hands.start_strip(NEGATIVE, cassette(SARS2_STRIP, serial=f"{hands.reader.uptime_s:.3f}"))
    await hands.reader.press("B")
    await hands.see("Cancel test?")
    await hands.reader.press("A")
    await hands.see("OK")
    await hands.reader.press("A")
    await hands.see("Ready")


# Storage


async def test_full_storage_refuses_the_next_test_and_says_how_many_records_wait_until_they_are_collected() -> None:
    async with reader_at_hand(flash_size=49 * BLOCK) as hands:
        reader = hands.reader
        done = 0
        while done < 120:
            done += 1
            await _cancel(hands)
            await reader.press("A")
            await reader.wait_for(
                lambda: any(text in reader.screen_text() for text in ("Storage is full.", "Scan specimen")), PATIENCE_S
            )
            if "Storage" in reader.screen_text():
                break
            await reader.press("B")
        screen = await hands.settled()
        assert "Not possible" in screen
        assert "Visit the hub." in screen
        assert done > 8, "small records share blocks: it is not full long before its storage is"
        await reader.press("A")
        await hands.see("Ready")
        records = await hands.records()
        assert results(records) == [(wire.OUTCOME_ERROR, outcome.CANCELLED)] * done
        assert f"{len(records)} waiting" in screen
        await reader.cut_power()
        await reader.power_on()  # a start that is not recorded for want of room is no failure
        await hands.see("Ready")


async def test_a_test_whose_power_went_is_still_told_of_when_its_record_does_not_fit_and_the_radio_works() -> None:
    # Space that the reserve does not foresee, as after a file system was damaged: the flash is nearly full.
    async with reader_at_hand(flash_size=48 * BLOCK) as hands:
        reader = hands.reader
        await hands.start_strip(NEGATIVE)
        await reader.cut_power()
        await reader.write_files({"/filler": bytes(24 * BLOCK)})
        await reader.power_on()
        await hands.see("Ready")
        await reader.press("A")
        assert "Storage is full." in await hands.see("Not possible")
        assert results(await hands.records()) == []
        await reader.cut_power()
        await reader.write_files({"/filler": b""})
        await reader.power_on()
        await hands.acknowledge("Power was lost")
        assert results(await hands.records()) == [(wire.OUTCOME_ERROR, outcome.POWER_LOST)]


async def test_a_result_that_cannot_be_stored_is_not_shown_and_becomes_a_storage_fault_before_the_next_test() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(NEGATIVE)
        program = reader.flash.program

        def fail(block: int, offset: int, data: bytes) -> None:
            raise OSError(5, "the flash does not take it")

        reader.flash.program = fail  # type: ignore[method-assign]
        reader.speed = 300
        screen = await hands.see("Storage failed.")
        reader.speed = 1
        assert "Fault" in screen
        assert "NEGATIVE" not in screen
        await reader.press("A")
        await hands.see("Ready")
        await reader.press("A")
        assert "Storage failed." in await hands.see("Not possible")
        reader.flash.program = program  # type: ignore[method-assign]
        await reader.press("A")
        await hands.see("Ready")
        await reader.press("A")
        await hands.see("Scan specimen")
        assert results(await hands.records()) == [(wire.OUTCOME_ERROR, outcome.STORAGE_FAULT)]


# Battery


@pytest.mark.parametrize(("percent", "code"), [(4.4, None), (5.6, SARS2_STRIP), (29.0, SARS2_LAMP)])
async def test_a_battery_too_low_for_a_test_refuses_it_as_soon_as_it_is(percent: float, code: str | None) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.see("Ready")
        reader.circuit.world.battery.percent = percent
        if code is None:
            await reader.press("A")
        else:
            await hands.identify(cassette(code))
        screen = await hands.see("Not possible")
        assert "Battery low." in screen
        assert "Charge first." in screen
        records = await hands.records()
    assert results(records) == []
    told = events(records, wire.EVENT_LOW_BATTERY)
    assert [numbers[0] for _, numbers in told] == ([int(percent)] if percent < 15 else [])


# Identity


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "Not enrolled."),
        ({"/identity.cbor": b"\xa1\x01\x02"}, "Identity broken."),
        ({"/identity.a": b"rotten", "/spare/identity.b": b"rotten"}, "Identity broken."),
    ],
)
async def test_a_reader_that_does_not_know_who_it_is_halts_and_says_so(files: dict[str, bytes], sentence: str) -> None:
    async with Bench() as bench:
        reader = await bench.add_reader(start=False)
        await reader.write_files(files)
        await reader.start()
        hands = Hands(bench, reader)
        screen = await hands.see("Needs service.")
        assert "Fault" in screen
        assert sentence in screen
        assert "storage" not in screen
        reader.speed = 100
        asked = reader.uptime_s
        await reader.wait_for(lambda: reader.uptime_s > asked + 90, PATIENCE_S, "three times the watchdog's time")
        assert reader.boots == 1, "the watchdog is fed while it halts"
        assert sentence in reader.screen_text()
        assert not reader.advertising


# Faults that nothing handles


async def test_a_loop_that_hangs_is_reset_by_the_watchdog_and_its_test_is_recorded() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(NEGATIVE)
        transfer = reader.circuit.bus.transfer

        hangs = asyncio.Event()

        async def held() -> bytes:
            hangs.set()
            await asyncio.Event().wait()
            return b""

        def hold(address: int, data: bytes, count: int) -> Any:
            if address != reader.board.I2C_OLED:
                return transfer(address, data, count)
            reader.circuit.bus.transfer = transfer  # the reset frees it
            return held()

        reader.circuit.bus.transfer = hold  # a panel that holds the clock line low
        reader.in_step = False  # what hangs never stands still
        await asyncio.wait_for(hangs.wait(), PATIENCE_S)
        assert reader._watchdog is not None  # pyright: ignore[reportPrivateUsage]
        # The bench's bound on a process that looks at no clock is long; nobody feeds it now, so it may be as short.
        reader._feed(0)  # pyright: ignore[reportPrivateUsage]
        await reader.wait_for(lambda: reader.boots == 2, PATIENCE_S, "the watchdog's reset")
        await hands.acknowledge("Power was lost")
        records = await hands.records()
    assert results(records) == [(wire.OUTCOME_ERROR, outcome.POWER_LOST)]
    assert [detail for detail, _ in events(records, wire.EVENT_BOOT)] == ["power on", "watchdog"]


async def test_a_flash_that_fails_as_a_test_begins_refuses_it_and_leaves_a_fault_event() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.identify(cassette(SARS2_STRIP))
        await hands.see("NEXT")
        await reader.press("A")
        await hands.see("Insert cassette.")
        reader.insert_strip(NEGATIVE)
        await hands.see("Press START.")
        program = reader.flash.program
        reader.flash.program = _fails_once(reader.flash, program)  # type: ignore[method-assign]
        await reader.press("A")
        assert "Storage failed." in await hands.see("Not possible")
        await reader.press("A")
        await hands.see("Ready")
        await reader.press("A")
        await hands.see("Scan specimen")
        records = await hands.records()
    assert results(records) == [], "it had not begun"
    ((detail, _),) = events(records, wire.EVENT_FAULT)
    assert detail is not None
    assert detail.startswith("test not begun: ")


def _fails_once(flash: Any, program: Any) -> Any:
    def fail(block: int, offset: int, data: bytes) -> None:
        flash.program = program
        raise OSError(5, "the flash did not take it")

    return fail


async def test_an_exception_in_the_middle_of_a_test_is_journalled_and_the_test_becomes_an_error() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(NEGATIVE)
        # An error of the radio that the link does not know.
        radio = reader._radio  # pyright: ignore[reportPrivateUsage]
        assert radio is not None
        radio._operations[Operation.WRITE] = _refused  # pyright: ignore[reportPrivateUsage]
        reader.circuit.world.battery.percent = 50  # the status changes, so that the link writes it
        reader.speed = 60
        await reader.wait_for(lambda: reader.boots == 2, PATIENCE_S, "the restart")
        reader.speed = 1
        await hands.acknowledge("Power was lost")
        records = await hands.records()
    assert results(records) == [(wire.OUTCOME_ERROR, outcome.POWER_LOST)]
    assert [detail for detail, _ in events(records, wire.EVENT_FAULT)] == ["OSError: [Errno 5] EIO"]


async def test_a_central_that_connects_just_before_the_advert_is_renewed_restarts_nothing() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.cut_power()
        await reader.power_on()
        radio = reader._radio  # pyright: ignore[reportPrivateUsage]
        assert radio is not None
        operations = radio._operations  # pyright: ignore[reportPrivateUsage]
        advertise = operations[Operation.ADVERTISE]

        def taken(payload: bytes) -> None:
            operations[Operation.ADVERTISE] = advertise
            raise OSError(12, "every connection is taken")

        operations[Operation.ADVERTISE] = taken
        await reader.wait_for(lambda: reader.advertising, PATIENCE_S, "the advert")
        assert operations[Operation.ADVERTISE] is advertise, "it was refused once"
        assert events(await hands.records(), wire.EVENT_FAULT) == []


def _refused(payload: bytes) -> None:
    raise OSError(5, "the radio does not answer")
