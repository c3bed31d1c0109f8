"""`doorstep hub doctor`, `install`, `uninstall` and `bundle`: what a person sees of them."""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from hub.errors import UsageError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def doctor(as_json: AsJson = False) -> None:
    """Check Bluetooth, the server, the clock, the disk and the hub's own files, and say what to do."""
    from hub import settings
    from hub.care import findings
    from hub.care.doctor import examine

    chosen = settings.load()
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries have to say is in the findings
    found = examine(chosen)
    if as_json:
        print(json.dumps(findings.as_json(found)))
    else:
        print("\n".join(findings.lines(found)))
    if not findings.all_well(found):
        raise typer.Exit(1)


def install(as_json: AsJson = False) -> None:
    """Have the hub run by itself whenever you are signed in (Linux with systemd)."""
    from hub import settings
    from hub.care import unit
    from hub.lock import is_running

    data = settings.load().data
    by_hand = is_running(data) and not unit.path().exists()
    done = unit.install(data)
    if as_json:
        print(json.dumps({"path": str(done.path), "changed": done.changed, "to_run": done.to_run}))
        return
    print(f"{'Written' if done.changed else 'Already there, unchanged'}: {done.path}\n\n{done.content}")
    if done.to_run:
        print("No systemd of yours answers here. To start the hub, run:")
        print("".join(f"  {line}\n" for line in done.to_run), end="")
    else:
        print("The hub runs now, and whenever you are signed in. See it with: doorstep hub status")
    if by_hand:
        print("A hub that was started by hand still runs: stop it, and the service takes over within 10 seconds.")
    print("To have it run while nobody is signed in: loginctl enable-linger")


def uninstall(as_json: AsJson = False) -> None:
    """Stop running the hub by itself. What it collected stays."""
    from hub.care import unit

    done = unit.uninstall()
    if as_json:
        print(json.dumps({"path": str(done.path), "changed": done.changed, "to_run": done.to_run}))
        return
    print(f"{'Taken away' if done.changed else 'Not there'}: {done.path}. What the hub collected stays.")
    if done.to_run:
        print("No systemd of yours answers here. If the hub runs as a service elsewhere, run:")
        print("".join(f"  {line}\n" for line in done.to_run), end="")


def bundle(
    file: Annotated[Path, typer.Argument(help="The file to write, such as hub-problem.zip.")],
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file of that name.")] = False,
) -> None:
    """Write a support file for an engineer: no keys, no records, no names, nothing about a person."""
    from platformdirs import user_log_path

    from hub import settings
    from hub.care import bundle as support
    from hub.care.doctor import examine
    from hub.command import log_path

    if not file.parent.is_dir():
        raise UsageError(f"There is no folder {file.parent}. Choose another place.")
    chosen = settings.load()
    logging.getLogger().addHandler(logging.NullHandler())
    logs = {
        "hub.log": log_path(chosen.data),
        "command.log": user_log_path("doorstep", appauthor=False) / "doorstep.log",
    }
    held = support.make(file, chosen, examine(chosen), logs, replace)
    print(f"{file} holds {', '.join(held)}.")
    print("It holds no keys, records, results, specimen codes or names. Read it, then give it to an engineer.")
