"""The `doorstep` command: it loads only the room that was asked for; and `doorstep hub`, the courier's own commands.

A room is an entry point of group "doorstep.commands" that names a typer.Typer. No traceback reaches a person: what
goes wrong
is a sentence, and the trace is in the log (or on the screen with DOORSTEP_DEBUG=1).
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Generator
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import Annotated, Any

import typer
from platformdirs import user_log_path
from typer.main import get_command

from hub import logbook
from hub.care import command as care
from hub.errors import HubError

_log = logging.getLogger(__name__)

GROUP = "doorstep.commands"
FAILED, USAGE, INTERRUPTED = 1, 2, 130

# So that listing the commands imports no room. An entry point without a line here is listed by its module.
DESCRIPTIONS = {
    "accuracy": "Measure the analysis against data rated by people",
    "bench": "Measure the path's speed and cost",
    "custody": "Show and prove where every record is",
    "demo": "Run the whole path on this machine: readers, hub and server",
    "emulator": "Run readers without a board",
    "faults": "Inject faults and count what was lost",
    "hub": "Collect from readers in range and carry to the server",
    "reader": "Set up a reader over USB",
    "release": "Build the image that readers update to",
    "server": "Run and administer the server",
}


def main() -> None:
    """The entry point of `doorstep`; ends the process with the command's exit code."""
    sys.exit(dispatch(sys.argv[1:]))


def dispatch(arguments: list[str]) -> int:
    """Run one command line; returns the exit code: 0 done, 1 failed, 2 asked wrongly, 130 interrupted."""
    rooms = {entry.name: entry for entry in entry_points(group=GROUP)}
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview(rooms))
        return 0
    if arguments[0] == "--version":
        print(f"doorstep {version('doorstep')}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in rooms:
        _complain(f"There is no command {name!r}. Run `doorstep` to see the commands.")
        return USAGE
    return _guarded(lambda: _run(rooms[name], rest))


def _overview(rooms: dict[str, EntryPoint]) -> str:
    width = max((len(name) for name in rooms), default=0)
    lines = ["Doorstep carries a test result from a reader to the clinician who acts on it.", "", "Commands:"]
    lines += [f"  {name:<{width}}  {DESCRIPTIONS.get(name, entry.module)}" for name, entry in sorted(rooms.items())]
    return "\n".join([*lines, "", "Run `doorstep COMMAND --help` for what a command takes."])


def _run(room: EntryPoint, arguments: list[str]) -> int:
    command = get_command(room.load())
    result = command.main(args=arguments, prog_name=f"doorstep {room.name}", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _guarded(run: Callable[[], int]) -> int:
    """Turn whatever ends a command into an exit code and a sentence."""
    try:
        return run()
    except HubError as error:
        _complain(str(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED if end.code else 0
    except BrokenPipeError:
        sys.stdout = None  # pyright: ignore[reportAttributeAccessIssue]  whoever read the output has gone
        return FAILED
    except BaseException as error:  # noqa: BLE001  the last before a person: no traceback may pass
        return _usage(error) or _unexpected(error)


def _usage(error: BaseException) -> int | None:
    """What the command line parser raises: it knows its own sentence and exit code (2)."""
    say, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
    if not callable(say) or not isinstance(code, int):
        return None
    context = getattr(error, "ctx", None)
    hint = f" Run `{context.command_path} --help`." if context is not None else ""
    _complain(f"{str(say()).strip()}{hint}")
    return code


def _unexpected(error: BaseException) -> int:
    if os.environ.get("DOORSTEP_DEBUG") == "1":
        raise error
    path = user_log_path("doorstep", appauthor=False) / "doorstep.log"
    try:
        logbook.to_file(path)
        _log.critical("command failed", exc_info=error)
        where = f"The details are in {path}."
    except OSError:
        where = "Set DOORSTEP_DEBUG=1 and run it again to see the details."
    _complain(f"Something went wrong that Doorstep did not expect ({type(error).__name__}). {where}")
    return FAILED


def _complain(sentence: str) -> None:
    print(sentence, file=sys.stderr)


# doorstep hub -------------------------------------------------------------------------------------

app = typer.Typer(help="Collect from readers in range and carry to the server.", add_completion=False)


@app.callback(invoke_without_command=True)
def _hub(context: typer.Context) -> None:  # pyright: ignore[reportUnusedFunction]  Typer calls it
    """Collect from readers in range and carry to the server.

    Without a command: run the hub, unless it runs already, and open its page.
    """
    if context.invoked_subcommand is not None:
        return
    from hub import settings
    from hub.lock import is_running

    if is_running(settings.load().data):
        open_page()
    else:
        _start(_plain_line, 0, opens=True)


@app.command()
def run(
    json_events: Annotated[
        bool, typer.Option("--json-events", help="Print one JSON object a line for each event.")
    ] = False,
    until_delivered: Annotated[
        int,
        typer.Option(
            "--until-delivered",
            min=0,
            metavar="N",
            help="End when N or more readers are in range and all hold receipts for all they have.",
        ),
    ] = 0,
) -> None:
    """Collect and carry until stopped."""
    _start(_json_line if json_events else _plain_line, until_delivered)


def _start(listener: Callable[[dict[str, Any]], None], until_delivered: int, opens: bool = False) -> None:
    """Run the hub until stopped; with `opens`, show its page in a browser once it is served."""
    from hub import database, service, settings

    chosen = settings.load()
    database.private_folder(chosen.data)
    try:
        logbook.to_file(log_path(chosen.data))
    except OSError as error:  # a full disk must not keep the hub from delivering, which makes room
        _complain(f"The log cannot be written ({error.strerror}); the hub runs without one.")

    def opening(event: dict[str, Any]) -> None:
        if event["event"] == "page":
            open_page()

    asyncio.run(service.run(chosen, [listener, *([opening] if opens else [])], until_delivered))


@app.command("open")
def open_page(
    link_only: Annotated[bool, typer.Option("--link", help="Print the link instead of opening a browser.")] = False,
) -> None:
    """Open the page of the hub that runs on this laptop."""
    import webbrowser

    from hub import settings
    from hub.lock import is_running
    from hub.page.access import new_link

    folder = settings.load().data
    link = new_link(folder) if is_running(folder) else None
    if link is None:
        raise HubError("No hub with a page is running here. Start it: doorstep hub.", "not-running")
    if link_only or not webbrowser.open(link):
        print(f"Open this link in a browser on this laptop within two minutes; it works once:\n{link}")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show what each reader holds, what waits here and what is delivered."""
    from hub import settings
    from hub import status as state

    found = state.read(settings.load().data)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        _show(found)


@app.command()
def enrol(
    code: Annotated[str, typer.Argument(help="The one-time code from the programme.")],
    server: Annotated[
        str, typer.Option("--server", help="The server's address, such as https://doorstep.example.org.")
    ],
    name: Annotated[str, typer.Option("--name", help="What to call this laptop, such as 'Village hall laptop'.")],
    again: Annotated[bool, typer.Option("--again", help="Replace an enrolment that is there.")] = False,
) -> None:
    """Enrol this laptop with a server."""
    from hub import enrol as enrolment
    from hub import settings

    made = enrolment.enrol(settings.load().data, code, server, name, again)
    print(f"Enrolled as {made.name} (hub {made.hub_id}) with {made.server}. Next: doorstep hub run.")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write, such as one on a memory stick.")],
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file of that name.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write what has no receipt yet to a file, sealed as it is, for the server or another hub."""
    from hub import export as exporting
    from hub import settings

    with _progress("Exporting") as progress:
        made = exporting.export(settings.load().data, file, replace, progress)
    if as_json:
        print(json.dumps(exporting.as_json(made)))
        return
    print(
        f"{file} holds {made.records} records and {made.receipts} receipts. They stay queued here until receipts come."
    )
    if made.registrations:
        print(f"It holds {made.registrations} registrations too. They stay queued here until a server answers.")
    if made.sightings_left:
        print("It tells nothing of when readers were seen: this hub has not heard the server's clock since it started.")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A file that `doorstep hub export` or the server made.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Take records to carry on, or receipts for readers, from a file."""
    from dataclasses import asdict

    from hub import importing, settings

    with _progress("Importing") as progress:
        found = importing.take(settings.load().data, file, progress)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    if found.epoch_moved:
        print("The server was restored from a backup; everything kept here is offered again.")
    print(
        f"Taken: {found.records} records to carry on, {found.receipts} receipts, {found.messages} messages to readers."
    )
    if found.registrations:
        print(f"Taken too: {found.registrations} registrations to carry on.")
    if found.receipts:
        print("A receipt from a file counts as delivery once its reader has taken it: bring the readers near.")
    if found.aside:
        print(f"The server set {found.aside} records aside: see doorstep hub status.")


for _of_care in (care.doctor, care.install, care.uninstall, care.bundle):
    app.command()(_of_care)


@contextlib.contextmanager
def _progress(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar on the screen of whoever watches; a file or a program gets none."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _json_line(event: dict[str, Any]) -> None:
    print(json.dumps(event, separators=(",", ":")), flush=True)


_PLAIN: dict[str, str] = {
    "started": "Hub {hub} runs. Stop it with Ctrl-C.",
    "visiting": "Reader {reader}: connecting ({why}).",
    "collected": "Reader {reader}: {count} collected, up to {stored}.",
    "delivered": "Reader {reader}: delivered up to {number}, by the server's receipt.",
    "released": "Reader {reader}: holds the receipt for {number}.",
    "answered": "The server answered for {count} records.",
    "registered": "The server answered for {count} registrations.",
    "image": "An update for readers is here. It goes to each reader that is near.",
    "updating": "Reader {reader}: has {done} of {size} bytes of its update.",
    "epoch": "The server was restored from a backup; everything kept here is offered again.",
    "problem": "{sentence} {next_step}",
    "done": "Everything is delivered.",
    "stopped": "Stopped.",
}


def _plain_line(event: dict[str, Any]) -> None:
    words = _PLAIN.get(event["event"])
    if words:
        print(words.format(**event), flush=True)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from hub.advice import called, inner, update_of

    screen = Console(highlight=False)
    screen.print(found["sentence"], style="bold", markup=False)
    if found["hub"]:
        running = "running" if found["running"] else "not running"
        screen.print(
            f"{found['name']} (hub {found['hub']}), {running}. Server heard: {found['exchanged'] or 'never'}.",
            markup=False,
        )
    if found["readers"]:
        table = Table(
            Column("reader", no_wrap=True, min_width=16), "name", "on reader", "here", "delivered", "last seen"
        )
        for reader in found["readers"]:
            counts = (str(reader["on_reader"]), str(reader["undelivered"]), str(reader["delivered"]))
            table.add_row(
                reader["id"], reader["name"].replace("[", "\\["), *counts, (reader["seen"] or "never").replace("T", " ")
            )
        screen.print(table)
    for reader in found["readers"]:
        if reader["receipt_by_file"]:
            words = f"A receipt for {reader['id']} up to {reader['receipt_by_file']} came in a file"
            screen.print(f"{words}: it counts once the reader has taken it.", markup=False)
    for reader in found["readers"]:
        if reader["update"]:
            screen.print(f"Update of {called(reader)}: {inner(update_of(reader['update']).text)}.", markup=False)
    if found["carried"]:
        screen.print(f"{found['carried']} records of another hub are carried and not delivered yet.", markup=False)
    for problem in found["problems"]:
        screen.print(f"! {problem['sentence']} {problem['next_step']} [{problem['code']}]", markup=False)


def log_path(data: Path) -> Path:
    """Where a running hub with this data folder writes its log."""
    return data / "log" / "hub.log"
