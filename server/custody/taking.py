"""What follows once records have their places: rows of what is in them, and what they say of commands and keys."""

from collections.abc import Sequence

from reader import wire
from server.custody import downlink_repository
from server.custody.downlink_repository import Applied
from server.custody.keeping import Source
from server.custody.opening import Authentic, ReaderKeys
from server.database.direct import Connection
from server.results import service as results
from server.results.record import EventRecord, QcRecord, ResultRecord
from server.results.service import Understood
from server.updates import following

_ERROR_MAX = 255


def ask(connection: Connection, authentic: Sequence[Authentic]) -> results.Asked | None:
    """Ask for what `interpret` needs to know; None where there is no test among the records."""
    tests = [(one.header.reader_id, test) for one in authentic if (test := _test(one)) is not None]
    return results.ask(connection, tests)


def _test(one: Authentic) -> ResultRecord | None:
    """What this record says of a test, a person's or a quality control's."""
    content = one.content.test if isinstance(one.content, QcRecord) else one.content
    return content if isinstance(content, ResultRecord) else None


def interpret(
    connection: Connection,
    source: Source,
    taken: Sequence[Authentic],
    own: dict[bytes, ReaderKeys],
    asked: results.Asked | None = None,
) -> None:
    """Write what is in records that took their places; `asked` is what `ask` gave for them, if it was asked."""
    understood = [
        Understood(one.header.reader_id, one.header.number, own[one.header.reader_id].site_id, one.content)
        for one in taken
        if one.content is not None
    ]
    if asked is None:
        asked = ask(connection, taken)
    results.keep(connection, source.organisation_id, source.hub_id, source.at, understood, asked)
    said = [command for one in taken if (command := _applied(one))]
    if said:
        downlink_repository.commands_taken(connection, said, source.at)
    updating = following.concerned((one.reader_id, one.content) for one in understood)
    if updating:
        following.follow(connection, updating, source.at)
    newer = _newer_keys(taken, own)
    if newer:
        downlink_repository.generation_in_use(connection, newer)


def bears_on_downlink(one: Authentic, own: dict[bytes, ReaderKeys]) -> bool:
    """Whether the record says something of what goes down to its reader."""
    return one.header.generation > own[one.header.reader_id].generation or _applied(one) is not None


def _applied(one: Authentic) -> Applied | None:
    """What this record, an event, says of a command that its reader took."""
    event = one.content
    if not isinstance(event, EventRecord) or event.code != wire.EVENT_DOWN_APPLIED:
        return None
    numbers = list(event.numbers)
    if not numbers:
        return None
    # A third number is there where the reader spent the command's number and could not follow it.
    refusal = numbers[2] if len(numbers) > 2 else None
    if refusal is not None and not 0 < refusal <= _ERROR_MAX:
        refusal = wire.ERR_UNSUPPORTED
    return Applied(one.header.reader_id, numbers[0], refusal)


def _newer_keys(taken: Sequence[Authentic], own: dict[bytes, ReaderKeys]) -> list[tuple[bytes, int]]:
    """Readers that are known by now to seal with a newer key than they were known to: (reader, generation)."""
    newer: dict[bytes, int] = {}
    for one in taken:
        reader_id, generation = one.header.reader_id, one.header.generation
        if generation > max(own[reader_id].generation, newer.get(reader_id, -1)):
            newer[reader_id] = generation
    return sorted(newer.items())
