"""The lists of operators and of recalled lots that readers are sent: each replaces the one before on every reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlmodel.ext.asyncio.session import AsyncSession

from reader import wire
from server.audit import service as audit
from server.audit.service import Actor
from server.custody import cose, queueing
from server.organisations.models import Organisation
from server.problems import Problem
from server.quality import repository
from server.readers.keys import Keyring
from server.readers.service import ReaderUnknown

BADGE_MAX = 16
_EPOCH = date(1970, 1, 1)
_KINDS = {wire.DOWN_OPERATORS: "operators", wire.DOWN_RECALLS: "recalls"}


class ListUnusable(Problem):
    """A reader would not take this list."""

    status = 422
    code = "list-unusable"
    title = "That is no list that a reader takes"


@dataclass(frozen=True, slots=True)
class Operator:
    """A badge, and the last day that it may be used; None for no end."""

    badge: str
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class Recall:
    """A lot of a trade item; None for every lot."""

    gtin: str
    lot: str | None = None


def operators(rows: Sequence[Operator]) -> dict[int, object]:
    """The downlink message of a list of operators. Raises `ListUnusable`."""
    for row in rows:
        rest = row.badge[2:]
        # As reader.identify knows a badge: any other code is a specimen's.
        if not (row.badge.startswith("OP") and 4 <= len(row.badge) <= BADGE_MAX and rest.isascii() and rest.isalnum()):
            raise ListUnusable(f"{row.badge!r} is no badge: OP, then 2 to 14 capital letters and digits.")
        if rest != rest.upper():
            raise ListUnusable(f"{row.badge!r} is no badge: its letters are capitals.")
        if row.last_day is not None and row.last_day < _EPOCH:
            raise ListUnusable(f"The last day of {row.badge} is before 1970.")
    badges = [row.badge for row in rows]
    if len(set(badges)) != len(badges):
        raise ListUnusable("A badge is on the list twice. Leave one of them out.")
    if not rows:
        raise ListUnusable("Name at least one operator, or lift the list: then a test needs no badge.")
    days = [[row.badge, None if row.last_day is None else (row.last_day - _EPOCH).days] for row in rows]
    return _message(wire.DOWN_OPERATORS, days)


def lift_operators() -> dict[int, object]:
    """The downlink message of the empty list: from then on a test needs no badge, as before there was a list."""
    return _message(wire.DOWN_OPERATORS, [])


def recalls(rows: Sequence[Recall]) -> dict[int, object]:
    """The downlink message of a list of recalls; an empty one lifts them all. Raises `ListUnusable`."""
    for row in rows:
        if len(row.gtin) != 14 or not (row.gtin.isascii() and row.gtin.isdigit()):
            raise ListUnusable(f"{row.gtin!r} is no GTIN of 14 digits.")
        # GS1 General Specifications section 7.9: weights 3 and 1 in turn, and all digits divide by ten.
        if sum(int(digit) * (1 if at % 2 else 3) for at, digit in enumerate(row.gtin)) % 10:
            raise ListUnusable(f"The check digit of GTIN {row.gtin} is wrong. Look at the pack again.")
        if row.lot is not None and not 1 <= len(row.lot) <= 20:
            raise ListUnusable(f"The lot {row.lot!r} is not one of 1 to 20 characters.")
    return _message(wire.DOWN_RECALLS, [[row.gtin, row.lot] for row in rows])


def _message(kind: int, rows: list[list[str | int | None]]) -> dict[int, object]:
    if len(rows) > wire.LIST_MAX:
        raise ListUnusable(f"A list holds at most {wire.LIST_MAX} entries; this one has {len(rows)}.")
    message: dict[int, object] = {wire.DOWN_TYPE: kind, wire.DOWN_A: rows}
    # Sealed with other keys, but as long.
    sealed = cose.seal_down(bytes(wire.READER_ID_BYTES), 2**32 - 1, 2**16, bytes(wire.KEY_BYTES), message)
    if len(sealed) > wire.DOWN_MAX:
        raise ListUnusable(f"The list is too long for one message of {wire.DOWN_MAX} bytes. Leave entries out.")
    return message


async def send(
    session: AsyncSession,
    keyring: Keyring,
    organisation: Organisation,
    message: Mapping[int, object],
    reader_id: bytes | None,
    actor: Actor,
) -> dict[bytes, int]:
    """Queue a list for one reader, or for every reader that is not revoked: the command's number by reader.

    Raises `ReaderUnknown`, `KeyUnreadable`, `QueueBusy`.
    """
    readers = await repository.readers(session) if reader_id is None else [reader_id]
    kind = message[wire.DOWN_TYPE]
    assert isinstance(kind, int)
    rows = message[wire.DOWN_A]
    assert isinstance(rows, list)
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action=f"{_KINDS[kind]}.send",
        subject_kind="reader",
        subject="all" if reader_id is None else reader_id.hex(),
        detail={"entries": rows},
    )
    numbers = await queueing.queue(session, keyring, organisation.id, readers, message)
    if reader_id is not None and reader_id not in numbers:
        raise ReaderUnknown(f"{organisation.name} has no reader {reader_id.hex()}, or it is revoked.")
    return numbers
