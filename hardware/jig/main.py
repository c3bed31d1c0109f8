"""Hands for a reader's board: runs on a second microcontroller, a Raspberry Pi Pico with MicroPython (docs/jig.md).

Commands come a line each over its USB: `A 1` holds button A down, `A 0` lets it go, likewise B; `L 1` opens the lid;
`T 1` fills the tray; `S hex` sends bytes as the scanner would; `0` lets everything go; `?` asks whether it is there.
The answer is `ok`, or `what` to anything else.
"""

import sys
from binascii import unhexlify

from machine import UART, Pin

# Open drain: the jig pulls a line low or lets it go, and the board's own pull-up makes it high.
_LINES = {name: Pin(number, Pin.OPEN_DRAIN) for name, number in (("A", 2), ("B", 3), ("L", 4), ("T", 5))}
_LOW_WHEN = {"A": "1", "B": "1", "L": "0", "T": "1"}  # the lid's switch is closed, and low, while the lid is
_scanner = UART(0, 9600, tx=Pin(0), rx=Pin(1))


def let_go():
    """No button pressed, the lid closed, the tray empty."""
    for name in _LINES:
        _LINES[name].value(0 if name == "L" else 1)


def take(line):
    """Do what one line says; True when it says something."""
    words = line.split()
    if words == ["0"]:
        let_go()
    elif len(words) == 2 and words[0] in _LINES and words[1] in ("0", "1"):
        _LINES[words[0]].value(0 if words[1] == _LOW_WHEN[words[0]] else 1)
    elif len(words) == 2 and words[0] == "S":
        try:
            _scanner.write(unhexlify(words[1]))
        except ValueError:
            return False
    else:
        return words == ["?"]
    return True


let_go()
while True:
    said = sys.stdin.readline()
    if not said:
        break
    print("ok" if take(said) else "what")
