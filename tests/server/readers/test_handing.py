"""A reader goes to another organisation once nothing of it is owed to anybody, and takes nothing of its past along."""

import pytest

from reader import outcome, wire
from server.custody import ledger
from server.database import tenancy
from server.readers import handing
from server.readers.handing import ReaderOwes, SameOrganisation
from server.readers.service import EnrolledReader, ReaderRevoked, ReaderUnknown
from tests.server import factory
from tests.server.conftest import ACTOR, Ward

HELD = (wire.HELD, None)


async def hand_over(giving: Ward, taking: Ward, reader: factory.Reader, name: str | None = None) -> EnrolledReader:
    async with tenancy.transaction(giving.sessions, giving.id) as session:
        return await handing.hand_over(
            session, giving.keyring, giving.organisation, taking.organisation, reader.reader_id, "Hall", name, ACTOR
        )


async def collected(ward: Ward, reader: factory.Reader, sealed: list[bytes]) -> None:
    """A hub brings the records, and at the next visit sees that the reader has let go of them."""
    answer = await ward.exchange(sealed)
    assert answer.answers == [HELD] * len(sealed)
    held = answer.receipts[reader.reader_id]
    sighting = factory.sighting(reader, released=held)
    await ward.exchange(sightings=[sighting])


async def refused(giving: Ward, taking: Ward, reader: factory.Reader, *words: str) -> None:
    with pytest.raises(ReaderOwes) as caught:
        await hand_over(giving, taking, reader)
    assert all(word in str(caught.value) for word in words)
    [row] = await giving.rows("SELECT revoked_at FROM reader WHERE reader_id = :id", id=reader.reader_id)
    assert row.revoked_at is None
    assert await taking.rows("SELECT reader_id FROM reader") == []


async def test_it_goes_under_another_id_and_key_and_its_history_stays(ward: Ward, other_ward: Ward) -> None:
    reader = await ward.reader("Seven")
    await collected(ward, reader, [reader.seal(factory.event(wire.EVENT_BOOT, moment=reader.moment()))])
    made = await hand_over(ward, other_ward, reader)
    assert made.reader_id != reader.reader_id
    assert made.key != reader.key
    assert made.name == "Seven"
    [row] = await other_ward.rows(
        "SELECT r.reader_id, s.name, c.held_to FROM reader r JOIN site s ON s.id = r.site_id"
        " JOIN custody c ON c.reader_id = r.reader_id"
    )
    assert (bytes(row.reader_id), row.name, row.held_to) == (made.reader_id, "Hall", 0)
    assert await other_ward.rows("SELECT 1 FROM sealed_record") == [], "nobody there sees what it did here"
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert (await ledger.prove(session, reader.reader_id)).held == 1
    acts = await ward.rows("SELECT action, detail FROM audit_entry WHERE subject = :id", id=reader.reader_id.hex())
    assert {"to": str(other_ward.id)} in [row.detail for row in acts if row.action == "reader.hand-over"]

    renewed = factory.Reader(made.reader_id, made.key)
    await collected(other_ward, renewed, [renewed.seal(factory.event(wire.EVENT_BOOT, moment=renewed.moment()))])
    answer = await ward.exchange(sightings=[factory.sighting(reader)])
    assert [item for item in answer.of(wire.ITEM_TICKET) if item[1] == reader.reader_id] == [], "no hub speaks to it"
    with pytest.raises(ReaderRevoked):
        await hand_over(ward, other_ward, reader)


async def test_a_reader_that_was_never_used_goes_at_once_with_another_name(ward: Ward, other_ward: Ward) -> None:
    made = await hand_over(ward, other_ward, await ward.reader("Seven"), "Eight")
    assert made.name == "Eight"


async def test_it_stays_while_a_record_is_on_its_way(ward: Ward, other_ward: Ward) -> None:
    reader = await ward.reader()
    first, second = (reader.seal(factory.event(wire.EVENT_BOOT, moment=reader.moment())) for _ in range(2))
    await ward.exchange([second])
    await refused(ward, other_ward, reader, "carries 2 of its records")
    await ward.exchange([first])
    await refused(ward, other_ward, reader, "last receipt")
    await ward.exchange(sightings=[factory.sighting(reader, next=4, released=2)])
    await refused(ward, other_ward, reader, "carries 1 of its records")
    third = reader.seal(factory.event(wire.EVENT_BOOT, moment=reader.moment()))
    await collected(ward, reader, [third])
    await hand_over(ward, other_ward, reader)


async def test_it_stays_while_a_positive_is_open(ward: Ward, other_ward: Ward) -> None:
    reader = await ward.reader()
    await collected(ward, reader, reader.results(1, outcome_code=outcome.POSITIVE))
    await refused(ward, other_ward, reader, "1 follow-ups")


async def test_it_stays_while_a_record_is_set_aside(ward: Ward, other_ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.seal(factory.event(wire.EVENT_BOOT, moment=reader.moment()))
    broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
    [(disposition, _)] = (await ward.exchange([broken])).answers
    assert disposition == wire.QUARANTINED
    await refused(ward, other_ward, reader, "quarantine")


async def test_not_to_itself_and_not_somebody_elses(ward: Ward, other_ward: Ward) -> None:
    reader = await ward.reader()
    with pytest.raises(SameOrganisation):
        await hand_over(ward, ward, reader)
    with pytest.raises(ReaderUnknown):
        await hand_over(other_ward, ward, reader)
