"""`doorstep bench`: measures the path's speed and cost in this run, and holds each figure against its limit.

Nothing heavy is loaded until a benchmark runs. Exit 0 when all ran, whatever they measured; 1 when one could not be
run; 2 when it was asked for wrongly.
"""

import json
import sys
from typing import Annotated, Any

import typer

FAILED, USAGE = 1, 2

# In the order in which they run.
BENCHMARKS = {
    "delivery": "from a strip that is read to the row on the clinician's page",
    "accept": "records that the server accepts, beside the bare insert",
    "pages": "a clinician's pages with a million results behind them, beside ten thousand",
    "hub": "records that a hub collects, stores and delivers",
    "idle": "what a hub costs the laptop while nothing happens",
    "air": "bytes on the air, and goodput of a collection",
    "memory": "the reader's heap",
    "energy": "days and tests on one charge of the reader's cell",
    "analysis": "time of an analysis under MicroPython",
}

app = typer.Typer(help="Measure the path's speed and cost.", add_completion=False)


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help=f"Which: {', '.join(BENCHMARKS)}. All, if none.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Also at 1,000 times the history: takes much longer.")] = False,
) -> None:
    """Run benchmarks. A figure's ratio is its value against its rival, or against its limit."""
    unknown = [name for name in names or [] if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}. There are: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        raise typer.Exit(USAGE)
    chosen = [name for name in BENCHMARKS if not names or name in names]
    figures: dict[str, dict[str, Any]] = {}
    problems: dict[str, str] = {}
    for name in chosen:
        _run(name, full, figures, problems)
    if as_json:
        print(json.dumps({"figures": figures, "problems": problems}))
    else:
        _table(figures)
    for name, problem in problems.items():
        print(f"{name} could not be measured: {problem}", file=sys.stderr)
    if problems:
        raise typer.Exit(FAILED)


def _run(name: str, full: bool, figures: dict[str, dict[str, Any]], problems: dict[str, str]) -> None:
    import asyncio
    import importlib
    from subprocess import SubprocessError

    import httpx
    import psycopg

    from .benchmarks.posting import ServerRefused
    from .image import ImageError
    from .path import PathError
    from .power import ReaderError

    def say(line: str) -> None:
        print(f"{name}: {line}", file=sys.stderr, flush=True)

    module = importlib.import_module(f".benchmarks.{name}", __package__)
    try:
        for figure in asyncio.run(module.measure(say, full)):
            figures[figure.name] = figure.as_json()
    except (
        PathError, ReaderError, ImageError, ServerRefused, SubprocessError, httpx.HTTPError, psycopg.Error, OSError,
    ) as error:  # fmt: skip  # TimeoutError is an OSError
        problems[name] = str(error) or type(error).__name__


def _table(figures: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    def right(name: str) -> Column:
        return Column(name, justify="right", no_wrap=True)

    unit = Column("unit", no_wrap=True)
    table = Table(
        Column("figure", no_wrap=True), right("value"), unit, right("limit"), right("ratio"), right("target"), ""
    )
    for name, figure in figures.items():
        side = "≤" if figure["better"] == "lower" else "≥"
        limit, target = f"{side} {_number(figure['limit'])}", f"{side} {_number(figure['target'])}"
        kept = "[green]kept[/green]" if figure["kept"] else "[red]beyond[/red]"
        table.add_row(name, _number(figure["value"]), figure["unit"], limit, _number(figure["ratio"]), target, kept)
    screen = Console(highlight=False)
    screen.print(table)
    for name, figure in figures.items():
        rival = "" if figure["rival"] is None else f" (the rival: {_number(figure['rival'])} {figure['unit']})"
        screen.print(f"[bold]{name}[/bold]: {figure['what']}{rival}")
    screen.print("ratio: value / rival where there is a rival, else value / limit; target: the ratio at the limit.")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
