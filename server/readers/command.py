"""`doorstep server reader`: a reader's keys - a new one by downlink, or one that this database has lost, put back - and
handing it to another organisation."""

import sys
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import wire
from server.audit.service import Actor
from server.console import USAGE, identifier, keyring, load_settings, say, stop, transact
from server.organisations import service as organisations
from server.readers import handing
from server.readers import service as readers

app = typer.Typer(
    no_args_is_help=True, help="Look after one reader: its keys, and whose it is.", pretty_exceptions_enable=False
)

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
ReaderId = Annotated[str, typer.Argument(help="The reader's id, 16 hexadecimal digits.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_ACTOR = Actor("command", "doorstep server reader")


@app.command("rotate-key")
def rotate_key(reader: ReaderId, organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Give a reader a new key by the next hub that meets it. What its old key sealed still opens."""
    settings = load_settings()
    ring = keyring(settings)
    reader_id = identifier(reader, "reader")

    async def work(session: AsyncSession) -> dict[str, str | int]:
        found = await organisations.enter_only_organisation(session, organisation)
        made = await readers.rotate_key(session, ring, found, reader_id, _ACTOR)
        return {"reader_id": made.reader_id.hex(), "generation": made.generation, "command": made.command}

    made = transact(settings, work)
    say(
        made,
        as_json,
        f"Reader {made['reader_id']} gets its key of generation {made['generation']} by command {made['command']},"
        " from the next hub that meets it.",
    )


@app.command("hand-over")
def hand_over(
    reader: ReaderId,
    organisation: Annotated[str, typer.Option("--organisation", help="Name of the organisation that gives it away.")],
    to: Annotated[str, typer.Option("--to", help="Name of the organisation that gets it.")],
    site: Annotated[str, typer.Option("--site", help="Where it is used there; made when it is new.")],
    name: Annotated[str | None, typer.Option("--name", help="Name on its screen; it keeps its own without.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give a reader to another organisation, under a new id and key; what it recorded stays where it is.

    It is refused while any of its records is not held, set aside or not let go of, or a follow-up of its results is
    open. The new key is shown now and never again: write it into the reader with doorstep reader provision.
    """
    settings = load_settings()
    ring = keyring(settings)
    reader_id = identifier(reader, "reader")

    async def work(session: AsyncSession) -> dict[str, str | int]:
        taking = await organisations.enter_organisation(session, to)
        giving = await organisations.enter_organisation(session, organisation)
        made = await handing.hand_over(session, ring, giving, taking, reader_id, site, name, _ACTOR)
        return {
            "reader_id": made.reader_id.hex(),
            "key": made.key.hex(),
            "generation": made.generation,
            "name": made.name,
            "was": reader_id.hex(),
        }

    made = transact(settings, work)
    say(
        made,
        as_json,
        f"Reader {made['was']} is revoked, and {to} has it as\nReader {made['reader_id']}\n"
        f"Key    {made['key']} (generation {made['generation']})\n"
        "Put both into the reader now, with doorstep reader provision: the key is not shown again.",
    )


@app.command("restore")
def restore(
    reader: ReaderId,
    organisation: OrganisationName = None,
    site: Annotated[
        str, typer.Option("--site", help="Where it is used, if the reader is not known here.")
    ] = "Restored",
    name: Annotated[str, typer.Option("--name", help="Name on its screen, if it is not known here.")] = "Restored",
    generation: Annotated[int, typer.Option("--generation", min=0, help="Generation of the key.")] = 0,
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the key, 64 hexadecimal digits, from standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put back a reader or a key that this database does not have, such as after an older backup was restored.

    A key that `rotate-key` gave is derived anew; the one of its provisioning is read from standard input, never from an
    argument. Then run: doorstep server quarantine process
    """
    settings = load_settings()
    ring = keyring(settings)
    reader_id = identifier(reader, "reader")
    key = _key(sys.stdin.readline()) if key_stdin else None

    async def work(session: AsyncSession) -> dict[str, str | int | bool]:
        found = await organisations.enter_only_organisation(session, organisation)
        place = await organisations.site(session, found, site)
        changed = await readers.restore(session, ring, found, place, name, reader_id, generation, key, _ACTOR)
        return {"reader_id": reader_id.hex(), "generation": generation, "changed": changed}

    made = transact(settings, work)
    done = "is put back" if made["changed"] else "was there already"
    say(made, as_json, f"The key of generation {generation} of reader {reader_id.hex()} {done}.")


def _key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != wire.KEY_BYTES:
        stop(f"Standard input holds no key: give its {2 * wire.KEY_BYTES} hexadecimal digits.", USAGE)
    return key
