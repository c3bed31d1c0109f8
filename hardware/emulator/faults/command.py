"""`doorstep faults`: injects faults into the path and shows what was lost, duplicated or passed undetected.

Nothing heavy is loaded until a class runs. Exit 0 when every trial held; 1 when one did not; 2 when it was asked for
wrongly.
"""

import json
import sys
from typing import Annotated

import typer

from . import campaign

FAILED, USAGE = 1, 2

app = typer.Typer(help="Inject faults and count what was lost.", add_completion=False)


@app.command()
def faults(
    klass: Annotated[
        str, typer.Option("--class", metavar="CLASS", help=f"Which: {', '.join(campaign.CLASSES)}, or all.")
    ] = "all",
    part: Annotated[str | None, typer.Option("--part", metavar="PART", help="Only this part of the class.")] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, metavar="N", help="How many seeds of each part. Else each part's own number."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=1, metavar="S", help="The first seed; the only one without --seeds.")
    ] = None,
    few: Annotated[bool, typer.Option("--few", help="Only the few seeds that the test suite runs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the campaign. Each trial follows from its seed alone, and a failure is told with the command that repeats
    it."""
    import asyncio

    try:
        wanted = list(campaign.chosen(klass, part))
    except campaign.NoSuchPart as error:
        print(error, file=sys.stderr)
        raise typer.Exit(USAGE) from None

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    rows: list[campaign.Row] = []
    for name, one in wanted:
        count = seeds or (1 if seed is not None else one.few if few else one.seeds)
        if count == 0:
            continue
        first = seed or 1
        say(f"{name}/{one.name}: {one.what}; seeds {first} to {first + count - 1}")
        rows.append(asyncio.run(campaign.run_part(name, one, range(first, first + count), say)))
    if as_json:
        print(json.dumps({"parts": [row.as_json() for row in rows], "passed": all(row.passed for row in rows)}))
    else:
        _table(rows)
    if not all(row.passed for row in rows):
        raise typer.Exit(FAILED)


def _table(rows: list[campaign.Row]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    names = ("seeds", "faults", "issued", "held", "lost", "twice", "unseen", "s")
    right = [Column(name, justify="right", no_wrap=True) for name in names]
    table = Table(Column("part", no_wrap=True), *right, Column("", no_wrap=True), padding=(0, 0), pad_edge=False)
    for row in rows:
        t = row.tally
        counts = (row.seeds, t.faults, t.issued, t.held, t.lost, t.duplicated, t.undetected, round(row.seconds))
        held = "[green]held[/green]" if row.passed else f"[red]{len(row.failures)} failed[/red]"
        table.add_row(f"{row.klass}/{row.part}", *(f"{count:,}" for count in counts), held)
    screen = Console(highlight=False)
    screen.print(table)
    screen.print("twice: records held more than once; unseen: wrong or missing, and nobody was told.")
    for row in rows:
        if row.tally.note:
            screen.print(f"[bold]{row.klass}/{row.part}[/bold]: ", end="")
            screen.print(row.tally.note, markup=False)
    for failure in (one for row in rows for one in row.failures):
        screen.print(f"! {failure.klass}/{failure.part} seed {failure.seed}: {failure.sentence}", markup=False)
        screen.print(f"  replay: {failure.replay}", markup=False, soft_wrap=True)
