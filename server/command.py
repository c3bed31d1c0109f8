"""`doorstep server`: run it, migrate its database, and enrol organisations, people, readers and hubs.

A wrong argument or setting gets a sentence on standard error and exit status 2, a fault outside (no database) exit
status 1; nobody sees a traceback. Results go to standard output, as text or, with --json, as one JSON object.
"""

import json
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from server import settings as settings_module
from server.assays import command as assay_command
from server.audit.service import Actor
from server.console import (
    FAILED,
    USAGE,
    addresses,
    exchange,
    fault,
    identifier,
    keyring,
    load_settings,
    progress,
    say,
    stop,
    transact,
)
from server.custody import quarantine_command
from server.database import embedded, epoch, migrate
from server.database.direct import Pool
from server.database.engine import Sessions
from server.notices import command as notices_command
from server.openid import command as openid_command
from server.quality import command as quality_command
from server.readers import command as readers_command
from server.registrations import command as registrations_command
from server.retention import command as retention_command
from server.settings import SettingsError
from server.updates import command as updates_command

app = typer.Typer(no_args_is_help=True, help="Run and administer the server.", pretty_exceptions_enable=False)
app.add_typer(assay_command.app, name="assay")
app.command("operators")(quality_command.operators)
app.command("recall")(quality_command.recall)
app.add_typer(openid_command.app, name="openid")
app.add_typer(quarantine_command.app, name="quarantine")
app.add_typer(readers_command.app, name="reader")
app.add_typer(registrations_command.app, name="registration")
app.add_typer(updates_command.releases, name="release")
app.add_typer(retention_command.app, name="retention")
app.add_typer(updates_command.rollouts, name="rollout")
app.add_typer(notices_command.app, name="webhook")

OrganisationName = Annotated[str, typer.Option("--organisation", help="Name of the organisation.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_ACTOR = Actor("command", "doorstep server")


@app.command()
def run() -> None:
    """Serve hubs and browsers until interrupted. The embedded database is migrated first; another must be already."""
    from server import serving

    settings = load_settings()
    try:
        settings.check()
        serving.run(settings, *addresses(settings))
    except SettingsError as error:
        stop(str(error), USAGE)
    except (DBAPIError, OSError) as error:
        stop(fault(error), FAILED)


@app.command("migrate")
def migrate_database() -> None:
    """Bring the database's tables to this version. Stop the server first when the release notes say so."""
    settings = load_settings()
    _, owner_url = addresses(settings)
    try:
        before = migrate.current(owner_url)
        migrate.upgrade(owner_url)
        if embedded.is_embedded(settings):
            embedded.let_app_log_in(owner_url)
    except (DBAPIError, ValueError) as error:
        stop(fault(error), FAILED)
    print(f"The database is at revision {migrate.head()}; it was at {before or 'none'}.")


@app.command("settings")
def show_settings(as_json: AsJson = False) -> None:
    """List every setting with its value; of a secret, only whether it is set."""
    rows = settings_module.described(load_settings())
    if as_json:
        print(json.dumps({"settings": rows}))
        return
    table = Table("Variable", "Value", "Meaning")
    for row in rows:
        table.add_row(row["name"], row["value"], row["meaning"])
    Console().print(table)


@app.command("create-organisation")
def create_organisation(
    name: Annotated[str, typer.Option("--name", help="Its name.")], as_json: AsJson = False
) -> None:
    """Make an organisation."""
    from server.organisations import service as organisations

    async def work(session: AsyncSession) -> dict[str, str]:
        made = await organisations.create_organisation(session, name)
        return {"organisation_id": str(made.id), "name": made.name}

    made = transact(load_settings(), work)
    say(made, as_json, f"Organisation {made['name']} is made.")


@app.command("create-user")
def create_user(
    organisation: OrganisationName,
    email: Annotated[str, typer.Option("--email", help="Address to sign in with.")],
    name: Annotated[str, typer.Option("--name", help="The person's name.")],
    role: Annotated[
        str, typer.Option("--role", help="clinician, lead, operator, administrator or auditor.")
    ] = "clinician",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an account for a person. The password is asked for, or read from standard input, never an argument."""
    from server.accounts import service as accounts
    from server.audit import service as audit
    from server.organisations import service as organisations

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))

    async def work(session: AsyncSession) -> dict[str, str]:
        found = await organisations.enter_organisation(session, organisation)
        made = await accounts.create_user(session, email, name, role, password, found.id)
        await audit.record(
            session,
            organisation_id=found.id,
            actor=_ACTOR,
            action="account.add",
            subject_kind="account",
            subject=str(made.id),
            detail={"role": made.role},
        )
        return {"account_id": str(made.id), "email": made.email, "role": made.role}

    made = transact(load_settings(), work)
    say(made, as_json, f"{made['email']} can sign in as {made['role']}.")


@app.command("enrol-hub")
def enrol_hub(
    organisation: OrganisationName,
    site: Annotated[str | None, typer.Option("--site", help="Where the hub is used; made when it is new.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a code that enrols one hub, once. It is shown now and never again."""
    from server.hubs import service as hubs
    from server.organisations import service as organisations

    settings = load_settings()

    async def work(session: AsyncSession) -> dict[str, str]:
        found = await organisations.enter_organisation(session, organisation)
        place = await organisations.site(session, found, site) if site else None
        code = await hubs.make_code(session, found, place, timedelta(hours=settings.enrolment_hours), _ACTOR)
        return {"code": code.code, "expires_at": code.expires_at.isoformat(), "server": settings.origin}

    made = transact(settings, work)
    say(
        made,
        as_json,
        f"Code {made['code']}, good once, until {made['expires_at']}. On the hub:\n"
        f"  doorstep hub enrol {made['code']} --server {made['server']} --name NAME",
    )


@app.command("enrol-reader")
def enrol_reader(
    organisation: OrganisationName,
    site: Annotated[str, typer.Option("--site", help="Where the reader is used; made when it is new.")],
    name: Annotated[str, typer.Option("--name", help="Name on the reader's screen.")],
    as_json: AsJson = False,
) -> None:
    """Make a reader's identity and secret key. The key is shown now and never again."""
    from server.organisations import service as organisations
    from server.readers import service as readers

    settings = load_settings()
    keys = keyring(settings)

    async def work(session: AsyncSession) -> dict[str, str | int]:
        found = await organisations.enter_organisation(session, organisation)
        place = await organisations.site(session, found, site)
        made = await readers.enrol(session, keys, found, place, name, _ACTOR)
        return {"reader_id": made.reader_id.hex(), "key": made.key.hex(), "generation": made.generation, "name": name}

    made = transact(settings, work)
    say(
        made,
        as_json,
        f"Reader {made['reader_id']}\nKey    {made['key']} (generation {made['generation']})\n"
        "Put both into the reader now: the key is not shown again.",
    )


@app.command("revoke-reader")
def revoke_reader(
    organisation: OrganisationName,
    reader: Annotated[str, typer.Argument(help="The reader's id, 16 hexadecimal digits.")],
    as_json: AsJson = False,
) -> None:
    """Revoke a reader: no hub gets a ticket for it any more. Records that it made are still taken."""
    from server.organisations import service as organisations
    from server.readers import service as readers

    reader_id = identifier(reader, "reader")

    async def work(session: AsyncSession) -> dict[str, str | bool]:
        found = await organisations.enter_organisation(session, organisation)
        return {"reader_id": reader_id.hex(), "changed": await readers.revoke(session, found, reader_id, _ACTOR)}

    made = transact(load_settings(), work)
    say(made, as_json, f"Reader {reader_id.hex()} {'is' if made['changed'] else 'was already'} revoked.")


@app.command("revoke-hub")
def revoke_hub(
    organisation: OrganisationName,
    hub: Annotated[str, typer.Argument(help="The hub's id, 16 hexadecimal digits.")],
    as_json: AsJson = False,
) -> None:
    """Revoke a hub: the server answers it no more."""
    from server.hubs import service as hubs
    from server.organisations import service as organisations

    hub_id = identifier(hub, "hub")

    async def work(session: AsyncSession) -> dict[str, str | bool]:
        found = await organisations.enter_organisation(session, organisation)
        return {"hub_id": hub_id.hex(), "changed": await hubs.revoke(session, found, hub_id, _ACTOR)}

    made = transact(load_settings(), work)
    say(made, as_json, f"Hub {hub_id.hex()} {'is' if made['changed'] else 'was already'} revoked.")


@app.command("custody-policy")
def custody_policy(
    organisation: OrganisationName,
    silent_hours: Annotated[int, typer.Option("--silent-hours", help="Hours without a new record until an alert.")],
    as_json: AsJson = False,
) -> None:
    """Say how long a reader may be silent before it is alarmed; without it, a week."""
    from server.custody import alerts
    from server.organisations import service as organisations

    async def work(session: AsyncSession) -> dict[str, int]:
        found = await organisations.enter_organisation(session, organisation)
        await alerts.set_silence(session, found.id, silent_hours, _ACTOR)
        return {"silent_hours": silent_hours}

    made = transact(load_settings(), work)
    say(made, as_json, f"A reader is alarmed after {silent_hours} hours without a new record.")


@app.command("new-epoch")
def new_epoch(
    why: Annotated[str, typer.Option("--why", help="Such as: restored from the backup of Monday.")],
    as_json: AsJson = False,
) -> None:
    """Begin a new epoch after the database was restored, so that every hub offers again what it still keeps."""
    _, owner_url = addresses(load_settings())
    try:
        made = epoch.begin(owner_url, why)
    except (DBAPIError, ValueError) as error:
        stop(fault(error), FAILED)
    say({"epoch": made.hex()}, as_json, f"Epoch {made.hex()} begins. Hubs offer again what they keep.")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A file that `doorstep hub export` made.")],
    answer: Annotated[
        Path | None, typer.Option("--answer", help="Write the receipts to this file, for `doorstep hub import`.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over an answer of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take what a hub wrote to a file, as if it had come over the network. Taking it twice changes nothing."""
    from server.custody import importing

    settings = load_settings()
    keys = keyring(settings)
    every = timedelta(hours=settings.clock_floor_hours)

    async def work(sessions: Sessions, pool: Pool) -> importing.Imported:
        with progress("Importing") as moved:
            return await importing.take(sessions, pool, keys, every, file, answer, replace, moved)

    try:
        made = exchange(settings, work)
    except importing.FileRefused as error:
        stop(str(error), FAILED)
    words = f"{made.records} records: {made.held} held now, {made.duplicates} held before"
    words += "".join(f", {count} {what}" for what in ("conflicts", "quarantined") if (count := getattr(made, what)))
    if made.registrations:
        words += f". {made.registrations} registrations"
        words += f", {aside} of them set aside" if (aside := made.registrations_set_aside) else ""
    back = f" {answer} holds {made.receipts} receipts for the hub." if answer else ""
    say(asdict(made), as_json, f"{words}.{back}")


@app.command("results")
def results(organisation: OrganisationName, as_json: AsJson = False) -> None:
    """List an organisation's results, oldest first. The reading is written to the audit log before it is done."""
    from server.organisations import service as organisations
    from server.results import export

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        found = await organisations.enter_organisation(session, organisation)
        return [asdict(one) for one in await export.export(session, _ACTOR, found.id)]

    found = transact(load_settings(), work)
    if as_json:
        print(json.dumps(found))
        return
    table = Table("Specimen", "Assay", "Outcome", "Reason", "Value", "Tested")
    for one in found:
        table.add_row(
            *(str(one[key] or "") for key in ("specimen", "assay", "outcome", "reason", "value", "tested_at"))
        )
    Console().print(table)
