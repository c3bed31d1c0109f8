"""A reader that nobody uses rests: dark, frugal, woken by a touch, and still there for a hub."""

from emulator import energy
from tests.reader.stubs.hands import PATIENCE_S, Hands, reader_at_hand

_AWAKE_S = 660.0  # more than the ten minutes after which it rests


async def _rested(hands: Hands) -> None:
    reader = hands.reader
    await hands.see("Ready")
    until = reader.uptime_s + _AWAKE_S
    reader.speed = 200.0
    await reader.wait_for(lambda: reader.resting, PATIENCE_S, "a dark screen")
    assert reader.uptime_s < until
    reader.speed = 1.0


async def test_a_reader_that_nobody_uses_goes_dark_and_a_button_only_wakes_it() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.see("Ready")
        awake = energy.milliamperes(reader.circuit.drawing())
        await _rested(hands)
        assert "Ready" not in reader.screen_text()
        assert energy.milliamperes(reader.circuit.drawing()) < awake / 2
        await reader.press("A")
        await hands.see("Ready")
        assert not reader.resting
        await reader.press("A")
        await hands.see("Scan specimen")


async def test_the_lid_wakes_it() -> None:
    async with reader_at_hand() as hands:
        await _rested(hands)
        hands.reader.open_lid()
        await hands.see("Ready")


async def test_a_hub_collects_from_a_reader_that_rests_and_leaves_it_dark() -> None:
    async with reader_at_hand() as hands:
        await _rested(hands)
        records = await hands.records()
        assert records
        assert hands.reader.resting
