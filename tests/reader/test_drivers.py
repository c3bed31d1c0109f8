"""What drivers make of registers, volts and bytes, in MicroPython, against values worked out another way."""

import datetime
import math
import random

import pytest

from tests.reader.stubs.board_python import run


def test_the_clock_chips_dates_are_the_calendars() -> None:
    days = [random.Random(1).randrange(0, 47000) for _ in range(300)] + [0, 59, 60, 365, 11016, 19782, 47481]
    found = run(
        "from reader.drivers.pcf8563 import date_of, days_of\n"
        f"print(json.dumps([[list(date_of(d)), days_of(*date_of(d))] for d in {days}]))"
    )
    epoch = datetime.date(1970, 1, 1)
    for day, (date, back) in zip(days, found, strict=True):
        assert datetime.date(*date) == epoch + datetime.timedelta(day)
        assert back == day


CHIP = """
from reader.drivers.pcf8563 import PCF8563
class Bus:
    def __init__(self): self.registers = bytearray(16)
    def readfrom_mem_into(self, address, register, data): data[:] = self.registers[register:register + len(data)]
    def writeto_mem(self, address, register, data): self.registers[register:register + len(data)] = data
bus = Bus(); chip = PCF8563(bus, 0x51)
"""


def test_a_clock_that_lost_its_cell_or_holds_no_date_is_not_believed() -> None:
    found = run(
        CHIP + "chip.set(1795262400); said = [chip.read(), bytes(bus.registers[2:9]).hex()]\n"
        "bus.registers[2] |= 0x80; said.append(chip.read()); bus.registers[2] &= 0x7f\n"
        "bus.registers[5] = 0x1A; said.append(chip.read()); bus.registers[5] = 0x00; said.append(chip.read())\n"
        "bus.registers[5] = 1; bus.registers[8] = 0x23; said.append(chip.read())\n"
        "print(json.dumps(said))"
    )
    when = datetime.datetime.fromtimestamp(1795262400, datetime.UTC)
    assert found[0] == 1795262400
    assert found[1][:6] == f"{when:%S%M%H}"
    assert found[2:] == [None, None, None, None]


@pytest.mark.parametrize("celsius", [-10.0, 5.0, 20.0, 37.0, 64.5, 65.0, 65.5, 85.0])
def test_the_thermistor_reads_within_a_twentieth_of_a_degree(celsius: float) -> None:
    ohms = 10_000 * math.exp(3950 * (1 / (celsius + 273.15) - 1 / 298.15))
    microvolts = round(3.3e6 * ohms / (ohms + 10_000))
    found = run(f"from reader.drivers.ntc import centidegrees\nprint(json.dumps(centidegrees({microvolts})))")
    assert abs(found - celsius * 100) <= 5


@pytest.mark.parametrize("microvolts", [0, 65_000, 3_050_000, 3_100_000])
def test_an_open_or_shorted_thermistor_is_an_error(microvolts: int) -> None:
    assert run(
        "from reader.drivers.ntc import centidegrees, NTCError\n"
        f"try:\n    centidegrees({microvolts})\n    print('false')\nexcept NTCError:\n    print('true')"
    )


SCANNER = """
from reader.drivers.scanner import Scanner
class Wire:
    def __init__(self, data): self.data = data
    def any(self): return len(self.data)
    def readinto(self, into):
        n = min(len(into), len(self.data)); into[:n] = self.data[:n]; self.data = self.data[n:]; return n
def codes(data):
    s = Scanner(Wire(data)); found = []
    while True:
        code = s.poll()
        if code is None and not s._uart.any(): return [found, s.dropped]
        if code: found.append(code)
"""


@pytest.mark.parametrize(
    ("data", "codes", "dropped"),
    [
        (b"SPEC-1\r\nOP12\r\n", ["SPEC-1", "OP12"], 0),
        (b"\r\n\r\n", [], 0),
        (b"\x02\x00\x00\x01\x00\x3331"[:6] + b"\x31SPEC-1\r\n", ["SPEC-1"], 0),  # the engine's answer to a trigger
        (b"01020000000000151728123110L\x1d21S\r\n", ["01020000000000151728123110L\x1d21S"], 0),
        (b"x" * 500 + b"\r\nSPEC-1\r\n", ["SPEC-1"], 1),
        (b"SP\xc3\xa9C\r\nSPEC-1\r\n", ["SPEC-1"], 1),
        (b"no end", [], 0),
    ],
)
def test_the_scanner_gives_whole_codes_and_drops_what_is_none(data: bytes, codes: list[str], dropped: int) -> None:
    assert run(SCANNER + f"print(json.dumps(codes({data!r})))") == [codes, dropped]


def test_the_display_gets_only_what_changed_and_all_of_it_after_an_error() -> None:
    sent = run(
        "from reader.drivers.ssd1306 import SSD1306\n"
        "class Bus:\n"
        "    fail = False\n"
        "    def writeto(self, address, data):\n"
        "        if self.fail: raise OSError(19)\n"
        "bus = Bus(); d = SSD1306(bus, 0x3c); d.start(); said = [d.show()]\n"
        "d.buffer[130] = 255; d.buffer[140] = 1; said.append(d.show())\n"
        "bus.fail = True; d.buffer[3] = 1\n"
        "try:\n    d.show()\nexcept OSError:\n    bus.fail = False\n"
        "said.append(d.show())\nprint(json.dumps(said))"
    )
    assert sent == [0, 11, 1024]
