"""`doorstep server quarantine`: what could not be accepted or understood, and processing it again."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.console import USAGE, addresses, keyring, load_settings, say, stop, transact
from server.custody import again, quarantine_repository
from server.custody.quarantine_repository import Listed
from server.database.direct import make_pool
from server.organisations import service as organisations
from server.organisations.models import Organisation
from server.readers.keys import KeyUnreadable

app = typer.Typer(
    no_args_is_help=True, help="See what is in quarantine, and process it again.", pretty_exceptions_enable=False
)

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_ACTOR = Actor("command", "doorstep server quarantine")
_LISTED_MAX = 1_000


@app.command("list")
def show(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """List what is open, newest first, at most 1,000 items: why each is there, and what to do."""

    async def work(session: AsyncSession) -> list[Listed]:
        found = await organisations.enter_only_organisation(session, organisation)
        await audit.record(
            session,
            organisation_id=found.id,
            actor=_ACTOR,
            action="quarantine.read",
            subject_kind="quarantine",
            subject="open",
        )
        return await quarantine_repository.listed(session, _LISTED_MAX)

    items = transact(load_settings(), work)
    if as_json:
        print(json.dumps({"items": [_as_json(item) for item in items]}))
        return
    table = Table("Item", "Code", "Reader", "Number", "Received", "Tries", "Why, and what to do")
    for item in items:
        reader = item.reader or (item.reader_id.hex() if item.reader_id else "not known")
        number = "" if item.number is None else str(item.number)
        why = f"{item.tried_sentence or item.sentence} {again.remedy(item.tried_code or item.code)}"
        when = item.received_at.isoformat(timespec="seconds")
        table.add_row(str(item.id), item.code, reader, number, when, str(item.attempts), why)
    Console().print(table)


def _as_json(item: Listed) -> dict[str, Any]:
    told = asdict(item) | {"remedy": again.remedy(item.tried_code or item.code)}
    return {name: _plain(value) for name, value in told.items()}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else value


@app.command("process")
def process(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Process everything that is open again. Done twice it does no harm; what stays says why."""
    settings = load_settings()
    ring = keyring(settings)

    async def work(session: AsyncSession) -> Organisation:
        return await organisations.enter_only_organisation(session, organisation)

    found = transact(settings, work)
    app_url, _ = addresses(settings)
    with make_pool(app_url, 1) as pool:
        try:
            tally = again.process(pool, ring, found.id, _ACTOR)
        except KeyUnreadable as error:
            stop(str(error), USAGE)
    made = {"tried": tally.tried, "processed": tally.processed}
    say(made, as_json, f"{tally.tried} items processed again: {tally.processed} left quarantine.")
