"""What the exchange refuses as a whole: nothing is stored, and the answer says which limit or item it was."""

import gzip
import struct
import zlib
from typing import Any

import cbor2
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reader import wire
from server.custody import offer
from server.problems import MEDIA_TYPE, Problem
from tests.server import factory
from tests.server.conftest import Ward


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, after checking status and code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    return problem


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>please sign in</html>", id="html"),
        pytest.param(b"\xff", id="a lone break"),
        pytest.param(b"\x9f\x00\xff", id="indefinite length"),
        pytest.param(factory.exchange_body()[:-1], id="cut short"),
        pytest.param(factory.sequence(factory.header()) + b"\x82\x01\x5b" + b"\xff" * 8, id="a length of 2^64-1"),
        pytest.param(factory.sequence(factory.header()) + b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff", id="a huge array"),
        pytest.param(factory.sequence(factory.header()) + b"\x82\x18\x01\x40", id="a long form of 1"),
        pytest.param(factory.sequence(factory.header(), [1, 1.5]), id="a float"),
        pytest.param(factory.sequence(factory.header()) + b"\x82\x02\xa2\x01\x00\x01\x00", id="a key twice"),
        pytest.param(factory.sequence(factory.header()) + b"\x62\xc3\x28", id="not UTF-8"),
        pytest.param(factory.sequence(factory.header()) + b"\xc2\x41\x01", id="a bignum's tag"),
    ],
)
async def test_a_body_that_is_not_a_cbor_sequence_stores_nothing(ward: Ward, body: bytes) -> None:
    refused(await ward.post(body), 400, "not-a-cbor-sequence")
    assert await ward.rows("SELECT 1 FROM quarantine") == []


async def test_a_broken_tail_leaves_the_good_records_before_it_unstored(ward: Ward) -> None:
    reader = await ward.reader()
    body = factory.exchange_body(reader.results(3))
    refused(await ward.post(body + b"\x82"), 400, "not-a-cbor-sequence")
    assert await ward.rows("SELECT 1 FROM sealed_record WHERE reader_id = :id", id=reader.reader_id) == []


def changed(item: list[Any], **changes: Any) -> list[Any]:
    return [item[0], {**item[1], **{getattr(wire, name): value for name, value in changes.items()}}]


SIGHTING = [wire.ITEM_SIGHTING, factory.sighting(factory.Reader(bytes(8), bytes(32)))]


@pytest.mark.parametrize(
    ("items", "index"),
    [
        pytest.param([[1, b"record"]], 0, id="no header"),
        pytest.param([factory.header(), [9]], 1, id="an unknown item"),
        pytest.param([factory.header(), factory.header()], 1, id="two headers"),
        pytest.param([factory.header(), [1, "text"]], 1, id="a record that is a text"),
        pytest.param([factory.header(), [1, b""], {}], 2, id="a map"),
        pytest.param([changed(factory.header(), HEAD_NOW_MS=-1)], 0, id="a clock before 1970"),
        pytest.param([changed(factory.header(), HEAD_EPOCH=b"short")], 0, id="a short epoch"),
        pytest.param([changed(factory.header(), HEAD_SOFTWARE="x" * 65)], 0, id="a long label"),
        pytest.param([changed(factory.header(), HEAD_SOFTWARE="x\0")], 0, id="a label with U+0000"),
        pytest.param([changed(factory.header(), HEAD_TICKETS=[[b"1", 2]])], 0, id="a ticket for no reader"),
        pytest.param([factory.header(), [2, {1: bytes(8)}]], 1, id="a sighting with fields missing"),
        pytest.param([factory.header(), changed(SIGHTING, SIGHT_BATTERY=101)], 1, id="a battery of 101 %"),
        pytest.param([factory.header(), changed(SIGHTING, SIGHT_UPTIME_MS=True)], 1, id="a truth for a number"),
        pytest.param([factory.header(), changed(SIGHTING, SIGHT_NEXT=0)], 1, id="a next number of 0"),
        pytest.param([factory.header(), changed(SIGHTING, SIGHT_HUB_MS=2**63)], 1, id="a time beyond the database"),
    ],
)
async def test_an_item_that_is_not_of_the_protocol_is_named_by_its_index(
    ward: Ward, items: list[Any], index: int
) -> None:
    problem = refused(await ward.post(factory.sequence(*items)), 400, "bad-item")
    assert problem["index"] == index


async def test_what_is_too_deep_or_too_many_is_refused_with_its_limit(ward: Ward) -> None:
    deep = factory.sequence(factory.header(), nested(9))
    assert refused(await ward.post(deep), 413, "too-deep")["limit"] == 8
    very_deep = factory.sequence(factory.header()) + b"\x81" * 100_000
    assert refused(await ward.post(very_deep), 413, "too-deep")["limit"] == 8
    wide = factory.sequence(factory.header(), list(range(600)))
    assert refused(await ward.post(wide), 413, "too-many")["limit"] == 512
    many = factory.exchange_body([b""] * 1000)
    assert refused(await ward.post(many), 413, "too-many")["limit"] == 1000
    assert (await ward.post(factory.exchange_body([b""] * 999))).status_code == 200


async def test_a_full_ticket_list_is_taken_and_one_more_is_not(ward: Ward) -> None:
    tickets = [[n.to_bytes(8, "big"), 2_000_000_000] for n in range(1001)]
    assert (await ward.post(factory.sequence(factory.header(tickets=tickets[:1000])))).status_code == 200
    refused(await ward.post(factory.sequence(factory.header(tickets=tickets))), 400, "bad-item")


@pytest.mark.parametrize("expiry", [-1, 2**40 + 1, 2**63 - 1, 2**64 - 1, True, None, b"", 1.5])
async def test_a_ticket_that_ends_at_no_date_is_refused_with_its_offer(ward: Ward, expiry: Any) -> None:
    reader = await ward.reader()
    body = factory.sequence(factory.header(tickets=[[reader.reader_id, expiry]]))
    code = "not-a-cbor-sequence" if isinstance(expiry, float) else "bad-item"
    refused(await ward.post(body), 400, code)
    body = factory.sequence(factory.header(tickets=[[reader.reader_id, 2**40]]))
    assert (await ward.post(body)).status_code == 200


async def test_a_body_beyond_the_limit_is_refused_before_and_after_decompression(ward: Ward) -> None:
    big = bytes(offer.BODY_MAX + 1)
    assert refused(await ward.post(big), 413, "too-large")["limit"] == offer.BODY_MAX
    bomb = gzip.compress(bytes(200 * 1024 * 1024))
    assert len(bomb) < 400_000
    assert refused(await ward.post(bomb, Content_Encoding="gzip"), 413, "too-large")["limit"] == offer.BODY_MAX

    async def endless():
        while True:
            yield bytes(65536)

    response = await ward.http.post(
        wire.EXCHANGE_PATH,
        content=endless(),
        headers={"Authorization": f"Bearer {ward.token}", "Content-Type": wire.EXCHANGE_MEDIA_TYPE},
    )
    refused(response, 413, "too-large")


async def test_a_compressed_body_that_is_damaged_is_not_a_sequence(ward: Ward) -> None:
    good = factory.exchange_body(compress=True)
    for bad in (b"plain", good[:-4], good + b"tail", good + good, good[:-8] + struct.pack("<II", 0, 0)):
        refused(await ward.post(bad, Content_Encoding="gzip"), 400, "not-a-cbor-sequence")
    assert (await ward.post(good, Content_Encoding="gzip")).status_code == 200
    refused(await ward.post(zlib.compress(b""), Content_Encoding="br"), 415, "unsupported-media-type")


async def test_another_media_type_or_version_is_refused(ward: Ward) -> None:
    body = factory.exchange_body()
    refused(await ward.post(body, Content_Type="application/json"), 415, "unsupported-media-type")
    assert refused(await ward.post(factory.sequence([0, {1: 2, 99: "new"}])), 426, "version")["versions"] == [1]


async def test_a_reader_of_the_answer_finds_nothing_of_the_inside_of_the_server(ward: Ward) -> None:
    response = await ward.http.get("/hub/v1/exchange")
    refused(response, 405, "method-not-allowed")
    refused(await ward.http.get("/hub/v1/nothing"), 404, "not-found")


async def test_an_unforeseen_fault_has_an_incident_id_and_no_detail(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(body: bytes) -> None:
        raise RuntimeError("the secret detail")

    monkeypatch.setattr(offer, "read", broken)
    response = await ward.post(factory.exchange_body())
    problem = refused(response, 500, "fault")
    assert "secret" not in response.text
    assert problem["incident"] in caplog.text


async def test_a_hub_that_hangs_up_stores_nothing_and_is_no_incident(
    ward: Ward, caplog: pytest.LogCaptureFixture
) -> None:
    reader = await ward.reader()
    body = factory.exchange_body(reader.results(2))
    came = [{"type": "http.request", "body": body[:-9], "more_body": True}, {"type": "http.disconnect"}]
    told: list[Any] = []

    async def receive() -> Any:
        return came.pop(0)

    async def send(message: Any) -> None:
        told.append(message)

    request = ward.http.build_request(
        "POST",
        wire.EXCHANGE_PATH,
        headers={"Authorization": f"Bearer {ward.token}", "Content-Type": wire.EXCHANGE_MEDIA_TYPE},
    )
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": wire.EXCHANGE_PATH,
        "raw_path": wire.EXCHANGE_PATH.encode(), "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1),
        "server": ("doorstep.test", 80), "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }  # fmt: skip
    transport = ward.http._transport  # pyright: ignore[reportPrivateUsage] - the application of these tests
    assert isinstance(transport, httpx.ASGITransport)
    with caplog.at_level("INFO"):
        await transport.app(scope, receive, send)
    assert came == []
    assert "incident" not in caplog.text
    assert "hung up" in caplog.text
    assert await ward.rows("SELECT 1 FROM sealed_record") == []


def outcome_of(body: bytes) -> str:
    """What reading a body comes to: "read", or the code of its refusal. Anything else that is raised fails the test."""
    try:
        offer.read(body)
    except Problem as problem:
        return problem.code
    return "read"


SOME_CBOR = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=20) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 20), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SOME_CBOR, max_size=5), st.binary(max_size=8), st.booleans())
def test_any_body_is_an_offer_or_one_of_the_named_refusals(items: list[Any], tail: bytes, with_header: bool) -> None:
    body = b"".join(cbor2.dumps(item, canonical=True) for item in ([factory.header()] if with_header else []) + items)
    assert outcome_of(body + tail) in ("read", "not-a-cbor-sequence", "bad-item", "too-deep", "too-many", "version")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_one_byte_changed_in_a_good_body_never_gets_further_than_a_refusal(data: st.DataObject) -> None:
    body = bytearray(factory.exchange_body([b"sealed" * 9], [SIGHTING[1]], factory.header(at_ms=1_700_000_000_000)))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert outcome_of(bytes(body)) in ("read", "not-a-cbor-sequence", "bad-item", "too-deep", "too-many", "version")
