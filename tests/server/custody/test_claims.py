"""What a hub says of a reader is shown as what a hub says: it moves no figure of custody, and hides nothing."""

from server.custody import ledger
from server.database import tenancy
from tests.server import factory
from tests.server.conftest import Ward

MOST = 0xFFFF_FFFF


async def line_of(ward: Ward, reader: factory.Reader) -> ledger.Line:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        [line] = await ledger.ledger(session, reader.reader_id)
    return line


async def test_a_hub_that_invents_numbers_moves_neither_what_was_issued_nor_what_was_released(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(3))
    lie = factory.sighting(reader, next=MOST, released=MOST - 1, down=MOST)
    await ward.exchange(sightings=[lie])
    line = await line_of(ward, reader)
    assert (line.issued, line.held, line.gaps) == (3, 3, 0)
    # Nobody can have let go of more than the server has sealed receipts for.
    assert line.released == 3
    assert line.claimed == MOST - 1
    assert line.undelivered == 4, "it is shown that records may wait, as a claim"


async def test_a_true_sighting_says_what_waits_before_any_of_it_is_here(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(2))
    await ward.exchange(sightings=[factory.sighting(reader, next=6, released=2)])
    line = await line_of(ward, reader)
    assert (line.issued, line.claimed, line.held, line.released, line.undelivered) == (2, 5, 2, 2, 3)
    assert line.waiting_since is not None
    await ward.exchange(reader.results(3))
    line = await line_of(ward, reader)
    assert (line.issued, line.held, line.undelivered, line.waiting_since) == (5, 5, None, None)


async def test_a_hub_that_says_commands_were_taken_stops_them_for_no_other_hub(ward: Ward) -> None:
    reader = await ward.reader()
    before = (await ward.exchange()).of(4)
    await ward.exchange(sightings=[factory.sighting(reader, down=MOST)])
    assert (await ward.exchange()).of(4) == before, "the command still waits"


async def test_records_offered_again_are_no_sign_of_life(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(2)
    await ward.exchange(sealed)
    heard = (await line_of(ward, reader)).last_heard
    await ward.exchange(sealed, sightings=[factory.sighting(reader)])
    line = await line_of(ward, reader)
    assert line.last_heard == heard
    assert line.last_contact is not None
    await ward.exchange(reader.results(1))
    later = (await line_of(ward, reader)).last_heard
    assert heard is not None
    assert later is not None
    assert later > heard
