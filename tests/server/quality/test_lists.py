"""The lists of operators and recalls go to readers as commands, and nothing goes that a reader would refuse."""

from datetime import date
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cwt import COSE, COSEKey

from reader import lists as reader_lists
from reader import wire
from server.database import tenancy
from server.quality import lists
from server.quality.lists import ListUnusable, Operator, Recall
from server.readers import keys
from server.readers.service import ReaderUnknown
from tests.server import factory
from tests.server.conftest import ACTOR, Ward

GTIN = "02000000000015"


async def send(ward: Ward, message: dict[int, object], reader_id: bytes | None = None) -> dict[bytes, int]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await lists.send(session, ward.keyring, ward.organisation, message, reader_id, ACTOR)


async def opened(ward: Ward, reader: factory.Reader, number: int) -> Any:
    """What the reader reads of the command of that number, opened by another's COSE."""
    statement = "SELECT kind, sealed FROM command WHERE reader_id = :id AND number = :number"
    [row] = await ward.rows(statement, id=reader.reader_id, number=number)
    down_key = keys.downlink_key(reader.reader_id, reader.key)
    key = COSEKey.from_symmetric_key(alg="AES-CCM-16-128-256", key=down_key, kid=reader.reader_id)
    message: Any = cbor2.loads(COSE.new(verify_kid=True).decode(bytes(row.sealed), key))
    assert row.kind == message[1]
    return message


async def test_a_list_is_queued_for_every_reader_as_the_reader_itself_opens_and_keeps_it(ward: Ward) -> None:
    one, two = await ward.reader(), await ward.reader()
    sent = lists.operators([Operator("OPKIT1", date(2026, 11, 30)), Operator("OPKIT2")])
    numbers = await send(ward, sent)
    assert set(numbers) == {one.reader_id, two.reader_id}
    message = await opened(ward, one, numbers[one.reader_id])
    assert message == {1: 6, 2: [["OPKIT1", 20_787], ["OPKIT2", None]]}
    assert reader_lists.encode(wire.DOWN_OPERATORS, message[2]) is not None


async def test_the_list_of_operators_is_lifted_by_an_empty_one_and_never_by_mistake(ward: Ward, tmp_path: Path) -> None:
    one = await ward.reader()
    root = str(tmp_path)
    kept: list[bool] = []
    for sent in (lists.operators([Operator("OPKIT1")]), lists.lift_operators()):
        message = await opened(ward, one, (await send(ward, sent))[one.reader_id])
        content = reader_lists.encode(message[1], message[2])
        assert content is not None
        reader_lists.keep(root, message[1], content)
        kept.append(reader_lists.badge_needed(root))
    assert kept == [True, False]
    entries = [row.detail for row in await ward.rows("SELECT detail FROM audit_entry WHERE action = 'operators.send'")]
    assert entries[-1] == {"entries": []}
    with pytest.raises(ListUnusable):
        lists.operators([])


async def test_one_reader_may_be_named_and_the_audit_log_says_what_was_sent(ward: Ward) -> None:
    one, _ = await ward.reader(), await ward.reader()
    assert set(await send(ward, lists.recalls([Recall(GTIN, "L1")]), one.reader_id)) == {one.reader_id}
    [row] = await ward.rows("SELECT detail FROM audit_entry WHERE action = 'recalls.send'")
    assert row.detail == {"entries": [[GTIN, "L1"]]}
    with pytest.raises(ReaderUnknown):
        await send(ward, lists.recalls([]), bytes(8))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "at least one operator, or lift"),
        ([Operator("NURSE1")], "no badge"),
        ([Operator("OP1")], "no badge"),
        ([Operator("OPkit1")], "capitals"),
        ([Operator("OP" + "X" * 15)], "no badge"),
        ([Operator("OPKIT1"), Operator("OPKIT1")], "twice"),
        ([Operator("OPKIT1", date(1969, 1, 1))], "before 1970"),
        ([Operator(f"OPKIT{n}") for n in range(129)], "at most 128"),
    ],
)
def test_operators_that_no_reader_would_know_are_refused_with_what_is_wrong(rows: list[Operator], says: str) -> None:
    with pytest.raises(ListUnusable, match=says):
        lists.operators(rows)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([Recall("123")], "14 digits"),
        ([Recall("02000000000016")], "check digit"),
        ([Recall(GTIN, "X" * 21)], "1 to 20"),
        ([Recall(GTIN, f"LOT-{n:016d}") for n in range(128)], "too long"),
    ],
)
def test_recalls_that_no_reader_would_take_are_refused_with_what_is_wrong(rows: list[Recall], says: str) -> None:
    with pytest.raises(ListUnusable, match=says):
        lists.recalls(rows)
