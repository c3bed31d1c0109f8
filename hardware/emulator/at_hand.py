"""A reader as a behaviour test has it: hands that use it, eyes that watch its screen. On the bench or on a board.

`EmulatedReader` is one; `emulator.board_reader.BoardReader` is another, a board at a serial port with a jig for hands.
"""

from collections.abc import Callable
from typing import Protocol


class ReaderAtHand(Protocol):
    """What a test that runs on a board too may use."""

    async def press(self, button: str, ms: int = 80) -> None:
        """Press button "A" or "B" for `ms` of the reader's milliseconds."""
        ...

    def scan(self, text: str | bytes) -> None:
        """Hold a code before the scanner."""
        ...

    def open_lid(self) -> None:
        """Open the lid."""
        ...

    def close_lid(self) -> None:
        """Close the lid."""
        ...

    def screen_text(self) -> str:
        """What the display says, as up to eight lines of text."""
        ...

    async def wait_for(self, predicate: Callable[[], bool], timeout: float = 10, what: str = "") -> None:
        """Wait until `predicate()` holds; ReaderError when it does not within `timeout` seconds."""
        ...

    async def wait_for_text(self, text: str, timeout: float = 10) -> None:
        """Wait until the display shows `text`; ReaderError when it does not."""
        ...


class Jig(Protocol):
    """Hands for a board that has none: what drives its inputs. docs/jig.md says how one is wired."""

    def press(self, button: str, down: bool) -> None:
        """Hold button "A" or "B" down, or let it go."""
        ...

    def lid(self, opened: bool) -> None:
        """Open or close the lid switch."""
        ...

    def scan(self, data: bytes) -> None:
        """Send bytes on the scanner's line."""
        ...
