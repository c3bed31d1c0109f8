"""The steps that need nobody. Each is a few lines that run on the board, with the reader's own drivers
(`reader.parts`), and print what they measured; what that means is decided here.

Limits are those of the reader's self-check (`reader.checks`) where it has one; a test holds them together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from emulator import wiring
from emulator.production.lines import Line, Verdict, true, within
from emulator.provision.application import BLOCK, JOURNAL_BLOCKS

PINS = wiring.load()

DARK_LIMIT = 6553  # 16-bit scale: reader.checks._DARK_LIMIT
LIT_LIMIT = 650  # reader.checks._LIT_LIMIT
FREE_MIN = 24_000  # bytes: reader.checks._FREE_MIN
WARM_C = 40.0  # reader.checks._WARM_CC: hotter than this, so small a step is not to be told
_ROOM_KB = JOURNAL_BLOCKS * BLOCK // 1024
_PULSE_MS, _SPREAD_MS, _WATCH_MS = 6000, 3000, 5000  # a second at full power warms the block by a third of a degree

# Said once. The firmware that was interrupted left its watchdog running: every step begins by feeding it.
SET_UP = f"""
import asyncio, gc, os, time
from array import array
import machine
from machine import I2C, Pin, UART
_watchdog = machine.WDT(timeout=30000)
from reader import checks
from reader.parts import Parts
from reader.drivers.scanner import Scanner
parts = Parts()
parts.dark()
line = UART({PINS.SCANNER_UART}, {PINS.SCANNER_BAUD}, tx={PINS.SCANNER_TX}, rx={PINS.SCANNER_RX}, rxbuf=256)
scanner = Scanner(line)
bus = I2C(0, scl=Pin({PINS.I2C_SCL}), sda=Pin({PINS.I2C_SDA}), freq=400000)
def level(lamp):
    sums = array('I', bytes(4 * 128))
    parts.array.flush()
    if lamp:
        lamp.on()
    time.sleep_ms(12)
    if lamp:
        lamp.off()
    parts.array.read_into(sums)
    return sum(sums) // 128
def present(ask):
    try:
        return ask()
    except OSError:
        return False
def kelvin():
    return parts.ntc.read() / 100
"""
FEED = "_watchdog.feed()\n"
ALL_OFF = "parts.dark()\n"


@dataclass(frozen=True, slots=True)
class Step:
    """`code` prints one literal; `judge` makes lines of it. `what` and `fix` are for when it raises on the board."""

    what: str
    code: str
    judge: Callable[[Any], Iterator[Line]]
    fix: str


def _bus(found: list[int]) -> Iterator[Line]:
    for address, what, fix in (
        (PINS.I2C_OLED, "OLED", "Look at the display's connector."),
        (PINS.I2C_MUX, "I2C multiplexer TCA9548A", "Look at its solder joints, and at its reset line."),
        (
            PINS.I2C_GAUGE,
            "Fuel gauge MAX17048",
            "Look at its solder joints, and that a cell is connected.",
        ),
        (PINS.I2C_RTC, "Clock PCF8563", "Look at its solder joints."),
    ):
        yield true(f"{what} answers at 0x{address:02X}", address in found, fix)


def _spectral(found: list[tuple[bool, bool]]) -> Iterator[Line]:
    for (selected, present), well, channel in zip(
        found, ("sample", "control"), (PINS.MUX_SAMPLE, PINS.MUX_CONTROL), strict=True
    ):
        yield true(f"Multiplexer joins channel {channel}", selected, "Replace the TCA9548A, or look at its joints.")
        yield true(
            f"AS7341 of the {well} well answers behind channel {channel}",
            present,
            f"Look at the {well} well's sensor board, its cable and its solder joints.",
        )


def _array(found: tuple[bool, int, int]) -> Iterator[Line]:
    closed, dark, lit = found
    yield true("Lid is closed", closed, "Close the lid; if it is closed, look at the lid switch and its magnet.")
    yield within(
        "Linear array in the dark", dark, "of 65535", 0, DARK_LIMIT, "Look for light that leaks in, and at AO and SI."
    )
    yield within(
        "Linear array with the lamp on an empty tray, above the dark",
        lit - dark,
        "of 65535",
        LIT_LIMIT,
        None,
        "Look at the strip lamp and its driver, and at CLK of the array.",
    )


def _thermistor(found: tuple[float, float]) -> Iterator[Line]:
    mean, spread = found
    fix = "Look at the thermistor's two wires and at its 10 kohm resistor, and let the block cool to the room."
    yield within("Heater block, by its thermistor", mean, "°C", 5, WARM_C, fix)
    yield within("Thermistor's noise, of eight readings", spread, "°C", None, 0.6, "Look at the thermistor's wires.")


def _cutout(opened: int) -> Iterator[Line]:
    yield true(
        "Thermal cut-out is closed",
        not opened,
        "Let the block cool below 60 °C; if it is cold, look at the cut-out and its line.",
    )


def _heater(found: tuple[float, float, float, float] | None) -> Iterator[Line]:
    what = "Heater warms the block in 6 s at full power"
    if found is None:
        yield within(what, None, "°C", 0.8, 6, "Let the block cool below 40 °C, and run this again.")
        return
    before, resting, warmed, later = found
    yield within("Block while the heater is off, in 2 s", round(resting - before, 2), "°C", None, 0.12, _STICKS)
    yield within(what, round(warmed - resting, 2), "°C", 0.8, 6, "Look at the heater film and its MOSFET.")
    yield within("Block 5 s after the heater stopped", round(later - warmed, 2), "°C", None, 0.3, _STICKS)


_STICKS = "The heater does not stop: take the power away, and replace its MOSFET."


def _gauge(found: tuple[int, int]) -> Iterator[Line]:
    millivolts, percent = found
    yield within("Cell", millivolts, "mV", 3300, 4250, "Charge the cell, or look at its connector.")
    yield within("Charge, by the fuel gauge", percent, "%", 10, 100, "Charge the cell.")


def _clock(found: tuple[int, int]) -> Iterator[Line]:
    yield true("Clock chip ticks", found[0] != found[1], "Look at the 32.768 kHz crystal of the PCF8563.")


def _scanner(found: bytes) -> Iterator[Line]:
    yield true(
        "Scanner answers a command",
        found.startswith(b"\x02\x00\x00"),
        "Look at the scanner's cable; set it to 9600 baud by its manual.",
    )


def _switches(found: tuple[int, int]) -> Iterator[Line]:
    for name, level in zip("AB", found, strict=True):
        yield true(f"Button {name} is not pressed", bool(level), f"Look at button {name}: its line is low.")


def _radio(found: str) -> Iterator[Line]:
    verdict = Verdict.PASS if found.strip("0:") else Verdict.FAIL
    yield Line("Radio advertises; its address", found, "", None, None, verdict, "Write MicroPython anew.")


def _storage(found: tuple[int, int, int]) -> Iterator[Line]:
    free, heap, damaged = found
    yield within("Flash that is free", free // 1024, "KB", _ROOM_KB, None, "Let a hub collect it.")
    yield within("Memory that is free", heap // 1024, "KB", FREE_MIN // 1024, None, "Flash the SPIRAM_OCT build.")
    yield within("The firmware's own self-check", damaged, "", 0, 0, "Look at what else failed here.")


STEPS = (
    Step(
        "I2C bus",
        "parts.mux.none() if present(parts.mux.selected) is not False else None\nprint(bus.scan())",
        _bus,
        "Look at SDA and SCL and their pull-ups: a part may hold the bus.",
    ),
    Step(
        "Spectral sensors",
        "found = []\n"
        f"for channel in ({PINS.MUX_SAMPLE}, {PINS.MUX_CONTROL}):\n"
        "    joined = present(lambda: parts.mux.select(channel) or parts.mux.selected() == 1 << channel)\n"
        "    found.append((joined, present(parts.spectral.present)))\n"
        "present(parts.mux.none)\nprint(found)",
        _spectral,
        "Look at the multiplexer.",
    ),
    Step(
        "Linear array",
        "print((parts.buttons.lid_closed, level(None), level(parts.strip_lamp)))",
        _array,
        "Look at the array's connector.",
    ),
    Step(
        "Thermistor",
        "found = [kelvin() for _ in range(8)]\nprint((round(sum(found) / 8, 2), round(max(found) - min(found), 2)))",
        _thermistor,
        "Look at the thermistor's two wires and at its 10 kohm resistor.",
    ),
    Step("Thermal cut-out", "print(parts.cutout.value())", _cutout, "Look at the cut-out's line."),
    Step(
        "Heater",
        "before = kelvin()\ntime.sleep_ms(2000)\nresting = kelvin()\nfound = None\n"
        f"if resting < {WARM_C} and not parts.cutout.value():\n"
        "    try:\n"
        "        parts.heater.pulse(True)\n"
        f"        time.sleep_ms({_PULSE_MS})\n"
        "    finally:\n"
        "        parts.heater.pulse(False)\n"
        f"    time.sleep_ms({_SPREAD_MS})\n"
        "    warmed = kelvin()\n"
        f"    time.sleep_ms({_WATCH_MS})\n"
        "    found = (before, resting, warmed, kelvin())\nprint(found)",
        _heater,
        "Look at the thermistor first: without it the heater is not tried.",
    ),
    Step("Fuel gauge", "print((parts.gauge.millivolts(), parts.gauge.percent()))", _gauge, "Look at the fuel gauge."),
    Step(
        "Clock",
        f"read = lambda: bus.readfrom_mem({PINS.I2C_RTC}, 2, 1)[0] & 0x7F\n"
        "first = read()\ntime.sleep_ms(1500)\nprint((first, read()))",
        _clock,
        "Look at the clock chip.",
    ),
    Step(
        "Scanner",
        "scanner.discard()\nscanner.sleep(False)\ntime.sleep_ms(300)\nprint(line.read() or b'')",
        _scanner,
        "Look at the scanner's cable.",
    ),
    Step(
        "Buttons",
        f"print((Pin({PINS.BUTTON_A}).value(), Pin({PINS.BUTTON_B}).value()))",
        _switches,
        "Look at the buttons.",
    ),
    Step(
        "Radio",
        "import bluetooth\nble = bluetooth.BLE()\nble.active(True)\n"
        "ble.gap_advertise(250000, adv_data=b'\\x02\\x01\\x06')\ntime.sleep_ms(300)\nmac = ble.config('mac')\n"
        "ble.gap_advertise(None)\nble.active(False)\nprint(repr(':'.join('%02X' % byte for byte in mac[1])))",
        _radio,
        "Write MicroPython anew: doorstep reader flash.",
    ),
    Step(
        "Storage and memory",
        "state = os.statvfs('/')\ngc.collect()\n"
        "print((state[0] * state[3], gc.mem_free(), checks.amplification(parts) | checks.strip(parts)))",
        _storage,
        "Write the application anew: doorstep reader deploy.",
    ),
)
