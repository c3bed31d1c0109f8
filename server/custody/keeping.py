"""Gives authentic records their places: inserts those that are new, quarantines those whose place is disputed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reader import wire
from server.custody import chain, cose, opening, repository
from server.custody.chain import Held, Link, Place, Placing
from server.custody.opening import Authentic, Refused
from server.custody.repository import Moved, NewQuarantine, NewRecord
from server.database.direct import Connection
from server.results.record import EventRecord


@dataclass(frozen=True, slots=True)
class Source:
    """Whose offer it is, and when the server had it."""

    organisation_id: UUID
    hub_id: bytes
    at: datetime


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class Answer:
    """What became of one record of an offer, as the protocol says it."""

    reader_id: bytes | None
    number: int | None
    disposition: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """The records that took their places, and the answer to every one, by index."""

    taken: list[Authentic]
    answers: dict[int, Answer]


_DISPUTES = {
    Place.CONFLICT: ("conflict", "Another authentic record has this number. Two readers may share one key: a clone."),
    Place.FORK: ("fork", "The record before it is not the one that it names. Two readers may share one key: a clone."),
}


def places(authentic: Sequence[Authentic]) -> list[tuple[bytes, int]]:
    """The (reader, number)s that `keep` must know of: those of the records, and those they declare damaged."""
    wanted = [(one.header.reader_id, one.header.number) for one in authentic]
    for one in authentic:
        damages = _damages(one)
        if damages is not None:
            wanted.append((one.header.reader_id, damages))
    return wanted


def keep(connection: Connection, source: Source, authentic: list[Authentic], held: dict[bytes, Held]) -> Kept:
    """Decide and write. The custody of every reader in question must be locked, and `held` know all `places`."""
    before = {reader_id: state.held_to for reader_id, state in held.items()}
    placing = chain.place([_link(one) for one in authentic], held)
    taken = [one for one in authentic if placing.places[one.index] is Place.TAKEN]
    _walk_beyond(connection, held, before, {(one.header.reader_id, one.header.number) for one in taken})
    custody = _custody(authentic, placing, held)
    repository.keep(
        connection,
        source.organisation_id,
        source.hub_id,
        source.at,
        [_row(one) for one in taken],
        [one.digest for one in taken],
        custody,
    )
    quarantine(connection, source, _disputed(authentic, placing) + _broken(connection, placing))
    return Kept(taken, {one.index: _answer(one, placing.places[one.index]) for one in authentic})


def refuse(connection: Connection, source: Source, refused: Sequence[Refused]) -> dict[int, Answer]:
    """Quarantine records that are not authentic, with their bytes. They take no place."""
    rows = [
        NewQuarantine(
            reader_id=one.header.reader_id if one.header else None,
            number=one.header.number if one.header else None,
            code=one.code,
            sentence=one.sentence,
            content=one.sealed,
            digest=one.digest,
        )
        for one in refused
    ]
    quarantine(connection, source, rows)
    return {
        one.index: Answer(
            one.header.reader_id if one.header else None,
            one.header.number if one.header else None,
            wire.QUARANTINED,
            one.code,
        )
        for one in refused
    }


def quarantine(connection: Connection, source: Source, rows: Sequence[NewQuarantine]) -> None:
    """Write quarantine rows, if any."""
    if rows:
        repository.quarantine(connection, source.organisation_id, source.hub_id, source.at, rows)


def _link(one: Authentic) -> Link:
    h = one.header
    return Link(one.index, h.reader_id, h.number, h.previous, cose.hash_of(one.digest), _damages(one))


def _damages(one: Authentic) -> int | None:
    """The number of an earlier record that this one, an event, declares damaged."""
    event = one.content
    if not isinstance(event, EventRecord) or event.code != wire.EVENT_RECORD_DAMAGED or not event.numbers:
        return None
    return event.numbers[0] if 0 < event.numbers[0] < one.header.number else None


def _row(one: Authentic) -> NewRecord:
    h = one.header
    return NewRecord(h.reader_id, h.number, h.generation, h.previous, cose.hash_of(one.digest), one.sealed)


def _answer(one: Authentic, place: Place) -> Answer:
    reader_id, number = one.header.reader_id, one.header.number
    match place:
        case Place.TAKEN:
            # Held all the same: the reader may let go of it once it has its receipt.
            problem = None if one.content is not None else opening.NOT_UNDERSTOOD
            return Answer(reader_id, number, wire.HELD, problem)
        case Place.DUPLICATE:
            return Answer(reader_id, number, wire.DUPLICATE, None)
        case Place.CONFLICT:
            return Answer(reader_id, number, wire.CONFLICT, None)
        case Place.FORK:
            return Answer(reader_id, number, wire.QUARANTINED, _DISPUTES[place][0])


def _disputed(authentic: Sequence[Authentic], placing: Placing) -> list[NewQuarantine]:
    rows: list[NewQuarantine] = []
    for one in authentic:
        place = placing.places[one.index]
        if place in _DISPUTES:
            code, sentence = _DISPUTES[place]
        elif place is Place.TAKEN and one.content is None:
            code, sentence = opening.NOT_UNDERSTOOD, one.why_not or ""
        else:
            continue
        rows.append(NewQuarantine(one.header.reader_id, one.header.number, code, sentence, one.sealed, one.digest))
    return rows


def _broken(connection: Connection, placing: Placing) -> list[NewQuarantine]:
    """Records held out of turn that turn out not to follow what came before them: they stay, and are shown."""
    broken = [(reader_id, number) for reader_id, numbers in placing.broken.items() for number in numbers]
    if not broken:
        return []
    code, sentence = _DISPUTES[Place.FORK]
    return [
        NewQuarantine(reader_id, number, code, sentence, sealed, opening.digest_of(sealed))
        for reader_id, number, sealed in repository.held_bytes(connection, broken)
    ]


def _walk_beyond(
    connection: Connection, held: dict[bytes, Held], before: dict[bytes, int], taken: Collection[tuple[bytes, int]]
) -> None:
    """Where a gap was closed, move on through the records that came before their turn.

    That is so where the chain moved and now ends at a record that was held before: its successor was not looked up.
    """
    for reader_id, state in held.items():
        start = state.held_to
        if start == before[reader_id] or (reader_id, start) in taken:
            continue
        while True:
            beyond = repository.beyond(connection, reader_id, start)
            chain.advance(state, beyond)
            if len(beyond) < repository.WALK or state.held_to - start < len(beyond):
                break
            start = state.held_to


def _custody(authentic: Sequence[Authentic], placing: Placing, held: dict[bytes, Held]) -> list[Moved]:
    """What the offer says of each of its readers' custody."""
    highest: dict[bytes, int] = {}
    heard: set[bytes] = set()
    forked = set(placing.broken)
    for one in authentic:
        reader_id, number = one.header.reader_id, one.header.number
        highest[reader_id] = max(highest.get(reader_id, 0), number)
        place = placing.places[one.index]
        if place in _DISPUTES:
            forked.add(reader_id)
        elif place is Place.TAKEN:
            heard.add(reader_id)
    return [
        Moved(reader_id, held[reader_id], highest[reader_id], reader_id in forked, reader_id in heard)
        for reader_id in sorted(highest)
    ]
