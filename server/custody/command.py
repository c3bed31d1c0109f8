"""`doorstep custody`: where every record of every reader is, and the proof that what is held is whole."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from server.console import FAILED, identifier, load_settings, transact
from server.custody import alerts, ledger
from server.custody.alerts import Alert
from server.organisations import service as organisations

app = typer.Typer(help="Show and prove where every record is.", add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def custody(
    organisation: Annotated[
        str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
    ] = None,
    reader: Annotated[str | None, typer.Option("--reader", help="One reader: its id, 16 hexadecimal digits.")] = None,
    prove: Annotated[bool, typer.Option("--prove", help="Read every record anew and follow each chain.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show, for each reader, what it issued, what is held and what is amiss; exit 1 if a proof finds a chain broken.

    What is claimed and released, and the last contact, are hubs' word; everything else rests on the readers' seals.
    """
    reader_id = identifier(reader, "reader") if reader else None

    async def work(session: AsyncSession) -> tuple[list[dict[str, Any]], list[Alert]]:
        found = await organisations.enter_only_organisation(session, organisation)
        await alerts.review(session, found.id)
        lines = [asdict(line) for line in await ledger.ledger(session, reader_id)]
        for line in lines:
            for name, value in line.items():
                if isinstance(value, datetime):
                    line[name] = value.isoformat()
            if prove:
                line["proof"] = asdict(await ledger.prove(session, bytes.fromhex(line["reader_id"])))
        return lines, await alerts.listed(session, reader_id)

    lines, raised = transact(load_settings(), work)
    if as_json:
        print(json.dumps({"readers": lines, "alerts": [one.as_json() for one in raised]}))
    else:
        _show(lines, raised, prove)
    if prove and not all(line["proof"]["whole"] for line in lines):
        raise typer.Exit(FAILED)


def _show(lines: list[dict[str, Any]], raised: list[Alert], prove: bool) -> None:
    columns = ["issued", "claimed", "held", "released", "gaps", "conflicts", "quarantined", "quality"]
    table = Table(
        "Reader", "Name", *(column.capitalize() for column in columns), "Oldest undelivered", "Last contact", "Chain"
    )
    for line in lines:
        chain = "not followed: use --prove"
        if line["forked"]:
            chain = "forked"
        elif prove:
            proof = line["proof"]
            erased = f", {proof['erased']} erased" if proof["erased"] else ""
            chain = f"whole to {proof['held']}{erased}" if proof["whole"] else f"broken: {proof['broken_why']}"
        counts = (str(line[column]) for column in columns)
        waits = f"{line['undelivered']} since {line['waiting_since']}" if line["undelivered"] else "none"
        table.add_row(line["reader_id"], line["name"], *counts, waits, line["last_contact"] or "never", chain)
    screen = Console(highlight=False)
    screen.print(table)
    for line in lines:
        if line["failing"]:
            failing = ", ".join(line["failing"])
            screen.print(f"[bold]quality control failed[/bold], {line['name']}: {failing}")
    for one in raised:
        screen.print(f"[bold]{one.kind}[/bold], {one.reader}, since {one.since.isoformat()}: {one.sentence}")
