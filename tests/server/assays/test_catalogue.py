"""The catalogue of assays: versions that stand, packs that reach readers, recomputation by the very definition."""

from typing import Any

import cbor2
import cwt
import pytest
from sqlalchemy.exc import DBAPIError

from reader import outcome, packfile, wire
from server.assays import service
from server.assays.service import (
    AssayUnknown,
    Loaded,
    Origin,
    SendingAll,
    State,
    TradeItemTaken,
    VersionFixed,
    VersionLowered,
)
from server.database import tenancy
from server.readers import keys
from server.readers import service as readers
from server.readers.service import ReaderUnknown
from server.results import export, tasks
from tests.reader.stubs.packs import pack
from tests.server import factory
from tests.server.conftest import ACTOR, Ward

SECOND = pack("sars2-ag", version=2, positive_ppm=[40_000], grey_ppm=[30_000], illustrative=False)


async def load(ward: Ward, content: bytes) -> Loaded:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.load(session, ward.organisation, content, ACTOR)


async def send(ward: Ward, assay: str, version: int | None = None, reader: bytes | None = None) -> SendingAll:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.send(session, ward.keyring, ward.organisation, assay, version, reader, ACTOR)


async def held(ward: Ward) -> dict[str, tuple[int | None, int, State]]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return {one.assay: (one.taken, one.sent, one.state) for one in await service.held(session)}


def opened(reader: factory.Reader, item: list[Any]) -> dict[int, Any]:
    """What a command item says, opened by `cwt`."""
    key = cwt.COSEKey.from_symmetric_key(
        keys.downlink_key(reader.reader_id, reader.key), alg="AES-CCM-16-128-256", kid=reader.reader_id
    )
    return cbor2.loads(cwt.COSE.new().decode(item[3], key))


async def test_the_catalogue_has_what_the_release_brings_and_what_was_loaded(ward: Ward, other_ward: Ward) -> None:
    made = await load(ward, SECOND)
    assert (made.added, made.assay.version) == (True, 2)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        known = {(one.assay.id, one.assay.version): one for one in await service.catalogue(session)}
    assert len(known) == len(packfile.built_in()) + 1
    assert known["sars2-ag", 1].origin is Origin.RELEASE
    assert (known["sars2-ag", 2].origin, known["sars2-ag", 2].assay.illustrative) == (Origin.LOADED, False)
    async with tenancy.transaction(ward.sessions, other_ward.id) as session:
        assert await service.definition(session, "sars2-ag", 2) is None


async def test_a_version_once_there_is_never_changed(ward: Ward) -> None:
    await load(ward, SECOND)
    assert (await load(ward, SECOND)).added is False
    with pytest.raises(VersionFixed, match="never changed"):
        await load(ward, pack("sars2-ag", version=2))
    with pytest.raises(VersionFixed):
        await load(ward, pack("sars2-ag", positive_ppm=[20_000]))
    for statement in ("UPDATE assay_pack SET version = 3", "DELETE FROM assay_pack"):
        with pytest.raises(DBAPIError, match="permission denied"):
            await ward.rows(statement)


async def test_no_cassette_is_of_two_assays(ward: Ward) -> None:
    with pytest.raises(TradeItemTaken, match="02000000000022 is flu-ab-ag's"):
        await load(ward, pack("strep-a-ag", id="other-ag", gtins=["02000000000022"]))


async def test_a_pack_is_sealed_for_each_reader_and_known_as_taken_only_when_the_reader_says_so(ward: Ward) -> None:
    reader, other = await ward.reader("One"), await ward.reader("Two")
    gone = await ward.reader("Gone")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await readers.revoke(session, ward.organisation, gone.reader_id, ACTOR)
    await load(ward, SECOND)
    made = await send(ward, "sars2-ag")
    assert made.version == 2
    assert {one.reader_id for one in made.readers} == {reader.reader_id, other.reader_id}
    answer = await ward.exchange(sightings=[factory.sighting(reader)])
    carried = {item[1]: item for item in answer.of(wire.ITEM_DOWN) if item[1] == reader.reader_id and item[2] == 1}
    assert opened(reader, carried[reader.reader_id]) == {wire.DOWN_TYPE: wire.DOWN_ASSAY, wire.DOWN_A: SECOND}
    assert (await held(ward))["sars2-ag"] == (None, 2, State.WAITING)

    applied = factory.event(code=wire.EVENT_DOWN_APPLIED, numbers=[1, wire.DOWN_ASSAY], moment=reader.moment())
    await ward.exchange([reader.seal(applied)])
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        states = {one.reader: (one.taken, one.state) for one in await service.held(session)}
    assert states == {"One": (2, State.TAKEN), "Two": (None, State.WAITING)}
    again = await send(ward, "sars2-ag")
    assert [one.number for one in again.readers] == [None, None]


async def test_a_reader_that_refused_a_pack_is_said_to_have_refused_it_and_may_be_sent_it_again(ward: Ward) -> None:
    reader = await ward.reader()
    made = await send(ward, "sars2-ag", 1, reader.reader_id)
    number = made.readers[0].number
    refused = factory.event(
        code=wire.EVENT_DOWN_APPLIED, numbers=[number, wire.DOWN_ASSAY, wire.ERR_UNSUPPORTED], moment=reader.moment()
    )
    await ward.exchange([reader.seal(refused)])
    assert (await held(ward))["sars2-ag"] == (None, 1, State.REFUSED)
    assert (await send(ward, "sars2-ag", 1, reader.reader_id)).readers[0].number is not None


async def test_a_reader_never_goes_back_to_a_lower_version(ward: Ward) -> None:
    reader = await ward.reader("Ahead")
    await load(ward, SECOND)
    await send(ward, "sars2-ag", None, reader.reader_id)
    with pytest.raises(VersionLowered, match="never goes back"):
        await send(ward, "sars2-ag", 1, reader.reader_id)
    assert (await send(ward, "sars2-ag", 1)).higher == ["Ahead"]
    with pytest.raises(AssayUnknown, match="doorstep server assay list"):
        await send(ward, "sars2-ag", 9)
    with pytest.raises(ReaderUnknown):
        await send(ward, "sars2-ag", 2, bytes(8))


async def test_the_numbers_of_commands_go_on_without_a_gap_beside_clock_floors(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(sightings=[factory.sighting(reader)])  # a clock floor is queued
    await load(ward, SECOND)
    await send(ward, "sars2-ag", 1)
    await send(ward, "sars2-ag", 2)
    await send(ward, "flu-ab-ag")
    rows = await ward.rows("SELECT number, kind FROM command WHERE reader_id = :r ORDER BY number", r=reader.reader_id)
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert [row.kind for row in rows][-3:] == [wire.DOWN_ASSAY] * 3


async def recomputed(ward: Ward) -> list[tuple[str, int | None]]:
    while await tasks.recompute_portion(ward.sessions, ward.keyring, ward.id):
        pass
    rows = await ward.rows("SELECT recomputation, recomputed_outcome FROM result ORDER BY number")
    return [(row.recomputation, row.recomputed_outcome) for row in rows]


async def test_a_trace_is_recomputed_by_its_very_version_and_an_unknown_one_is_not_recomputed(ward: Ward) -> None:
    # A line of some 33,000 ppm: positive by version 1, in the grey zone by version 2.
    trace = factory.strip_trace(factory.strip_samples(test=1_200))
    reader = await ward.reader()
    bodies = [
        factory.result(assay_version=version, trace=trace, outcome_code=outcome.POSITIVE, moment=reader.moment())
        for version in (1, 2, 3)
    ]
    await ward.exchange([reader.seal(body) for body in bodies])
    unknown = ("unknown-assay", None)
    assert await recomputed(ward) == [("agrees", outcome.POSITIVE), unknown, unknown]
    assert (await load(ward, SECOND)).again == 1
    assert await recomputed(ward) == [("agrees", outcome.POSITIVE), ("differs", outcome.INDETERMINATE), unknown]


async def test_what_has_no_code_is_exported_with_its_own_words_and_never_as_negative(ward: Ward) -> None:
    reader = await ward.reader()
    analytes = [["SARS-CoV-2", outcome.POSITIVE, 0, None, None, None]]
    bodies = [
        factory.result(outcome_code=outcome.POSITIVE, analytes=analytes, moment=reader.moment()),
        factory.result(
            assay="sars2-lamp", outcome_code=outcome.POSITIVE, analytes=analytes, moment=reader.moment()
        ),
        factory.result(
            assay="of-later", assay_version=7, outcome_code=outcome.POSITIVE, analytes=analytes, moment=reader.moment()
        ),
        factory.result(
            outcome_code=outcome.INVALID, reason=outcome.NO_CONTROL_LINE, analytes=[], moment=reader.moment()
        ),
    ]  # fmt: skip
    await ward.exchange([reader.seal(body) for body in bodies])
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        found = sorted(await export.export(session, ACTOR, ward.id), key=lambda one: one.number)
    said = [(one.assay, one.outcome, one.loinc, one.snomed, one.illustrative) for one in found]
    assert said == [
        ("sars2-ag", "positive", "94558-4", "10828004", True),
        ("sars2-lamp", "positive", None, "10828004", True),
        ("of-later", "positive", None, "10828004", None),
        ("sars2-ag", "invalid", None, None, True),
    ]
    assert [(one.name, one.outcome, one.loinc) for one in found[2].analytes] == [("SARS-CoV-2", "positive", None)]
    assert "260385009" not in {one.snomed for one in found}


async def test_loading_and_sending_are_in_the_audit_log(ward: Ward) -> None:
    await ward.reader()
    await load(ward, SECOND)
    await send(ward, "sars2-ag")
    rows = await ward.rows("SELECT action, subject FROM audit_entry WHERE subject_kind = 'assay' ORDER BY id")
    assert [(row.action, row.subject) for row in rows] == [("assay.load", "sars2-ag 2"), ("assay.send", "sars2-ag 2")]
