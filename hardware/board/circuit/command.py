"""`python -m circuit`: make what the circuit makes, check it, and show what flows where."""

from pathlib import Path
from typing import Annotated

import typer

from .findings import Finding

FAILED = 1

app = typer.Typer(help="The reader's board as code.", no_args_is_help=True, add_completion=False)


@app.command()
def generate(
    into: Annotated[Path | None, typer.Option("--into", help="Another folder than the checkout.")] = None,
) -> None:
    """Write netlist, drawings, bill of materials and firmware/board.py; the netlist anew where SKiDL is installed."""
    from . import outputs
    from .netlist import NetlistError

    try:
        netlist = outputs.build() if outputs.has_skidl() else outputs.kept()
        _stop_on(outputs.check(netlist))
        base = into or outputs.root()
        for path, text in outputs.files(netlist).items():
            target = base / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            typer.echo(target)
    except NetlistError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from error


@app.command()
def check() -> None:
    """Check the circuit that is kept, and that everything made from it is fresh; exit 0 only when all is well."""
    from . import outputs
    from .netlist import NetlistError

    try:
        netlist = outputs.kept()
        _stop_on(outputs.check(netlist))
        stale = outputs.stale(netlist)
    except NetlistError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from error
    if stale:
        typer.echo("not what the circuit makes, run python -m circuit generate: " + ", ".join(stale), err=True)
        raise typer.Exit(FAILED)
    typer.echo(f"{len(netlist.parts)} parts, {len(netlist.nets)} nets, nothing found")


@app.command()
def budget() -> None:
    """Show every load and what its rail gives."""
    from . import budget as flows
    from .outputs import kept

    netlist = kept()
    for row in sorted(flows.loads(netlist), key=lambda row: (flows.RAILS.index(row.rail), row.ref)):
        resting, typical, worst = row.ma
        typer.echo(f"{row.rail:5} {row.ref:4} {resting:9.3f} {typical:9.2f} {worst:9.1f}  {row.what}")
    typer.echo("\n" + flows.table(netlist))


def _stop_on(findings: list[Finding]) -> None:
    for finding in findings:
        typer.echo(str(finding), err=True)
    if findings:
        raise typer.Exit(FAILED)
