"""The server's end of the worked examples in tests/vectors: sealed records, refusals, bodies, traces, derived keys."""

import json
from pathlib import Path
from typing import Any

import cbor2
import cwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader import outcome as outcomes
from reader import wire
from server.custody import cbor, cose, offer, opening
from server.readers import keys
from server.results import record, trace
from tests.server import factory

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


DERIVED = load("derivations")
READER_ID, KEY = bytes.fromhex(DERIVED["reader"]), bytes.fromhex(DERIVED["key"])
CIPHER = cose.record_cipher(keys.record_key(READER_ID, KEY))


def test_derived_keys_are_those_of_the_examples() -> None:
    assert keys.record_key(READER_ID, KEY).hex() == DERIVED["record key"]
    assert keys.downlink_key(READER_ID, KEY).hex() == DERIVED["down key"]
    secret = keys.ticket_secret(READER_ID, KEY, bytes.fromhex(DERIVED["hub"]), DERIVED["expiry"])
    assert secret.hex() == DERIVED["ticket secret"]
    assert cose.first_previous(READER_ID).hex() == DERIVED["genesis"]


@pytest.mark.parametrize(
    "one", [one for one in load("sealed") if one["rule"] == "sealed-record"], ids=lambda o: o["name"]
)
def test_sealed_records_open_to_their_plaintext(one: dict[str, Any]) -> None:
    sealed = bytes.fromhex(one["hex"])
    header = cose.parse(sealed)
    assert (header.reader_id, header.number, header.generation) == (READER_ID, one["number"], one["generation"])
    assert header.previous.hex() == one["previous"]
    assert cose.open_record(header, CIPHER).hex() == one["plaintext"]
    assert cose.hash_of(opening.digest_of(sealed)).hex() == one["chain"]


@pytest.mark.parametrize(
    "one", [one for one in load("sealed") if one["rule"] == "sealed-down"], ids=lambda o: o["name"]
)
def test_what_goes_down_is_sealed_as_in_the_examples(one: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda count: bytes.fromhex(one["random"])[:count])
    message = cbor2.loads(bytes.fromhex(one["plaintext"]))
    down_key = keys.downlink_key(READER_ID, KEY)
    assert cose.seal_down(READER_ID, one["number"], one["generation"], down_key, message).hex() == one["hex"]


@pytest.mark.parametrize("case", load("refused")["sealed-record"], ids=lambda case: case[0])
def test_refused_records_have_the_code_of_the_examples(case: list[str]) -> None:
    _, sealed, code = case
    parsed, refused = opening.parse_all([bytes.fromhex(sealed)])
    own = {READER_ID: opening.ReaderKeys(site_id=None, generation=0, ciphers={0: CIPHER})}  # type: ignore[arg-type]
    elsewhere = {one.header.reader_id for one in parsed} - {READER_ID}
    _, more = opening.open_all(parsed, own, elsewhere)
    assert [one.code for one in [*refused, *more]] == [code]


@pytest.mark.parametrize("case", load("refused")["cbor"], ids=lambda case: case[0])
def test_cbor_that_the_protocol_does_not_have_is_refused(case: list[str]) -> None:
    with pytest.raises((cbor.NotCbor, cbor.TooDeep, cbor.TooMany)):
        cbor.decode(bytes.fromhex(case[1]))


@pytest.mark.parametrize("one", [one for one in load("messages") if "hex" in one], ids=lambda one: one["name"])
def test_every_message_of_the_protocol_passes_the_scan(one: dict[str, Any]) -> None:
    cbor.decode(bytes.fromhex(one["hex"]))


@pytest.mark.parametrize(
    "one",
    [one for one in load("messages") if one["rule"] in ("result-record", "event-record")],
    ids=lambda o: o["name"],
)
def test_every_record_of_the_examples_is_understood(one: dict[str, Any]) -> None:
    plaintext = bytes.fromhex(one["hex"])
    if one["rule"] == "event-record":
        assert isinstance(record.understand(plaintext), record.EventRecord)
        return
    body = cbor2.loads(plaintext)[wire.REC_BODY]
    if outcomes.allowed(body[wire.RES_OUTCOME], body[wire.RES_REASON]):
        assert isinstance(record.understand(plaintext), record.ResultRecord)
    else:
        with pytest.raises(record.NotUnderstood, match="may stand together"):
            record.understand(plaintext)


def test_the_hubs_items_of_the_examples_make_an_offer() -> None:
    items = {one["name"]: bytes.fromhex(one["hex"]) for one in load("messages") if one["name"].startswith("hub, ")}
    read = offer.read(items["hub, header"] + items["hub, record"] + items["hub, sighting"])
    assert read.tickets == {READER_ID: DERIVED["expiry"]}
    assert len(read.records) == 1
    assert [seen.reader_id for seen in read.sightings] == [READER_ID]
    assert offer.read(items["hub, header of a hub that knows no epoch"]).epoch is None


@pytest.mark.parametrize("one", load("traces"), ids=lambda one: one["name"])
def test_traces_decode_to_their_samples(one: dict[str, Any]) -> None:
    coded = bytes.fromhex(one["hex"])
    assert trace.undelta(coded, len(one["samples"])) == one["samples"]
    assert record.samples_in(coded) == len(one["samples"])


@pytest.mark.parametrize("case", load("refused")["delta"], ids=lambda case: case[0])
def test_traces_that_are_damaged_are_refused(case: list[Any]) -> None:
    with pytest.raises(trace.TraceDamaged):
        trace.undelta(bytes.fromhex(case[1]), case[2])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(trace.SAMPLE_MIN, trace.SAMPLE_MAX), max_size=40))
def test_traces_come_back_as_they_went(samples: list[int]) -> None:
    assert trace.undelta(factory.delta(samples), len(samples)) == samples


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1000), st.integers(1, 2**32 - 1))
def test_what_cwt_seals_opens_here_and_the_other_way_round(plaintext: bytes, number: int) -> None:
    reader = factory.Reader(READER_ID, KEY)
    header = cose.parse(reader.seal_at(number, bytes(16), plaintext + b"."))
    assert cose.open_record(header, CIPHER) == plaintext + b"."
    down_key = keys.downlink_key(READER_ID, KEY)
    message = {wire.DOWN_TYPE: wire.DOWN_ASSAY, wire.DOWN_A: plaintext}
    sealed = cose.seal_down(READER_ID, number, 0, down_key, message)
    key = cwt.COSEKey.from_symmetric_key(down_key, alg="AES-CCM-16-128-256", kid=READER_ID)
    assert cbor2.loads(cwt.COSE.new().decode(sealed, key)) == message


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_one_bit_changed_anywhere_in_a_record_never_opens(data: st.DataObject) -> None:
    sealed = bytearray(bytes.fromhex(load("sealed")[0]["hex"]))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    parsed, refused = opening.parse_all([bytes(sealed)])
    own = {READER_ID: opening.ReaderKeys(site_id=None, generation=0, ciphers={0: CIPHER})}  # type: ignore[arg-type]
    authentic, more = opening.open_all(parsed, own, set())
    assert authentic == []
    assert len([*refused, *more]) == 1


PLAIN = factory.result(moment=[factory.BOOT_ID, 5_000_000, 1_780_000_000_000, wire.CLOCK_HUB, 250])


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_whatever_a_record_holds_it_is_understood_whole_or_not_at_all(data: st.DataObject) -> None:
    plaintext = bytearray(cbor2.dumps(PLAIN, canonical=True))
    for _ in range(data.draw(st.integers(1, 3))):
        plaintext[data.draw(st.integers(0, len(plaintext) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = record.understand(bytes(plaintext))
    except record.NotUnderstood:
        return
    # Whatever passed can be kept: it has the types and the bounds of the columns it goes to.
    assert isinstance(found, record.ResultRecord | record.EventRecord)
    assert 0 <= found.moment.uptime_ms < 2**63
    if isinstance(found, record.ResultRecord):
        assert found.outcome in (1, 2, 3, 4, 5)
        assert "\0" not in found.specimen
