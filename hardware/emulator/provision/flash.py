"""`doorstep reader flash`: MicroPython itself into a board, from a file that the person has."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from emulator.provision.stop import FAILED, USAGE, stop


def flash(
    port: Annotated[str, typer.Option("--port", help="Where the board is, such as /dev/ttyACM0 or COM5.")],
    micropython: Annotated[
        Path, typer.Option("--micropython", metavar="FILE.bin", help="MicroPython 1.29, ESP32_GENERIC_S3, SPIRAM_OCT.")
    ],
    sha256: Annotated[str, typer.Option("--sha256", metavar="HEX", help="What its SHA-256 has to be.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="The board is a reader already: erase its identity.")] = (
        False
    ),
    baud: Annotated[int, typer.Option("--baud", help="Of a board with a serial chip; USB has none.", min=9600)] = (
        460_800
    ),
) -> None:
    """Erase the board at PORT and write MicroPython to it.

    Nothing is fetched: download the file from micropython.org, and compare its SHA-256 with what is said there. A board
    that is a reader with results that no receipt covers is never erased.
    """
    from emulator.provision import micropython as files
    from emulator.provision.board import BoardError
    from emulator.provision.chip import Chip

    try:
        image = files.read(micropython, sha256 or None)
    except OSError as error:
        stop(f"{micropython} cannot be read: {error.strerror}.", USAGE)
    except files.WrongFile as error:
        stop(str(error), USAGE)
    if not sha256:
        print(f"SHA-256 of {micropython.name}: {image.sha256}", file=sys.stderr)
    try:
        chip = Chip(port, baud)
        known = _may_be_erased(port, replace)
        chip.check()
        if not known and chip.holds_files():
            raise BoardError(
                "This board holds files, and no MicroPython answers that could tell whether they are a reader's "
                "results. Nothing was changed. It needs service: docs/operations.md, Flashing."
            )
        chip.write(image.content)
    except BoardError as error:
        stop(str(error), FAILED)
    print(f"MicroPython is on the board. Set it up with: doorstep reader provision --port {port}", file=sys.stderr)


def _may_be_erased(port: str, replace: bool) -> bool:
    """Whether the MicroPython on the board told that nothing on it is owed. BoardError when something is."""
    from emulator.provision.board import Board, NobodyAnswers
    from emulator.provision.guard import may_be_emptied

    try:
        with Board(port) as board:
            found = board.look()
            may_be_emptied(board, found, replace)
            return found.mounted
    except NobodyAnswers:
        return False
