"""The steps that need somebody at the board: what only hands can do and only eyes and ears can tell."""

from collections.abc import Callable, Iterator
from typing import Protocol

from emulator.production.lines import Line, failed, skipped, true, within
from emulator.production.steps import FEED
from emulator.provision.board import Board, Refused

WAIT_S = 20
WHITE_LOW, WHITE_HIGH = 44_000, 62_000  # 16-bit scale, about reader.settings.NOMINAL_WHITE

_PRESSED = (
    "parts.buttons.forget()\n"
    f"end = time.ticks_add(time.ticks_ms(), {WAIT_S} * 1000)\n"
    "got = 0\n"
    "while not got and time.ticks_diff(end, time.ticks_ms()) > 0:\n"
    "    _watchdog.feed()\n"
    "    got = asyncio.run(parts.buttons.wait(500))\n"
    "print(got)"
)
_PICTURE = (
    "from reader.drivers.ssd1306 import SSD1306\n"
    "from neopixel import NeoPixel\n"
    "panel = SSD1306(bus, {oled})\n"
    "panel.buffer[:] = bytes((0xF0,) * 4 + (0x0F,) * 4) * 128\n"
    "panel.start()\n"
    "light = NeoPixel(Pin({light}), 1)\n"
    "light[0] = (40, 40, 40)\n"
    "light.write()\n"
    "time.sleep_ms(1)\n"  # a WS2812 shows what it took after 0.3 ms of silence
    "print(True)"
)
_DARK = "panel.buffer[:] = bytes(1024)\npanel.show()\nlight[0] = (0, 0, 0)\nlight.write()\ntime.sleep_ms(1)"
_SOUND = "asyncio.run(parts.buzzer.play((200, 200, 200)))\nprint(True)"
_SCANNED = (
    "scanner.discard()\n"
    "scanner.trigger()\n"
    f"end = time.ticks_add(time.ticks_ms(), {WAIT_S} * 1000)\n"
    "code = None\n"
    "while code is None and time.ticks_diff(end, time.ticks_ms()) > 0:\n"
    "    _watchdog.feed()\n"
    "    time.sleep_ms(50)\n"
    "    code = scanner.poll()\n"
    "print(repr(code))"
)


class Person(Protocol):
    """Whoever stands at the board."""

    def do(self, request: str) -> None:
        """Ask for something, and return when it is done."""
        ...

    def begin(self, request: str) -> None:
        """Ask for something, and return at once: the board waits for it."""
        ...

    def sees(self, question: str) -> bool:
        """Ask a question to be answered with yes or no."""
        ...


def steps(board: Board, person: Person | None, pins: dict[str, int]) -> Iterator[Line]:
    """A line for each; all skipped where there is nobody. `pins`: OLED and STATUS_LED."""
    for what, ask in _ASKED:
        if person is None:
            yield skipped(what)
            continue
        try:
            yield from ask(board, person, pins)
        except Refused as error:
            yield failed(what, error.last, "Look at what failed above first.")


def _button(name: str, number: int) -> Callable[[Board, Person, dict[str, int]], Iterator[Line]]:
    def ask(board: Board, person: Person, pins: dict[str, int]) -> Iterator[Line]:
        person.begin(f"Press button {name} within {WAIT_S} seconds.")
        got = board.value(FEED + _PRESSED, WAIT_S + 10)
        yield true(f"Button {name}", got == number, f"Look at button {name} and its line to the module.")

    return ask


def _lid(board: Board, person: Person, pins: dict[str, int]) -> Iterator[Line]:
    lid = FEED + "print(parts.buttons.lid_closed)"
    person.do("Open the lid.")
    opened = not board.value(lid)
    person.do("Put the white card into the tray, and close the lid.")
    yield true("Lid switch", opened and bool(board.value(lid)), "Look at the lid switch and at its magnet.")
    white = board.value(FEED + "print(level(parts.strip_lamp))")
    yield within(
        "White card under the lamp",
        white,
        "of 65535",
        WHITE_LOW,
        WHITE_HIGH,
        "Clean the window; look at the lamp.",
    )


def _picture(board: Board, person: Person, pins: dict[str, int]) -> Iterator[Line]:
    board.value(FEED + _PICTURE.format(oled=pins["OLED"], light=pins["STATUS_LED"]))
    whole = person.sees("Is the whole display an even chessboard, without gaps?")
    white = person.sees("Is the small light white?")
    board.run(FEED + _DARK)
    yield true("Display shows every point", whole, "Look at the display's connector, or replace the display.")
    yield true("Status light has all its colours", white, "Replace the WS2812, or look at its line.")


def _sound(board: Board, person: Person, pins: dict[str, int]) -> Iterator[Line]:
    board.value(FEED + _SOUND)
    yield true("Buzzer", person.sees("Did it sound twice?"), "Look at the buzzer and its transistor.")


def _code(board: Board, person: Person, pins: dict[str, int]) -> Iterator[Line]:
    person.begin(f"Hold any code before the scanner within {WAIT_S} seconds.")
    code = board.value(FEED + _SCANNED, WAIT_S + 10)
    yield true("Scanner reads a code", code is not None, "Clean its window; set it to 9600 baud, CR LF, by its manual.")


_ASKED: tuple[tuple[str, Callable[[Board, Person, dict[str, int]], Iterator[Line]]], ...] = (
    ("Button A", _button("A", 1)),
    ("Button B", _button("B", 2)),
    ("Lid switch and white card", _lid),
    ("Display and status light", _picture),
    ("Buzzer", _sound),
    ("Scanner reads a code", _code),
)
