"""Every check passes on the circuit, and says so when a copy is broken in the way that it is for."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from circuit import budget, outputs, s3
from circuit.catalogue import CATALOGUE
from circuit.catalogue.module import PADS
from circuit.device import Load
from circuit.netlist import Netlist
from emulator import physics

Break = Callable[[Netlist], Netlist]


def test_nothing_is_wrong_with_the_circuit(netlist):
    assert [str(finding) for finding in outputs.check(netlist)] == []


def joined(netlist: Netlist, one: str, other: str) -> Netlist:
    """A copy with two nets made one, as a bridge of solder does."""
    nets = dict(netlist.nets)
    nets[one] = nets[one] | nets.pop(other)
    return replace(netlist, nets=nets)


def doubled(netlist: Netlist) -> Netlist:
    """A copy in which a pin is on two nets."""
    return replace(netlist, nets={**netlist.nets, "3V3": netlist.nets["3V3"] | {("U8", "4")}})


BROKEN: dict[str, tuple[Break, str, str]] = {
    # electrical
    "a pin on two nets": (doubled, "once", "U8 pin 4"),
    "a pin that is on none": (lambda n: n.moved("U13", "AO", "x").without("x"), "loose end", "x"),
    "an open pin that may not be": (lambda n: n.moved("U9", "OSCI", "unconnected-(U9-Pad1)"), "once", "U9 pin 1"),
    "a net with one end": (lambda n: n.without("R13").without("TP2"), "loose end", "BOOT"),
    "two drivers": (lambda n: joined(n, "SCANNER_RX", "ARRAY_AO"), "drivers", "SCANNER_RX"),
    "a short between rails": (lambda n: joined(n, "3V3", "1V8"), "drivers", "3V3"),
    "inputs that hear nothing": (lambda n: n.without("R12").without("C17").without("TP1"), "loose end", "CHIP_EN"),
    "gates that hear nothing": (lambda n: n.moved("U3", "OD", "GUARD_CS"), "driven", "GUARD_OD"),
    "a supply on no rail": (lambda n: n.moved("U13", "VDD", "ARRAY_SI"), "supply", "U13 VDD"),
    "a rail that nothing feeds": (lambda n: n.without("F2"), "supply", "U4 VDD"),
    "a protection without supply": (lambda n: n.without("R6"), "supply", "U3 VCC"),
    "3.3 V on a part for 1.8 V": (lambda n: n.moved("U11", "VDD", "3V3"), "volts", "U11 AS7341-DLGT VDD"),
    "a light that 5 V makes deaf": (lambda n: n.moved("U8", "3V3", "5V"), "volts", "U8"),
    "no capacitor": (lambda n: n.without("C19").without("C20").without("C21"), "decoupling", "U10 VCC"),
    "a wire without a connector": (lambda n: n.moved("J3", "4", "unconnected-(J3-Pad4)"), "wires", "HT1 2"),
    # this board
    "the cut-out bridged": (lambda n: n.moved("HT1", "1", "5V"), "heat", "5V"),
    "the heater past the cut-out's wire": (lambda n: joined(n, "5V", "HEAT_FEED"), "heat", "5V"),
    "no cut-out": (lambda n: n.without("TC1"), "heat", "cut-out or heater"),
    "a heater that stays on in reset": (lambda n: n.without("R26"), "off", "Q4"),
    "CC lines together": (lambda n: joined(n, "USB_CC1", "USB_CC2"), "usb", "J1"),
    "no CC resistor": (lambda n: n.without("R2"), "usb", "USB_CC2"),
    "the wrong CC resistor": (lambda n: n.swapped("R2", "RC0603FR-0710KL"), "usb", "USB_CC2"),
    "a charger that takes too much": (lambda n: n.moved("U2", "EN2", "VSYS"), "usb", "U2"),
    "a charger blind to the cell": (lambda n: n.moved("U2", "TS", "GND"), "usb", "U2"),
    "no protection": (lambda n: n.without("U3"), "cell", "protection"),
    "a cell past its protection": (lambda n: joined(n, "GND", "CELL-"), "cell", "BT1"),
    "a button without ESD": (lambda n: n.moved("U14", "IO1", "unconnected-(U14-Pad1)"), "esd", "BUTTON_A"),
    "USB without ESD": (lambda n: n.without("U1"), "esd", "USB_DP"),
    "a strap in use": (lambda n: n.moved("U8", "IO45", "LID"), "straps", "GPIO 45"),
    "a strap without its resistor": (lambda n: n.without("R13"), "straps", "GPIO 0"),
    "USB elsewhere": (lambda n: n.moved("U8", "IO19", "LID"), "straps", "GPIO 19"),
    "a module that does not start": (lambda n: n.without("R12"), "straps", "EN"),
    "both spectral sensors on a channel": (
        lambda n: n.moved("U12", "SDA", "SAMPLE_SDA").moved("U12", "SCL", "SAMPLE_SCL"), "addresses", "0x39",
    ),
    "a spectral sensor on the bus and one behind": (
        lambda n: n.moved("U12", "SDA", "I2C_SDA").moved("U12", "SCL", "I2C_SCL"), "addresses", "0x39",
    ),
    "a clock line without pull-up": (lambda n: n.without("R15"), "bus", "I2C_SCL"),
    "a slow line": (lambda n: n.swapped("R14", "RC0603FR-0710KL"), "bus", "I2C_SDA"),
    "a line too stiff": (lambda n: n.swapped("R14", "RC0603FR-07360RL"), "bus", "I2C_SDA"),
    "a channel pulled to two rails": (lambda n: n.moved("R14", "2", "SAMPLE_SDA"), "bus", "SAMPLE_SDA"),
    # firmware pins
    "a firmware pin without a GPIO": (lambda n: n.moved("U8", "IO18", "unconnected-(U8-Pad11)"), "pins", "BUZZER"),
    "a firmware pin on two": (lambda n: n.moved("U8", "IO10", "BUZZER"), "pins", "BUZZER"),
    "an analogue input on ADC2": (
        lambda n: n.moved("U8", "IO5", "unconnected-(U8-Pad5)").moved("U8", "IO13", "NTC"), "pins", "NTC",
    ),
    "a pin of the PSRAM": (
        lambda n: n.moved("U8", "IO21", "unconnected-(U8-Pad23)").moved("U8", "IO35", "LID"), "pins", "LID",
    ),
    "a pin that is a strap": (
        lambda n: n.moved("U8", "IO21", "unconnected-(U8-Pad23)").moved("U8", "IO3", "LID"), "pins", "LID",
    ),
    # budget
    "one pair of protection switches": (lambda n: n.without("Q2"), "budget", "the cell's protection"),
    "a charger without its resistor": (lambda n: n.without("R4"), "budget", "charger"),
    "too much charge": (lambda n: n.swapped("R4", "RC0603FR-07100RL"), "budget", "charger"),
    "the heater on a signal": (lambda n: n.moved("HT1", "1", "ARRAY_SI"), "budget", "loads"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_copy_is_found(netlist, what):
    change, check, where = BROKEN[what]
    found = outputs.check(change(netlist))
    assert any(each.check == check and each.where.startswith(where) for each in found), [str(each) for each in found]


def test_the_table_of_the_module_knows_every_gpio():
    assert sorted(PADS.values()) == [*range(22), *range(35, 49)]
    assert {gpio: gpio - 1 for gpio in range(1, 11)} == s3.ADC1
    refused = {gpio for gpio in range(49) if s3.complaint(gpio, analogue=False) is not None}
    assert refused == {0, 3, 19, 20, *range(22, 38), 43, 44, 45, 46}
    assert {gpio for gpio in range(49) if s3.complaint(gpio, analogue=True) is None} == {1, 2, 4, 5, 6, 7, 8, 9, 10}


def limited(mpn: str, limit_ma: float):
    device = CATALOGUE[mpn]
    if device.converter is not None:
        return replace(device, converter=replace(device.converter, limit_ma=limit_ma))
    return replace(device, limit_ma=limit_ma)


@pytest.mark.parametrize(
    ("mpn", "limit_ma"),
    [
        ("TLV70018DDCR", 0.5),
        ("TPS63802DLAR", 500),
        ("TPS61023DRLR", 800),
        ("BQ24074RGTR", 2000),
        ("INR18650-30Q pack", 2000),
        ("B3B-XH-A(LF)(SN)", 2000),
        ("0466004.NRHF", 2000),
        ("1206L110THYR", 400),
        ("KSD9700-85 NC", 700),
        ("1N4148WS", 40),
    ],
)
def test_what_bears_less_than_the_worst_case_is_found(netlist, monkeypatch, mpn, limit_ma):
    monkeypatch.setitem(CATALOGUE, mpn, limited(mpn, limit_ma))
    (found,) = (each for each in budget.check(netlist) if mpn in each.where)
    assert f"bears {limit_ma:.0f} mA" in found.what


def test_a_heater_that_usb_cannot_hold_at_its_temperature_is_found(netlist, monkeypatch):
    (heater,) = (device for device in CATALOGUE.values() if device.mpn.startswith("doorstep-heater"))
    hungry = replace(heater, load=Load(0.0, 6.3, (0.0, 0.6, 1.0)))
    monkeypatch.setitem(CATALOGUE, heater.mpn, hungry)
    assert any(each.where == "USB" for each in budget.check(netlist))


def test_the_budget_sees_the_currents_that_the_resistors_set(netlist):
    rows = {row.ref: row for row in budget.loads(netlist)}
    assert rows["D7"].ma[2] == pytest.approx(1000 * (5.0 - 3.0) / 360)
    assert rows["HT1"].ma[2] == pytest.approx(1000 * 5.0 / 6.3)
    brighter = {row.ref: row for row in budget.loads(netlist.swapped("R42", "RC0603FR-07100RL"))}
    assert brighter["D7"].ma[2] == pytest.approx(1000 * (5.0 - 3.0) / 100)


def test_a_charge_lasts_as_long_as_the_reader_counts_on(netlist):
    """The firmware refuses an amplification of 45 minutes under 30 % (reader.power)."""
    resting, typical, worst = budget.hours(netlist)
    assert resting > typical > worst
    assert typical * 0.25 > 0.75, "45 minutes out of the quarter between 30 % and where it gives up"


def test_the_bench_and_the_board_agree_on_heater_cut_out_and_cell(netlist):
    world = physics.Heater()
    (part,) = (part for part in netlist.parts if part.ref == "HT1")
    assert part.device.load is not None
    assert (part.device.load.ohms, budget.CELL_MAH) == (world.resistance_ohm, physics.Battery().capacity_mah)
    assert f"{world.cutout_c:.0f} degrees" in netlist.by_ref["TC1"].device.what
    assert world.supply_v == netlist.by_ref["U7"].device.converter.volts  # type: ignore[union-attr]
