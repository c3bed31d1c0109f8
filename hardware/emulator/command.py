"""`doorstep emulator`: run tests on emulated readers from a scenario file, and take pictures of their screens.

No server and no hub is needed: readers get an identity that nobody else knows. Nothing heavy is loaded until a command
runs, so that asking for help is quick.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

FAILED, USAGE = 1, 2

app = typer.Typer(help="Run readers without a board.", no_args_is_help=True, add_completion=False)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="SCENARIO.toml", help="Which readers, which tests, what to expect.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    stay: Annotated[bool, typer.Option("--stay", help="Leave the readers on for a hub, until Ctrl-C.")] = False,
    hci: Annotated[
        list[str] | None,
        typer.Option(
            "--hci",
            metavar="TRANSPORT",
            help="Stay on a real adapter, named as Bumble does (usb:0), for a real hub. Once for each reader.",
        ),
    ] = None,
) -> None:
    """Run the tests of a scenario and tell what happens; exit 0 only if every outcome shown is the expected one."""
    import asyncio

    from . import scenario
    from .antenna import AdapterError
    from .image import ImageError
    from .round import Round

    try:
        plan = scenario.load(file)
        tests = Round(plan, quiet=as_json, stay=stay or bool(hci), adapters=hci or ())
        tests.check()
    except scenario.ScenarioError as error:
        _stop(str(error), USAGE)
    try:
        readers = asyncio.run(tests.run())
    except (AdapterError, ImageError) as error:
        _stop(str(error), FAILED)
    agree = all(test["agrees"] for reader in readers for test in reader["tests"])
    if as_json:
        print(json.dumps({"readers": readers, "agree": agree, "seconds": tests.seconds}))
    if not agree:
        raise typer.Exit(FAILED)


@app.command()
def screens(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures; made if need be.")],
    scale: Annotated[int, typer.Option("--scale", min=1, max=16, help="Picture dots to a dot of the display.")] = 4,
    language: Annotated[str | None, typer.Option("--language", help="One language only, such as fr.")] = None,
) -> None:
    """Save a PNG of every screen that a person meets, in every language, by driving the real firmware through it."""
    import asyncio

    from . import words
    from .image import ImageError
    from .power import ReaderError
    from .tour import Tour

    if language not in (None, *words.languages()):
        _stop(f"There is no table of {language}: give one of {', '.join(words.languages())}.", USAGE)
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".doorstep"
        probe.touch()
        probe.unlink()
    except OSError as error:
        _stop(f"{out} cannot be written to ({error.strerror}): give a folder for the pictures.", USAGE)
    for spoken in words.languages() if language is None else (language,):
        tour = Tour(out, spoken, scale, lambda line: print(line, file=sys.stderr, flush=True))
        try:
            asyncio.run(tour.run())
        except (ReaderError, ImageError, OSError) as error:
            _stop(f"The tour ended at picture {len(tour.taken) + 1} of {spoken}: {error}", FAILED)
        print(f"{len(tour.taken)} pictures are in {out / spoken}, and on one sheet in {out / spoken}.png.")


def _stop(sentence: str, code: int) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(code)
