"""`doorstep server retention`: how long what is kept, what would go, erasing, and certificates of deletion."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit.service import Actor
from server.console import FAILED, USAGE, exchange, load_settings, say, stop, transact
from server.database import tenancy
from server.database.direct import Pool
from server.database.engine import Sessions
from server.organisations import service as organisations
from server.retention import monthly, monthly_repository, repository, service, views
from server.retention.models import Because, Erasure, Kind

app = typer.Typer(
    no_args_is_help=True,
    help="Say how long what is kept, and erase what is due or what somebody may ask to be erased.",
    pretty_exceptions_enable=False,
)

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Months = Annotated[str | None, typer.Option(help="Months, or `ever`; left as it is when it is not given.")]

_ACTOR = Actor("command", "doorstep server retention")
_FILE_BYTES_MAX = 200_000_000


@app.command("rules")
def rules(
    results: Months = None,
    people: Months = None,
    set_aside: Months = None,
    monthly_look: Annotated[
        bool | None,
        typer.Option("--monthly/--no-monthly", help="Whether administrators are told each month what is due."),
    ] = None,
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Show how long each kind is kept and what is due now; with an option, change it first. Nothing is erased."""
    given = {Kind.RESULTS: results, Kind.PEOPLE: people, Kind.SET_ASIDE: set_aside}
    wanted = {kind: _months(text) for kind, text in given.items() if text is not None}

    async def work(session: AsyncSession) -> tuple[list[service.Rule], bool]:
        found = await organisations.enter_only_organisation(session, organisation)
        await service.set_rules(session, _ACTOR, found.id, wanted)
        if monthly_look is not None:
            await monthly.choose(session, _ACTOR, found.id, wanted=monthly_look)
        told = await monthly_repository.wanted(session)
        return await service.dry_run(session, _ACTOR, found.id), told

    kept, told = transact(load_settings(), work)
    if as_json:
        print(json.dumps({"rules": [_as_json(one) for one in kept], "monthly": told}))
        return
    table = Table("What", "Kept for", "Due now", "Held back by an open follow-up")
    for one in kept:
        due, held = (str(one.due.erased), str(one.due.held_back)) if one.due else ("none", "none")
        table.add_row(views.KINDS[one.kind], views.kept_for(one.months), due, held)
    Console().print(table)
    print("Administrators are told each month what is due." if told else "Nobody is told each month what is due.")


def _months(text: str) -> int | None:
    if text == "ever":
        return None
    if not text.isdecimal() or len(text) > 5:
        stop("Give a number of months, or: ever", USAGE)
    return int(text)


def _as_json(one: service.Rule) -> dict[str, Any]:
    due = {"erased": one.due.erased, "held_back": one.due.held_back} if one.due else None
    before = one.before.isoformat() if one.before else None
    return {"kind": str(one.kind), "months": one.months, "before": before, "due": due}


@app.command("run")
def run(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. What is erased cannot be brought back.")] = False,
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Erase what the rules say now. What is due but waited for stays, and is counted."""
    if not yes and not typer.confirm("What is erased cannot be brought back. Go on?"):
        raise typer.Exit(FAILED)

    async def begin(session: AsyncSession, organisation_id: UUID) -> Erasure:
        return await service.begin_run(session, _ACTOR, organisation_id)

    _erase(organisation, begin, as_json)


@app.command("erase")
def erase(
    person: Annotated[str, typer.Argument(help="The person's id, as in the address of their page.")],
    because: Annotated[Because, typer.Option("--because", help="Why: asked, ordered or mistake.")] = Because.ASKED,
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Erase one person with all that is theirs. Somebody who is waited for is not erased: it says why."""
    try:
        person_id = UUID(person)
    except ValueError:
        stop(f"{person!r} is not the id of a person: it is in the address of their page.", USAGE)
    if because in (Because.RULE, Because.AGAIN):
        stop("Say why with: --because asked, ordered or mistake", USAGE)

    async def begin(session: AsyncSession, organisation_id: UUID) -> Erasure:
        return await service.begin_person(session, _ACTOR, organisation_id, person_id, because)

    _erase(organisation, begin, as_json)


@app.command("again")
def again(
    file: Annotated[Path, typer.Argument(help="A certificate, as `certificate --json` wrote it.")],
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Erase once more what a certificate lists, after a backup from before was restored. Done twice it does no harm."""
    try:
        if file.stat().st_size > _FILE_BYTES_MAX:
            stop(f"{file} is too large to be a certificate.", USAGE)
        listed: object = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stop(f"{file} cannot be read as a certificate ({type(error).__name__}).", USAGE)

    async def begin(session: AsyncSession, organisation_id: UUID) -> Erasure:
        return await service.begin_again(session, _ACTOR, organisation_id, listed)

    _erase(organisation, begin, as_json)


def _erase(organisation: str | None, begin: Callable[[AsyncSession, UUID], Awaitable[Erasure]], as_json: bool) -> None:
    async def work(sessions: Sessions, pool: Pool) -> dict[str, Any]:
        async with tenancy.transaction(sessions) as session:
            found = await organisations.enter_only_organisation(session, organisation)
            erasure = await begin(session, found.id)
        await service.go_on(sessions, found.id, erasure.id)
        async with tenancy.transaction(sessions, found.id) as session:
            return await service.certificate(session, _ACTOR, erasure.id)

    made = exchange(load_settings(), work)
    held = f" {made['held_back']} held back: a follow-up is open, or a record in doubt." if made["held_back"] else ""
    say(made, as_json, f"{views.erased(made)}.{held} Certificate {made['certificate']}, digest {made['digest']}.")


@app.command("certificates")
def certificates(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """List erasures, the newest first, at most 200."""

    async def work(session: AsyncSession) -> list[tuple[Erasure, str]]:
        await organisations.enter_only_organisation(session, organisation)
        return await repository.listed(session)

    found = transact(load_settings(), work)
    rows: list[dict[str, Any]] = [
        {
            "certificate": str(one.id), "because": one.because, "begun_at": one.made_at.isoformat(), "by": by,
            "finished_at": one.finished_at.isoformat() if one.finished_at else None, "results": one.results,
            "people_erased": one.people, "set_aside": one.bytes_set_aside, "held_back": one.held_back,
        }
        for one, by in found
    ]  # fmt: skip
    if as_json:
        print(json.dumps({"certificates": rows}))
        return
    table = Table("Certificate", "Why", "Done", "What", "Held back")
    for row in rows:
        done = row["finished_at"] or "under way"
        table.add_row(row["certificate"], row["because"], done, views.erased(row), str(row["held_back"]))
    Console().print(table)


@app.command("certificate")
def certificate(
    which: Annotated[str, typer.Argument(help="Its id.")],
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Show a certificate of deletion; exit 1 when what stands in the database is not what was certified."""
    try:
        erasure_id = UUID(which)
    except ValueError:
        stop(f"{which!r} is not the id of a certificate.", USAGE)

    async def work(session: AsyncSession) -> dict[str, Any]:
        await organisations.enter_only_organisation(session, organisation)
        return await service.certificate(session, _ACTOR, erasure_id)

    made = transact(load_settings(), work)
    standing = "It is what was certified" if made["whole"] else "It is NOT what was certified"
    say(made, as_json, f"{views.erased(made)}, done {made['finished_at']}. {standing}. Digest {made['digest']}.")
    if not made["whole"]:
        raise typer.Exit(FAILED)
