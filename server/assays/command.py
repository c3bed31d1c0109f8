"""`doorstep server assay`: the catalogue of assays, loading a pack into it, and sending packs to readers."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import assays, packfile
from server.assays import codes, service
from server.assays.service import Known
from server.audit.service import Actor
from server.console import USAGE, identifier, keyring, load_settings, say, stop, transact
from server.custody.queueing import QueueBusy
from server.organisations import service as organisations

app = typer.Typer(no_args_is_help=True, help="Show, load and send assay packs.", pretty_exceptions_enable=False)

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_ACTOR = Actor("command", "doorstep server assay")
_NO_CODE = "no code"


@app.command("list")
def list_assays(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """List every assay by id and version, and which version each reader has taken."""

    async def work(session: AsyncSession) -> dict[str, list[dict[str, Any]]]:
        await organisations.enter_only_organisation(session, organisation)
        known = [_shown(one) for one in await service.catalogue(session)]
        held = [
            {
                "reader_id": one.reader_id.hex(), "name": one.reader, "assay": one.assay, "taken": one.taken,
                "sent": one.sent, "state": str(one.state),
            }
            for one in await service.held(session)
        ]  # fmt: skip
        return {"assays": known, "readers": held}

    found = transact(load_settings(), work)
    if as_json:
        print(json.dumps(found))
        return
    table = Table("Assay", "Version", "Name", "Kind", "From", "Values", "LOINC", "SHA-256")
    for one in found["assays"]:
        loinc = ", ".join(f"{code['analyte']}: {code['loinc'] or _NO_CODE}" for code in one["codes"])
        values = "illustrative" if one["illustrative"] else "as loaded"
        table.add_row(
            one["id"], str(one["version"]), one["name"], one["kind"], one["origin"], values, loinc, one["digest"][:16]
        )
    Console().print(table)
    readers = Table("Reader", "Name", "Assay", "Has taken", "Sent last", "State")
    for one in found["readers"]:
        taken = "its firmware's" if one["taken"] is None else str(one["taken"])
        readers.add_row(one["reader_id"], one["name"], one["assay"], taken, str(one["sent"]), one["state"])
    Console().print(readers)


def _shown(one: Known) -> dict[str, Any]:
    assay = one.assay
    return {
        "id": assay.id,
        "version": assay.version,
        "name": assay.name,
        "kind": "strip" if assay.kind == assays.STRIP else "amplification",
        "origin": str(one.origin),
        "illustrative": assay.illustrative,
        "digest": one.digest,
        "gtins": list(assay.gtins),
        "codes": [{"analyte": name, "loinc": codes.loinc(assay.id, name)} for name in assay.analytes],
    }


@app.command("load")
def load(
    file: Annotated[Path, typer.Argument(help="A pack in TOML, as those in firmware/packs.")],
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Add a version of an assay to the catalogue. A version, once there, is never changed."""
    try:
        pack = packfile.compile_file(file)
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror}.", USAGE)
    except assays.PackError as error:
        stop(f"{file} is no assay pack that may be used. {error.field}: {error.why}. Correct it and load it again.", 2)

    async def work(session: AsyncSession) -> dict[str, Any]:
        found = await organisations.enter_only_organisation(session, organisation)
        made = await service.load(session, found, pack, _ACTOR)
        return {
            "id": made.assay.id, "version": made.assay.version, "digest": made.digest, "added": made.added,
            "illustrative": made.assay.illustrative, "results_to_recompute": made.again,
        }  # fmt: skip

    made = transact(load_settings(), work)
    which = f"{made['id']} version {made['version']}"
    words = f"{which} is in the catalogue." if made["added"] else f"{which} was there already, the same."
    if made["illustrative"]:
        words += " Its values are marked illustrative: results will say that they are not for clinical use."
    say(made, as_json, f"{words}\nSend it with: doorstep server assay send {made['id']} --all")


@app.command("send")
def send(
    assay: Annotated[str, typer.Argument(help="The assay's id.")],
    version: Annotated[int | None, typer.Option("--version", help="Which; the newest without it.")] = None,
    reader: Annotated[str | None, typer.Option("--reader", help="One reader: its id, 16 hexadecimal digits.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every reader that is not revoked.")] = False,
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Queue a pack for a reader or for all; the next hub that meets each brings it, and the reader's record says so."""
    if (reader is None) == (not every):
        stop("Say which readers with --reader ID, or --all for every one.", USAGE)
    reader_id = identifier(reader, "reader") if reader else None
    settings = load_settings()
    keys = keyring(settings)

    async def work(session: AsyncSession) -> dict[str, Any]:
        found = await organisations.enter_only_organisation(session, organisation)
        try:
            made = await service.send(session, keys, found, assay, version, reader_id, _ACTOR)
        except QueueBusy as error:
            stop(str(error), 1)
        return {
            "id": assay, "version": made.version, "digest": made.digest, "higher": made.higher,
            "readers": [
                {"reader_id": one.reader_id.hex(), "name": one.reader, "command": one.number} for one in made.readers
            ],
        }  # fmt: skip

    made = transact(settings, work)
    queued = [one for one in made["readers"] if one["command"] is not None]
    words = f"{assay} version {made['version']} is queued for {len(queued)} readers"
    had = len(made["readers"]) - len(queued)
    if had:
        words += f"; {had} have it or wait for it"
    if made["higher"]:
        words += f"; left alone, for they were given a higher version: {', '.join(made['higher'])}"
    say(made, as_json, f"{words}.")
