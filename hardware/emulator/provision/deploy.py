"""`doorstep reader deploy` and `doorstep reader repl`: for whoever develops the firmware, or repairs a reader."""

import subprocess
import sys
from typing import Annotated

import typer

from emulator.provision.stop import FAILED, stop

Port = Annotated[str, typer.Option("--port", help="Where the board is, such as /dev/ttyACM0 or COM5.")]

# The firmware's watchdog cannot be stopped (MicroPython, `machine.WDT`): it is fed until something resets the board.
_KEEP_AWAKE = """
import machine
_fed = machine.WDT(timeout=30000)
_feeding = machine.Timer(0, mode=machine.Timer.PERIODIC, period=5000, callback=lambda _: _fed.feed())
"""


def deploy(port: Port) -> None:
    """Replace the application of the reader at PORT by this release's.

    Its identity, its records and its settings stay; what it had been sent over the air goes. Pulled out half way it
    does not start, says so on its screen, and is deployed to again by the same command.
    """
    from rich.console import Console
    from rich.progress import Progress

    from emulator.image import ImageError
    from emulator.provision import application
    from emulator.provision.board import Board, BoardError
    from emulator.provision.guard import runs_this_release
    from emulator.provision.image import NoFirmware, files, version

    try:
        image = files()
        release = version()
    except (ImageError, NoFirmware) as error:
        stop(str(error), FAILED)
    try:
        with Board(port) as board, Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
            found = board.look()
            runs_this_release(found)
            if found.half_done or not found.reader:
                raise BoardError("This board is no reader yet. Set it up with doorstep reader provision.")
            task = bar.add_task("Writing", total=None)
            application.deploy(board, image, lambda done, total: bar.update(task, completed=done, total=total))
            board.start()
    except BoardError as error:
        stop(str(error), FAILED)
    print(f"Firmware {release} is on the reader, and starts.", file=sys.stderr)


def repl(port: Port) -> None:
    """MicroPython's prompt on the board at PORT; Ctrl-] leaves it. While it is open, the reader does not work.

    A reader's watchdog is kept from restarting it meanwhile. Switch it off and on afterwards.
    """
    from emulator.provision.board import Board, BoardError

    try:
        with Board(port) as board:
            if board.look().reader:
                board.run(_KEEP_AWAKE)
            board.to_prompt()
    except BoardError as error:
        stop(str(error), FAILED)
    command = [sys.executable, "-m", "mpremote", "connect", port, "resume", "repl"]
    raise typer.Exit(subprocess.run(command, check=False).returncode)
