"""A heater that heats though no test asks for it: found soon wherever the reader stands, told, never found in vain."""

import asyncio
import random

import pytest

from emulator import physics
from emulator.physics import Strip, Tube
from reader import wire
from reader.heater import Controller, Heater
from tests.reader.stubs.hands import SARS2_LAMP, SARS2_STRIP, Hands, cassette, events, reader_at_hand

TICK_S = 5.0  # the supervisor's
WITHIN_S = 60.0
NOISE_C = 0.015  # of eight conversions at room temperature
HEATER_BIT = 8192
TOLD = "Heater failed."


class Pin:
    """The heater's PWM and the cut-out's pin."""

    duty = 0

    def duty_u16(self, duty: int) -> None:
        self.duty = duty

    def value(self) -> int:
        return 0


class Idle:
    """The firmware's watch over a model of the block, at the supervisor's pace."""

    def __init__(self, model: physics.Heater, seed: int = 1) -> None:
        self.model = model
        self.pwm = Pin()
        self.heater = Heater(self.pwm, None, Pin())
        self.now_s = 0.0
        self._source = random.Random(seed)

    def watch(self, seconds: float) -> float | None:
        """Seconds until it is found astray, or None."""
        until = self.now_s + seconds
        while self.now_s < until:
            self.model.advance(TICK_S)
            self.now_s += TICK_S
            cc = round(100 * (self.model.sensor_c + self._source.gauss(0.0, NOISE_C)))
            if self.heater.astray(cc, round(self.now_s * 1000)):
                return self.now_s - until + seconds
        return None


def warm(celsius: float, ambient_c: float) -> physics.Heater:
    model = physics.Heater(ambient_c=ambient_c)
    model.film_c = model.block_c = model.sensor_c = celsius
    return model


@pytest.mark.parametrize("ambient_c", [5.0, 22.0, 40.0])
@pytest.mark.parametrize("block_c", [None, 45.0, 65.0])
@pytest.mark.parametrize("supply_v", [5.0, 4.6])
def test_a_mosfet_stuck_on_is_found_within_a_minute_and_before_the_cut_out_opens(
    ambient_c: float, block_c: float | None, supply_v: float
) -> None:
    idle = Idle(warm(ambient_c if block_c is None else block_c, ambient_c))
    idle.model.supply_v = supply_v
    assert idle.watch(100.0) is None
    idle.model.stuck_on = True
    found_s = idle.watch(WITHIN_S)
    assert found_s is not None
    assert not idle.model.cutout_open
    assert idle.watch(600.0) is None, "it is told once"


def test_a_heater_that_leaks_too_little_to_be_told_from_a_room_is_found_before_the_cut_out_opens() -> None:
    idle = Idle(warm(22.0, 22.0))
    idle.model.duty = 0.45
    assert idle.watch(3600.0) is not None
    assert idle.model.block_c < idle.model.cutout_c


@pytest.mark.parametrize(("from_c", "to_c"), [(5.0, 45.0), (-10.0, 25.0), (22.0, 60.0), (40.0, 5.0)])
def test_a_reader_carried_into_another_climate_is_not_taken_for_a_fault(from_c: float, to_c: float) -> None:
    idle = Idle(warm(from_c, from_c))
    assert idle.watch(60.0) is None
    idle.model.ambient_c = to_c
    assert idle.watch(3600.0) is None


@pytest.mark.parametrize("at_s", [5.0, 9.0, 12.0, 15.0])
def test_tubes_straight_from_a_hot_bath_are_not_taken_for_a_fault(at_s: float) -> None:
    idle = Idle(warm(22.0, 22.0))
    assert idle.watch(at_s) is None
    # Two tubes of 0.7 J/K in all at 95 degrees, whose walls let their heat through in some ten seconds.
    left_j = 0.7 * 73.0
    for _ in range(60):
        given_j = left_j * (1.0 - 2.718 ** (-TICK_S / 10.0))
        left_j -= given_j
        idle.model.block_c += given_j / idle.model.block_j_per_k
        assert idle.watch(TICK_S) is None


@pytest.mark.parametrize("seconds", [4, 12, 60, 100, 140, 400])
def test_a_run_and_the_cooling_after_it_are_not_taken_for_a_fault(seconds: int) -> None:
    idle = Idle(warm(22.0, 22.0))
    assert idle.watch(60.0) is None
    # The watch is not asked while the run has the heater: started here, so that the real flag says so.
    idle.heater.start(6500)
    control = Controller(6500)
    for _ in range(seconds):
        idle.model.duty = control.step(round(100 * idle.model.sensor_c))
        idle.model.advance(1.0)
        idle.now_s += 1.0
        assert not idle.heater.astray(round(100 * idle.model.sensor_c), round(idle.now_s * 1000))
    idle.model.duty = 0.0
    idle.heater.stop()
    assert idle.watch(3600.0) is None


# On the running reader


def _break(hands: Hands) -> float:
    hands.reader.circuit.advance()
    hands.reader.circuit.world.heater.stuck_on = True
    return hands.reader.circuit.clock.seconds


async def _watched(hands: Hands) -> None:
    """Until the self-check of the first seconds is over."""
    await hands.reader.wait_for(lambda: hands.reader.uptime_s > 15.0, 60, "the end of the self-check")


async def _found(hands: Hands, began_s: float) -> str:
    reader = hands.reader
    screen = await hands.see(TOLD, 120)
    assert reader.circuit.clock.seconds - began_s <= WITHIN_S
    assert not reader.circuit.world.heater.cutout_open
    assert reader.circuit.duty(reader.board.HEATER) == 0
    reader.speed = 1
    await reader.wait_for(lambda: any(at >= began_s for at, _ in reader.circuit.beeps), 20, "the sound of a fault")
    return screen


@pytest.mark.parametrize("where", ["ready", "scanning", "resting"])
async def test_a_heater_that_sticks_while_nothing_runs_is_told_recorded_and_refuses_the_amplification_alone(
    where: str,
) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await _watched(hands)
        if where == "scanning":
            await reader.press("A")
            await hands.see("Scan specimen")
        elif where == "resting":
            reader.speed = 200
            await reader.wait_for(lambda: reader.resting, 60, "a dark screen")
        reader.speed = 5
        screen = await _found(hands, _break(hands))
        assert "Switch it off." in screen
        assert f"code {HEATER_BIT}" in screen
        assert not reader.resting
        await hands.settled()
        assert TOLD in reader.screen_text(), "it stays until somebody has seen it"
        await reader.press("A")
        await hands.see("Ready")
        heater = reader.circuit.world.heater
        reader.circuit.advance()
        heater.stuck_on = False  # that it is hot now must not be why it is refused
        heater.film_c = heater.block_c = heater.sensor_c = 22.0
        await reader.press("A")
        await hands.see("Scan specimen")
        assert "Sensor failed." in await hands.scan(cassette(SARS2_LAMP))
        await reader.press("A")
        await hands.see("BACK")
        assert "NEXT" not in await hands.scan(cassette(SARS2_STRIP))
        assert "Not possible" not in reader.screen_text()
        records = await hands.records()
    assert events(records, wire.EVENT_FAULT) == [("warms while off", []), ("self-check", [HEATER_BIT])]


async def test_a_heater_that_sticks_while_a_strip_incubates_is_heard_at_once_and_told_after_its_result() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await _watched(hands)
        await hands.start_strip(Strip(lines=[physics.Line(11.0, 0.40)], seed=2))
        began_s = _break(hands)
        reader.speed = 5
        await reader.wait_for(
            lambda: any(at >= began_s + 1.0 for at, _ in reader.circuit.beeps), 60, "the sound of a fault"
        )
        assert reader.circuit.clock.seconds - began_s <= WITHIN_S
        await hands.outcome(200)
        await reader.press("A")
        await hands.see(TOLD)


async def test_an_amplification_that_was_cancelled_while_it_heated_leaves_no_false_alarm() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(Tube(), Tube())
        reader.speed = 20
        await hands.see("50.", 60)
        reader.speed = 1
        await reader.press("B")
        await hands.see("YES")
        await reader.press("A")
        await hands.see("ERROR")
        await reader.press("A")
        await hands.see("Ready")
        after_s = reader.uptime_s + 180.0
        reader.speed = 50
        await reader.wait_for(lambda: reader.uptime_s > after_s, 60, "three minutes of cooling")
        assert TOLD not in reader.screen_text()
        records = await hands.records()
    assert events(records, wire.EVENT_FAULT) == []


async def test_going_back_while_the_self_check_warms_the_block_is_not_taken_for_a_broken_heater() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.cut_power()
        pulse = asyncio.Event()
        pwm = reader.circuit.pwm

        def note(pin: int, frequency: int, duty_u16: int) -> None:
            pwm(pin, frequency, duty_u16)
            if pin == reader.board.HEATER and duty_u16:
                pulse.set()

        reader.circuit.pwm = note  # type: ignore[method-assign]
        await reader.power_on()
        await hands.see("Ready", 90)
        await reader.press("A")
        await hands.see("Scan specimen")
        await reader.wait_for(pulse.is_set, 60, "the self-check's pulse")
        await reader.press("B")
        assert reader.circuit.duty(reader.board.HEATER) > 0
        await hands.see("Ready")
        reader.speed = 1
        await _watched(hands)
        records = await hands.records()
    assert events(records, wire.EVENT_FAULT) == []
