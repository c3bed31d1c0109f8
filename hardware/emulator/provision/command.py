"""`doorstep reader`: boards over USB. `provision` sets a reader up, enrols it and prints its label."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.provision.check import check
from emulator.provision.deploy import deploy, repl
from emulator.provision.flash import flash
from emulator.provision.stop import FAILED, USAGE, stop

if TYPE_CHECKING:
    from emulator.provision.board import Board

NAME_MAX = 64  # bytes, as `label` in docs/protocol.cddl

app = typer.Typer(help="Set up a reader over USB.", no_args_is_help=True, add_completion=False)
for _command in (flash, deploy, check, repl):
    app.command()(_command)


@app.command()
def provision(
    port: Annotated[str, typer.Option("--port", help="Where the board is, such as /dev/ttyACM0 or COM5.")],
    identity: Annotated[
        str, typer.Option("--identity", metavar="FILE", help="What the server made, with --json; - for standard input.")
    ] = "",
    organisation: Annotated[str, typer.Option("--organisation", help="Enrol it here, in this organisation.")] = "",
    site: Annotated[str, typer.Option("--site", help="Where it is used.")] = "",
    name: Annotated[str, typer.Option("--name", help="Name on its screen.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="The board is a reader already: make it another.")] = False,
    label: Annotated[Path | None, typer.Option("--label", metavar="FILE.svg", help="Write the label here too.")] = None,
) -> None:
    """Write this release and an identity into the board at PORT, and print its label.

    The identity comes from the server: run beside it, this enrols the reader itself (--organisation, --site, --name);
    elsewhere give what `doorstep server enrol-reader --json` or `doorstep server reader hand-over --json` printed.
    """
    asked = [bool(organisation), bool(site), bool(name)]
    if bool(identity) == any(asked) or (any(asked) and not all(asked)):
        stop("Give --identity FILE, or --organisation, --site and --name to enrol the reader here.", USAGE)
    given = _given(identity) if identity else None
    from emulator.image import ImageError
    from emulator.provision.board import Board, BoardError
    from emulator.provision.image import NoFirmware, files

    try:
        image = files()
    except (ImageError, NoFirmware) as error:
        stop(str(error), FAILED)
    enrolled = ""
    try:
        with Board(port) as board:
            _may_be_written(board, replace)
            if given is None:
                given = _read(_enrol(organisation, site, name))
                enrolled = given[0].hex()
            board.prepare()
            _write(board, image, *given)
    except BoardError as error:
        revoke = f"doorstep server revoke-reader --organisation {shlex.quote(organisation)} {enrolled}"
        again = f" That makes another identity, so revoke this one: {revoke}" if enrolled else ""
        stop(f"{error}{again}", FAILED)
    _tell(given[0], given[3], label)


def _may_be_written(board: "Board", replace: bool) -> None:
    """Ends the command where the board holds what must not be lost, or cannot run this release."""
    from emulator.provision.guard import may_be_emptied, runs_this_release

    found = board.look()
    runs_this_release(found)
    may_be_emptied(board, found, replace)


def _given(file: str) -> tuple[bytes, bytes, int, str]:
    try:
        return _read(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror}.", USAGE)


def _read(text: str) -> tuple[bytes, bytes, int, str]:
    """(reader id, key, generation, name) of what the server printed; ends the command when it is something else."""
    try:
        said: Any = json.loads(text)
        reader_id, key = bytes.fromhex(said["reader_id"]), bytes.fromhex(said["key"])
        generation, name = said["generation"], said["name"]
        whole = len(reader_id) == 8 and len(key) == 32 and type(generation) is int and 0 <= generation < 2**32
    except (ValueError, KeyError, TypeError):
        whole, reader_id, key, generation, name = False, b"", b"", 0, None
    if not whole or not isinstance(name, str) or not 0 < len(name.encode()) <= NAME_MAX:
        stop("That is not what doorstep server enrol-reader --json prints.", USAGE)
    return reader_id, key, generation, name


def _enrol(organisation: str, site: str, name: str) -> str:
    """Have the server's own command make the identity; it says itself what is wrong."""
    from emulator.provision.board import BoardError

    doorstep = Path(sys.executable).with_name("doorstep")
    options = ["--organisation", organisation, "--site", site, "--name", name, "--json"]
    done = subprocess.run(
        [doorstep, "server", "enrol-reader", *options], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise BoardError("The server did not enrol the reader. Nothing on the board was changed.")
    return done.stdout


def _write(board: "Board", image: dict[str, bytes], reader_id: bytes, key: bytes, generation: int, name: str) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from emulator.provision.image import with_identity

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("Writing", total=None)
        whole = with_identity(image, reader_id, key, generation, name)
        board.write(whole, lambda done, total: bar.update(task, completed=done, total=total))
        board.start()


def _tell(reader_id: bytes, name: str, label: Path | None) -> None:
    from emulator.provision import label as labels

    labels.code(reader_id).terminal(compact=True)
    print(f"{name}\nDoorstep reader {labels.words(reader_id)}")
    if label is not None:
        try:
            labels.save(label, reader_id, name)
        except OSError as error:
            stop(f"The reader is set up, but its label cannot be written to {label}: {error.strerror}.", FAILED)
    print("It is set up. Switch it on near a hub once, so that its clock is set.", file=sys.stderr)
