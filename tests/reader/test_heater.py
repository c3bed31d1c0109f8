"""The heater's control against the bench's thermal model, and each fault of it injected on the running reader."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from emulator.physics import Heater, Tube
from reader import outcome, wire
from reader.heater import Controller, HeaterError
from tests.reader.stubs.hands import Hands, events, reader_at_hand, results

TARGET_CC = 6500
NOISE_C = 0.03  # of the averaged conversions at 65 degrees: half a millivolt over 16 millivolts a degree
LOW_SUPPLY_V = (
    4.6  # at the heater, with the boost converter and its wires at the end of what a low battery lets them do
)
FULL_SUPPLY_V = 5.0


def hold(model: Heater, seconds: int, seed: int = 1) -> list[float]:
    """Block temperature at each second under the controller, which sees it through the thermistor's lag and noise."""
    control = Controller(TARGET_CC)
    source = random.Random(seed)
    seen = []
    for _ in range(seconds):
        model.duty = control.step(round(100 * (model.sensor_c + source.gauss(0.0, NOISE_C))))
        model.advance(1.0)
        seen.append(model.block_c)
    return seen


def reached(seen: list[float]) -> int:
    """Seconds until the block was within half a degree of the target."""
    return next(second for second, celsius in enumerate(seen, 1) if celsius >= 64.5)


def soonest(ambient_c: float, supply_v: float) -> int:
    """Seconds that the block takes at full power from end to end: no control is faster."""
    model = Heater(ambient_c=ambient_c, supply_v=supply_v)
    model.duty = 1.0
    seconds = 0
    while model.block_c < 64.5:
        model.advance(1.0)
        seconds += 1
    return seconds


@pytest.mark.parametrize("ambient_c", [5.0, 20.0, 40.0])
@pytest.mark.parametrize("supply_v", [FULL_SUPPLY_V, LOW_SUPPLY_V])
def test_the_block_is_at_65_within_five_minutes_stays_within_half_a_degree_and_overshoots_by_less_than_one(
    ambient_c: float, supply_v: float
) -> None:
    seen = hold(Heater(ambient_c=ambient_c, supply_v=supply_v), 3600)
    there = reached(seen)
    assert there <= 300
    assert there <= soonest(ambient_c, supply_v) + 20, "hardly longer than the power itself allows"
    assert max(seen) < 66.0
    assert all(64.5 <= celsius <= 65.5 for celsius in seen[there:])


@pytest.mark.parametrize("start_c", [30.0, 55.0, 62.0, 64.0, 64.9, 66.0])
def test_a_block_still_warm_from_the_last_run_does_not_overshoot(start_c: float) -> None:
    model = Heater(ambient_c=22.0)
    model.film_c = model.block_c = model.sensor_c = start_c
    seen = hold(model, 900)
    assert max(seen) <= max(start_c, 66.0)
    assert all(64.5 <= celsius <= 65.5 for celsius in seen[300:])


@pytest.mark.parametrize("seed", range(40))
def test_a_block_unlike_the_model_is_held_as_well(seed: int) -> None:
    source = random.Random(seed)
    model = Heater(
        ambient_c=source.uniform(5, 40), supply_v=source.uniform(4.6, 5.1), sensor_lag_s=source.uniform(0.5, 7.0),
        block_j_per_k=10.5 * source.uniform(0.7, 1.5), film_j_per_k=1.2 * source.uniform(0.6, 1.6),
        film_to_block_w_per_k=0.9 * source.uniform(0.5, 1.5), block_to_ambient_w_per_k=0.028 * source.uniform(0.6, 1.4),
    )  # fmt: skip
    seen = hold(model, 1800, seed)
    assert max(seen) < 66.0
    assert all(64.5 <= celsius <= 65.5 for celsius in seen[reached(seen) + 30 :])


def test_a_draught_of_a_minute_is_made_up_for_within_another_without_overshoot() -> None:
    model = Heater(ambient_c=20.0)
    control = Controller(TARGET_CC)
    seen = []
    for second in range(1500):
        model.block_to_ambient_w_per_k = 0.045 if 600 <= second < 660 else 0.028
        model.duty = control.step(round(100 * model.sensor_c))
        model.advance(1.0)
        seen.append(model.block_c)
    assert all(64.0 <= celsius <= 66.0 for celsius in seen[600:])
    assert all(64.5 <= celsius <= 65.5 for celsius in seen[720:])


def test_a_heater_that_is_open_is_found_within_two_minutes() -> None:
    with pytest.raises(HeaterError, match="does not warm"):
        hold(Heater(open_circuit=True), 120)


def test_a_mosfet_stuck_on_is_found_before_the_cut_out_opens() -> None:
    model = Heater(stuck_on=True)
    with pytest.raises(HeaterError):
        hold(model, 1200)
    assert model.block_c < 70.0
    assert not model.cutout_open


def test_a_thermistor_that_comes_loose_is_found_at_once() -> None:
    control = Controller(TARGET_CC)
    control.step(4000)
    with pytest.raises(HeaterError, match="jumped"):
        control.step(2000)


# On the running reader, at the level of its pins and converters


class Watched:
    """When the firmware let go of the heater, by the reader's own clock, and how warm the block then was."""

    def __init__(self, hands: Hands) -> None:
        self.circuit = hands.reader.circuit
        self.off_s: float | None = None
        self.block_c = 0.0
        self._pwm: Callable[[int, int, int], None] = self.circuit.pwm
        self.circuit.pwm = self._note  # type: ignore[method-assign]

    def _note(self, pin: int, frequency: int, duty_u16: int) -> None:
        self._pwm(pin, frequency, duty_u16)
        if pin != self.circuit.board.HEATER:
            return
        if duty_u16:
            self.off_s = None
        elif self.off_s is None:
            self.off_s = self.circuit.clock.seconds
            self.block_c = self.circuit.world.heater.block_c


def _thermistor(fault: str) -> Callable[[Any], None]:
    def break_it(world: Any) -> None:
        world.thermistor.fault = fault

    return break_it


def _heater(**changes: Any) -> Callable[[Any], None]:
    def break_it(world: Any) -> None:
        for name, value in changes.items():
            setattr(world.heater, name, value)

    return break_it


CUT_OUT = _heater(cutout_c=20.0, cutout_reset_c=5.0)
# What breaks, when (at which temperature), what the event says, seconds until the heater is let go of at most, and the
# highest temperature that the block may then have.
FAULTS = {
    "thermistor open, warming": (_thermistor("open"), 40.0, "thermistor open", 3, 45.0),
    "thermistor shorted, holding": (_thermistor("short"), 65.0, "thermistor shorted", 3, 66.0),
    "thermistor fallen out, warming": (_thermistor("loose"), 40.0, "thermistor jumped", 3, 45.0),
    "thermistor fallen out, as the run begins": (_thermistor("loose"), None, "does not warm", 40, 45.0),
    "heater open, as the run begins": (_heater(open_circuit=True), None, "does not warm", 40, 30.0),
    "heater open, holding": (_heater(open_circuit=True), 65.0, "does not warm", 150, 66.0),
    "MOSFET stuck on, holding": (_heater(stuck_on=True), 65.0, "too hot", 40, 70.0),
    "cut-out opened, warming": (CUT_OUT, 40.0, "cut-out opened", 3, 45.0),
    "cut-out opened, holding": (CUT_OUT, 65.0, "cut-out opened", 3, 66.0),
}


@pytest.mark.parametrize("what", FAULTS)
async def test_a_fault_of_the_heat_is_found_in_time_stops_the_heater_and_is_told(what: str) -> None:
    break_it, at_c, detail, within_s, highest_c = FAULTS[what]
    async with reader_at_hand() as hands:
        reader = hands.reader
        world = reader.circuit.world
        watched = Watched(hands)
        # Slowly: at full speed the block is warm before the picture of the run has stood still.
        reader.speed = 5
        await hands.start_tubes(Tube(time_to_positive_min=None), Tube(time_to_positive_min=18.0))
        if at_c is not None:
            reader.speed = 60
            await reader.wait_for(lambda: world.heater.sensor_c >= at_c - 0.1, 90, f"{at_c} degrees")
        reader.circuit.advance()
        break_it(world)
        began_s = reader.circuit.clock.seconds
        screen = await hands.outcome(60, 120)
        assert "ERROR" in screen
        assert "Heater" in screen
        assert reader.circuit.duty(reader.board.HEATER) == 0
        assert watched.off_s is not None
        assert watched.off_s - began_s <= within_s
        assert watched.block_c <= highest_c
        records = await hands.records()
    assert results(records) == [(wire.OUTCOME_ERROR, outcome.HEATER_FAULT)]
    assert events(records, wire.EVENT_FAULT)[0][0] == detail
