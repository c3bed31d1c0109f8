"""`doorstep server operators` and `doorstep server recall`: send readers the lists that refuse a test at the scan."""

import json
from collections.abc import Callable
from datetime import date
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit.service import Actor
from server.console import USAGE, identifier, keyring, load_settings, say, stop, transact
from server.custody.queueing import QueueBusy
from server.organisations import service as organisations
from server.quality import lists
from server.quality.lists import ListUnusable, Operator, Recall

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
OneReader = Annotated[
    str | None, typer.Option("--reader", help="One reader: its id, 16 hexadecimal digits; every reader without it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_ACTOR = Actor("command", "doorstep server")


def operators(
    badges: Annotated[
        list[str] | None, typer.Argument(help="Each BADGE, or BADGE=YYYY-MM-DD with the last day that it may be used.")
    ] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Send an empty list: no badge is needed any more.")] = False,
    organisation: OrganisationName = None,
    reader: OneReader = None,
    as_json: AsJson = False,
) -> None:
    """Send the list of operators who may test: it replaces the one before. From then on a badge is needed."""
    if bool(badges) == lift:
        stop("Name who may test, or let anybody test again with --lift.", USAGE)
    rows = [_operator(one) for one in badges or ()]
    _send(lists.lift_operators if lift else lambda: lists.operators(rows), organisation, reader, as_json)


def recall(
    lots: Annotated[list[str] | None, typer.Argument(help="Each GTIN, for every lot, or GTIN=LOT.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Send an empty list: nothing is recalled any more.")] = False,
    organisation: OrganisationName = None,
    reader: OneReader = None,
    as_json: AsJson = False,
) -> None:
    """Send the list of recalled lots: it replaces the one before, and readers refuse those cassettes."""
    if bool(lots) == lift:
        stop("Name what is recalled, or lift every recall with --lift.", USAGE)
    rows = [Recall(gtin, lot or None) for gtin, _, lot in (one.partition("=") for one in lots or ())]
    _send(lambda: lists.recalls(rows), organisation, reader, as_json)


def _operator(text: str) -> Operator:
    badge, _, day = text.partition("=")
    try:
        return Operator(badge, date.fromisoformat(day) if day else None)
    except ValueError:
        stop(f"{day} is no date: give the last day of {badge} as YYYY-MM-DD.", USAGE)


def _send(make: Callable[[], dict[int, object]], organisation: str | None, reader: str | None, as_json: bool) -> None:
    reader_id = identifier(reader, "reader") if reader else None
    settings = load_settings()
    keys = keyring(settings)
    try:
        message = make()
    except ListUnusable as error:
        stop(str(error), USAGE)

    async def work(session: AsyncSession) -> dict[str, int]:
        found = await organisations.enter_only_organisation(session, organisation)
        try:
            numbers = await lists.send(session, keys, found, message, reader_id, _ACTOR)
        except QueueBusy as error:
            stop(str(error), 1)
        return {one.hex(): number for one, number in numbers.items()}

    numbers = transact(settings, work)
    if as_json:
        print(json.dumps({"commands": numbers}))
        return
    count = "one reader" if len(numbers) == 1 else f"{len(numbers)} readers"
    say({}, False, f"The list waits for {count}. The next hub that meets each brings it.")
