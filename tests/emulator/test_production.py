"""`doorstep reader check` on an emulated reader at a serial port: each fault is named with its part."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from emulator.bench import Bench
from emulator.cable import Cable
from emulator.physics import EMPTY_TRAY
from emulator.production import people, steps
from emulator.production.lines import Verdict
from emulator.production.run import check
from emulator.provision import deploy, image
from emulator.provision.board import Board
from emulator.wiring import FIRMWARE

DOORSTEP = Path(sys.executable).with_name("doorstep")
SPEED = 20


@pytest.fixture(scope="module")
def flash(tmp_path_factory):
    """The flash of a board that is set up: a function that makes a copy of it."""
    path = tmp_path_factory.mktemp("flash") / "flash.bin"

    async def write():
        async with Bench() as bench:
            reader = await bench.add_reader(flash=path, start=False)
            await reader.write_files(image.with_identity(image.files(), bytes(8), bytes(32), 0, "Seven"))

    asyncio.run(write())
    return path


@pytest_asyncio.fixture
async def board(bench, flash, tmp_path):
    """An emulated reader whose prompt is at a serial port: (reader, port)."""
    (tmp_path / "flash.bin").write_bytes(flash.read_bytes())
    with Cable() as cable:
        reader = await bench.add_reader(
            flash=tmp_path / "flash.bin", terminal=cable.terminal, heap="1M", speed=SPEED, heap_sample_s=None
        )
        yield reader, cable.port
        await reader.cut_power()


async def run(port, person=None):
    """Every line of the production test."""

    def lines():
        with Board(port) as there:
            return list(check(there, person))

    return await asyncio.to_thread(lines)


def failures(lines):
    return [line.what for line in lines if line.verdict is Verdict.FAIL]


async def test_a_board_without_fault_passes_with_every_figure_and_its_limits(board):
    _, port = board
    lines = await run(port)
    assert failures(lines) == []
    measured = {line.what: line for line in lines if line.low is not None or line.high is not None}
    assert measured["Heater block, by its thermistor"].value == pytest.approx(22, abs=1)
    assert 0.8 < measured["Heater warms the block in 6 s at full power"].value < 6
    assert measured["Cell"].unit == "mV"
    looked_at = " ".join(line.what for line in lines)
    for part in ("OLED", "TCA9548A", "MAX17048", "PCF8563", "sample well", "control well", "Scanner", "Radio", "Flash"):
        assert part in looked_at
    assert {line.what for line in lines if line.verdict is Verdict.SKIPPED} == {what for what, _ in people._ASKED}


def _no_answer(reader):
    reader.circuit.scanner.receive = lambda data: None


def _stopped_clock(reader):
    reader.circuit.rtc.fetched = lambda register: 0x12


FAULTS = {
    "a sensor is missing": (
        lambda reader: reader.circuit.mux.channels[1].absent.add(steps.PINS.I2C_SPECTRAL),
        {"AS7341 of the control well answers behind channel 1"},
    ),
    "the multiplexer is missing": (
        lambda reader: reader.circuit.bus.absent.add(steps.PINS.I2C_MUX),
        {"I2C multiplexer TCA9548A answers at 0x70", "Multiplexer joins channel 0"},
    ),
    "the display is missing": (
        lambda reader: reader.circuit.bus.absent.add(steps.PINS.I2C_OLED),
        {"OLED answers at 0x3C"},
    ),
    "the fuel gauge is missing": (
        lambda reader: reader.circuit.bus.absent.add(steps.PINS.I2C_GAUGE),
        {"Fuel gauge MAX17048 answers at 0x36", "Fuel gauge"},
    ),
    "the clock stands": (_stopped_clock, {"Clock chip ticks"}),
    "the thermistor is open": (
        lambda reader: setattr(reader.circuit.world.thermistor, "fault", "open"),
        {"Thermistor", "Heater"},
    ),
    "the thermistor is stuck": (
        lambda reader: setattr(reader.circuit.world.thermistor, "fault", "loose"),
        {"Heater warms the block in 6 s at full power"},
    ),
    "the heater is not connected": (
        lambda reader: setattr(reader.circuit.world.heater, "open_circuit", True),
        {"Heater warms the block in 6 s at full power"},
    ),
    "the heater sticks": (
        lambda reader: setattr(reader.circuit.world.heater, "stuck_on", True),
        {"Block 5 s after the heater stopped"},
    ),
    "the lamp is dead": (
        lambda reader: setattr(reader.circuit.world, "strip_lamp_dead", True),
        {"Linear array with the lamp on an empty tray, above the dark"},
    ),
    "the lid is open": (lambda reader: reader.open_lid(), {"Lid is closed"}),
    "the scanner is silent": (_no_answer, {"Scanner answers a command"}),
    "a button is held down": (
        lambda reader: reader.circuit.set_input(steps.PINS.BUTTON_B, 0),
        {"Button B is not pressed"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_named_with_the_part_and_what_to_do(board, fault):
    reader, port = board
    inject, expected = FAULTS[fault]
    inject(reader)
    lines = await run(port)
    assert expected <= set(failures(lines)), failures(lines)
    assert all(line.fix for line in lines if line.verdict is Verdict.FAIL)
    assert reader.circuit.duty(steps.PINS.HEATER) == 0, "whatever failed, the heater is off"


async def test_at_the_prompt_the_watchdog_of_a_reader_is_fed(board):
    """What `doorstep reader repl` leaves behind: two minutes at the prompt, of a watchdog that bites after 30 s."""
    reader, port = board

    def wait():
        with Board(port) as there:
            there.run("import machine\nmachine.WDT(timeout=30000)")
            there.run(deploy._KEEP_AWAKE)
            there.run("import time\ntime.sleep(120)", 60)

    await asyncio.to_thread(wait)
    assert reader.boots == 1


class Hands:
    """A person who does what is asked, on the bench; or does not."""

    def __init__(self, reader, loop, *, willing=True):
        self._reader, self._loop, self._willing = reader, loop, willing
        self.seen = []
        self._busy = None

    def do(self, request):
        self._rest()
        if self._willing:
            asyncio.run_coroutine_threadsafe(self._obey(request), self._loop).result(30)

    def begin(self, request):
        self._rest()
        if self._willing:
            self._busy = asyncio.run_coroutine_threadsafe(self._until_it_is_seen(request), self._loop)

    def sees(self, question):
        self._rest()
        self.seen.append((self._reader.circuit.display.pixels(), self._reader.status_led))
        return self._willing

    def _rest(self):
        if self._busy is not None:
            self._busy.cancel()
            self._busy = None

    async def _until_it_is_seen(self, request):
        """Again and again: the board may not wait yet, and goes on to something else when it has seen it."""
        while True:
            await asyncio.sleep(0.1)
            await self._obey(request)

    async def _obey(self, request):
        reader = self._reader
        if request.startswith("Press button"):
            button = request.split()[2]
            pin = {"A": steps.PINS.BUTTON_A, "B": steps.PINS.BUTTON_B}[button]
            try:
                reader.circuit.set_input(pin, 0)
                await asyncio.sleep(0.05)
            finally:
                reader.circuit.set_input(pin, 1)
        elif request.startswith("Open the lid"):
            reader.open_lid()
        elif request.startswith("Put the white card"):
            reader.circuit.world.strip = _Card()
            reader.close_lid()
        elif request.startswith("Hold any code"):
            reader.scan("0104012345678901")


class _Card:
    """A white one in the place of a strip."""

    def reflectance(self):
        return [1.0] * len(EMPTY_TRAY)


async def test_what_only_a_person_can_do_is_asked_for_and_measured(board, monkeypatch):
    reader, port = board
    reader.speed = 1
    hands = Hands(reader, asyncio.get_running_loop())
    try:
        lines = await run(port, hands)
    finally:
        hands._rest()
    assert failures(lines) == []
    assert not [line for line in lines if line.verdict is Verdict.SKIPPED]
    pixels, light = hands.seen[0]
    assert len(pixels)
    assert light == (40, 40, 40)
    assert reader.circuit.beeps
    assert reader.status_led == (0, 0, 0), "and put out again"


async def test_a_person_who_sees_and_presses_nothing_fails_what_was_asked(board):
    reader, port = board
    lines = await run(port, Hands(reader, asyncio.get_running_loop(), willing=False))
    asked = {"Button A", "Button B", "Lid switch", "Display shows every point", "Buzzer", "Scanner reads a code"}
    assert asked <= set(failures(lines))


async def command(port, *options):
    process = await asyncio.create_subprocess_exec(
        DOORSTEP, "reader", "check", "--port", port, "--no-person", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), err.decode()


async def test_the_command_says_it_to_a_person_and_to_a_program(board):
    reader, port = board
    status, said, error = await command(port)
    assert status == 0, said + error
    assert said.splitlines()[-1].startswith("PASS, 6 not looked at")
    assert re.search(r"^PASS +Cell: \d+ mV \(limits: from 3300 to 4250\)$", said, re.MULTILINE)
    reader.circuit.mux.channels[0].absent.add(steps.PINS.I2C_SPECTRAL)
    status, said, _ = await command(port, "--json")
    assert status == 1
    told = json.loads(said)
    assert told["passed"] is False
    wrong = [line for line in told["lines"] if line["verdict"] == "fail"]
    assert any("sample well" in line["what"] and line["fix"] for line in wrong)
    assert {line["fix"] for line in told["lines"] if line["verdict"] == "pass"} == {None}


def test_the_limits_are_those_of_the_readers_own_self_check():
    text = (FIRMWARE / "reader/checks.py").read_text()

    def constant(name):
        return int(re.search(rf"^{name} = const\((\d+)\)", text, re.MULTILINE)[1])

    assert constant("_DARK_LIMIT") == steps.DARK_LIMIT
    assert constant("_LIT_LIMIT") == steps.LIT_LIMIT
    assert constant("_FREE_MIN") == steps.FREE_MIN
    assert constant("_WARM_CC") / 100 == steps.WARM_C
