"""The computer's end of the jig: a second microcontroller that presses a board's buttons (hardware/jig/main.py)."""

from typing import Self

from serial import Serial

_SILENT_S = 3.0
_BAUD = 115_200


class JigError(Exception):
    """The jig did not do what it was told; the sentence says what to look at."""


class SerialJig:
    """`with SerialJig(port) as jig:` A `Jig`. A line goes out, `ok` comes back."""

    def __init__(self, port: str) -> None:
        self._serial = Serial(port, _BAUD, timeout=_SILENT_S)
        self._ask("?")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ask("0")
        self._serial.close()

    def press(self, button: str, down: bool) -> None:
        """Hold button "A" or "B" down, or let it go."""
        self._ask(f"{button} {int(down)}")

    def lid(self, opened: bool) -> None:
        """Open or close the lid switch."""
        self._ask(f"L {int(opened)}")

    def tray(self, full: bool) -> None:
        """Put something into the tray's switch, or take it out."""
        self._ask(f"T {int(full)}")

    def scan(self, data: bytes) -> None:
        """Send bytes on the scanner's line."""
        self._ask(f"S {data.hex()}")

    def _ask(self, line: str) -> None:
        self._serial.write(line.encode() + b"\n")
        while said := self._serial.readline():
            if said.strip() == b"ok":
                return
            if said.strip() == b"what":
                break
        raise JigError(f"The jig did not take {line.split()[0]!r}. Look at its cable; hardware/jig must run on it.")
