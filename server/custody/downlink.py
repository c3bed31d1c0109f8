"""What goes down with an answer: receipts, tickets and commands for the readers that a hub may carry.

A hub may carry every reader of its organisation that is not revoked. An answer speaks of at most `READERS_MAX` of them:
those of the offer first, then those that wait for a receipt, a ticket or a command.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from reader import wire
from server.custody import cose, downlink_repository
from server.custody.chain import Held
from server.custody.downlink_repository import Carried, NewCommand
from server.database.direct import Connection, Pending
from server.readers import keys
from server.readers.keys import Keyring

READERS_MAX = 1_000
COMMANDS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How long tickets live, how often a reader is given a clock floor, and whether this answer may hold `tickets`:
    they are secrets, and one by file is read by whoever finds it. `new_max` readers at most get a new one of either."""

    ticket_life: timedelta
    clock_floor_every: timedelta
    tickets: bool = True
    new_max: int | None = None


class TooMuch(Exception):
    """More than `Policy.new_max` readers are due a new ticket or clock floor. Nothing was stored: it is rolled back."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """The hub that will carry: its own tickets (expiry by reader, Unix seconds) and the readers of its present offer.

    `seen_down` is the last command number that it saw a reader to have taken.
    """

    hub_id: bytes
    organisation_id: UUID
    tickets: dict[bytes, int]
    readers: Collection[bytes]
    seen_down: dict[bytes, int]


@dataclass(frozen=True, slots=True)
class Due:
    """What is due by a carrier: `carried` as it was asked, and how far the readers of the offer are held since."""

    carried: list[Carried]
    held: Mapping[bytes, Held]


def ask(connection: Connection, policy: Policy, carrier: Carrier, at: datetime) -> Pending[list[Carried]]:
    """Ask what is due. What the offer says of its readers' commands must have been stored before."""
    return downlink_repository.carried(
        connection,
        organisation_id=carrier.organisation_id,
        hub_id=carrier.hub_id,
        named=carrier.readers,
        limit=READERS_MAX,
        tickets=carrier.tickets,
        renew_before_s=int((at + policy.ticket_life / 2).timestamp()),
        floor_before=at - policy.clock_floor_every,
    )


def items(
    connection: Connection,
    keyring: Keyring,
    policy: Policy,
    carrier: Carrier,
    due: Due,
    epoch: bytes,
    at: datetime,
) -> Callable[[], list[list[Any]]]:
    """Gives the receipt, ticket and command items of an answer; it sends nothing to the database.

    New tickets and clock floors are noted in the transaction before it is returned. Raises `TooMuch`.
    """
    readers = due.carried
    if policy.new_max is not None and sum(one.ticket_due or one.floor_due for one in readers) > policy.new_max:
        raise TooMuch
    opened = {one.reader_id: keyring.decrypt(one.reader_id, one.generation, one.encrypted) for one in readers}
    floors = [_clock_floor(one, opened[one.reader_id], at) for one in readers if one.floor_due]
    if floors:
        downlink_repository.put_commands(connection, carrier.organisation_id, at, floors)
    tickets = _tickets(connection, policy, carrier, readers, opened, at) if policy.tickets else []
    commands = _commands(connection, carrier, readers)

    def made() -> list[list[Any]]:
        receipts = [_receipt(one, due.held.get(one.reader_id), opened, epoch) for one in readers]
        waiting = commands.result() if commands else []
        return [*(receipt for receipt in receipts if receipt is not None), *tickets, *waiting]

    return made


def _receipt(reader: Carried, held: Held | None, opened: Mapping[bytes, bytes], epoch: bytes) -> list[Any] | None:
    """The receipt for all that is held of a reader, if one is due: `held` is what is newer than `reader` says."""
    held_to, held_hash = (held.held_to, held.held_hash) if held else (reader.held_to, reader.held_hash)
    if held_to == 0 or not (reader.is_named or reader.receipt_due):
        return None
    sealed = _sealed_receipt(reader.reader_id, reader.generation, opened[reader.reader_id], held_to, held_hash, epoch)
    return [wire.ITEM_RECEIPT, reader.reader_id, held_to, sealed]


# A receipt is due with every answer until the reader is known to have it: what says the same is the same bytes.
@lru_cache(maxsize=4_096)
def _sealed_receipt(
    reader_id: bytes, generation: int, key: bytes, held_to: int, held_hash: bytes, epoch: bytes
) -> bytes:
    message = {
        wire.DOWN_TYPE: wire.DOWN_RECEIPT,
        wire.DOWN_A: held_to,
        wire.DOWN_B: held_hash,
        wire.DOWN_C: epoch,
    }
    return cose.seal_down(reader_id, held_to, generation, keys.downlink_key(reader_id, key), message)


def _clock_floor(reader: Carried, key: bytes, at: datetime) -> NewCommand:
    """A clock floor under the reader's next command number; one that still waits is sealed anew with the later time.

    Of two floors under one number the reader takes whichever comes first, and either is true.
    """
    number = reader.floor_number or reader.last_command + 1
    message = {wire.DOWN_TYPE: wire.DOWN_CLOCK_FLOOR, wire.DOWN_A: int(at.timestamp() * 1000)}
    downlink_key = keys.downlink_key(reader.reader_id, key)
    sealed = cose.seal_down(reader.reader_id, number, reader.generation, downlink_key, message)
    return NewCommand(reader.reader_id, number, wire.DOWN_CLOCK_FLOOR, sealed, reader.generation)


def _tickets(
    connection: Connection,
    policy: Policy,
    carrier: Carrier,
    readers: Sequence[Carried],
    opened: dict[bytes, bytes],
    at: datetime,
) -> list[list[Any]]:
    due = [one for one in readers if one.ticket_due]
    if not due:
        return []
    expires_at = at + policy.ticket_life
    expiry_s = int(expires_at.timestamp())
    downlink_repository.note_tickets(
        connection, carrier.organisation_id, carrier.hub_id, due, expires_at.replace(microsecond=0), at
    )
    return [
        [
            wire.ITEM_TICKET,
            one.reader_id,
            expiry_s,
            one.generation,
            keys.ticket_secret(one.reader_id, opened[one.reader_id], carrier.hub_id, expiry_s),
        ]
        for one in due
    ]


def _commands(connection: Connection, carrier: Carrier, readers: Sequence[Carried]) -> Pending[list[list[Any]]] | None:
    """Commands that wait, in order, beyond what this hub itself saw the reader to have taken."""
    waiting = [one.reader_id for one in readers if one.commands_wait or one.floor_due]
    if not waiting:
        return None
    return downlink_repository.waiting_commands(connection, waiting, COMMANDS_MAX).then(
        lambda commands: [
            [wire.ITEM_DOWN, reader_id, number, sealed]
            for reader_id, number, sealed in commands
            if number > carrier.seen_down.get(reader_id, 0)
        ]
    )
