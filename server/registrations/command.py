"""`doorstep server registration`: what could not be read, processing it again, and the key that hubs seal to."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.console import USAGE, addresses, keyring, load_settings, say, stop, transact
from server.database.direct import make_pool
from server.organisations import service as organisations
from server.organisations.models import Organisation
from server.readers.keys import KeyUnreadable
from server.registrations import again, keys, opening, repository
from server.registrations.models import Standing

app = typer.Typer(no_args_is_help=True, help="Look after registrations from the field.", pretty_exceptions_enable=False)

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_ACTOR = Actor("command", "doorstep server registration")


@app.command("list")
def show(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """List those that could not be read, the oldest first: why, and what to do."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        found = await organisations.enter_only_organisation(session, organisation)
        await audit.record(
            session,
            organisation_id=found.id,
            actor=_ACTOR,
            action="registration.list",
            subject_kind="registration",
            subject="quarantined",
        )
        rows = await repository.listed(session, found.id, (Standing.QUARANTINED,))
        return [
            {
                "id": str(row.id),
                "code": row.code,
                "sentence": row.sentence,
                "remedy": opening.remedy(row.code),
                "hub": row.hub_id.hex(),
                "received_at": row.received_at.isoformat(timespec="seconds"),
                "attempts": row.attempts,
            }
            for row in rows
        ]

    items = transact(load_settings(), work)
    if as_json:
        print(json.dumps({"items": items}))
        return
    table = Table("Code", "Hub", "Received", "Tries", "Why, and what to do")
    for item in items:
        why = f"{item['sentence']} {item['remedy']}"
        table.add_row(item["code"], item["hub"], item["received_at"], str(item["attempts"]), why)
    Console().print(table)


@app.command("process")
def process(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Process those that could not be read again. Done twice it does no harm; what stays says why."""
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
    say(made, as_json, f"{tally.tried} registrations processed again: {tally.processed} left quarantine.")


@app.command("rotate-key")
def rotate_key(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Give hubs a new key to seal to, with their next exchange. The one before opens for 90 days more."""
    settings = load_settings()
    ring = keyring(settings)

    async def work(session: AsyncSession) -> dict[str, str | int]:
        found = await organisations.enter_only_organisation(session, organisation)
        key_id, destroyed = await keys.rotate(session, ring, found.id, _ACTOR)
        return {"key_id": key_id.hex(), "destroyed": destroyed}

    made = transact(settings, work)
    say(
        made,
        as_json,
        f"Hubs seal to key {made['key_id']} from their next exchange on. Make a backup now: one from before does not"
        " hold this key. What is sealed to the key before opens for 90 days more.",
    )
