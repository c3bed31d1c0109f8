"""A record that was altered, replayed, reordered, or is another reader's: refused, and visible to whoever looks."""

import hashlib
import itertools
import json
import os
from dataclasses import dataclass
from typing import Any

import cbor2
import pytest
import pytest_asyncio
from playwright.async_api import expect

from emulator.path import EMAIL, ORGANISATION, Enrolled
from reader import wire
from tests.server import factory
from tests.system.laptop import Laptop
from tests.system.pages import Pages, axe
from tests.system.village import Village, cancel, strip

pytestmark = pytest.mark.asyncio(loop_scope="session")

RENUMBERED = "Its number is not the one it was sealed under"
_numbers = itertools.count(1)
DOES_NOT_OPEN = (wire.QUARANTINED, "does-not-open")


@dataclass
class Hostile:
    """A laptop that carries what it likes, and the sealed records that it collected from two real readers."""

    laptop: Laptop
    one: Enrolled
    other: Enrolled
    records: list[bytes]
    others: list[bytes]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def laptop(the_path: Village) -> Laptop:
    await the_path.restore()
    return await Laptop.enrolled(the_path.path, ORGANISATION, "Stolen laptop")


@pytest_asyncio.fixture(loop_scope="session")
async def hostile(village: Village, laptop: Laptop) -> Hostile:
    """The programme's own hub is off, so the laptop is the first to have the readers' records."""
    await village.path.hub.stop()
    one, other = await village.reader(f"Robbed {next(_numbers)}"), await village.reader("Neighbour")
    await cancel(one, strip("DS-EVIL-01", "error", "cancelled"))
    await one.reader.cut_power()
    await one.reader.power_on()
    return Hostile(laptop, one, other, await _collected(laptop, one), await _collected(laptop, other))


async def _collected(laptop: Laptop, enrolled: Enrolled) -> list[bytes]:
    reader_id = bytes.fromhex(enrolled.reader_id)
    ticket = await laptop.ticket(reader_id)
    async with laptop.connected(reader_id) as central:
        await central.admit(ticket)
        return await central.collect(1)


async def ledger(village: Village, enrolled: Enrolled) -> dict[str, Any]:
    """The reader's line of `doorstep custody`."""
    printed = await village.path.command(
        "custody", "--organisation", ORGANISATION, "--reader", enrolled.reader_id, "--prove", "--json"
    )
    (line,) = json.loads(printed)["readers"]
    return line


def changed(sealed: bytes, header: dict[int, Any] | None = None, nonce: bytes | None = None) -> bytes:
    """The record with fields of its protected header, or its nonce, replaced; the ciphertext is as it was."""
    protected, unprotected, ciphertext = cbor2.loads(sealed).value
    fields = cbor2.loads(protected) | (header or {})
    if nonce is not None:
        unprotected = {wire.COSE_IV: nonce}
    return cbor2.dumps(
        cbor2.CBORTag(wire.COSE_ENCRYPT0_TAG, [cbor2.dumps(fields, canonical=True), unprotected, ciphertext]),
        canonical=True,
    )


def flipped(sealed: bytes, at: int) -> bytes:
    """The record with one bit of one byte turned."""
    made = bytearray(sealed)
    made[at] ^= 1
    return bytes(made)


async def test_an_altered_record_is_quarantined_and_its_place_stays_free_for_the_true_one(
    village: Village, hostile: Hostile, pages: Pages
) -> None:
    first, second, third = hostile.records[:3]
    said = await hostile.laptop.exchange(
        flipped(second, -1),
        flipped(second, len(second) // 2),
        changed(second, {wire.HDR_NUMBER: 3}),
        changed(second, {wire.HDR_NUMBER: 3}, nonce=(3).to_bytes(4, "big") + os.urandom(9)),
        changed(second, {wire.HDR_PREVIOUS: bytes(wire.HASH_BYTES)}),
        changed(second, nonce=(2).to_bytes(4, "big") + os.urandom(9)),
        first,
    )
    renumbered = (wire.QUARANTINED, "nonce-mismatch")
    assert said.answers == [DOES_NOT_OPEN, DOES_NOT_OPEN, renumbered, *[DOES_NOT_OPEN] * 3, (wire.HELD, None)]
    assert said.receipts[bytes.fromhex(hostile.one.reader_id)] == 1, "the receipt covers the true record alone"
    line = await ledger(village, hostile.one)
    assert (line["held"], line["quarantined"]) == (1, 6)
    assert await village.results() == []

    said = await hostile.laptop.exchange(second, third)
    assert said.answers == [(wire.HELD, None)] * 2
    line = await ledger(village, hostile.one)
    assert (line["held"], line["gaps"], line["proof"]["whole"]) == (3, 0, True)
    assert [result["specimen"] for result in await village.results()] == ["DS-EVIL-01"]

    page = await pages.sign_in(EMAIL, village.path.password)
    await expect(page.locator(".alert", has_text="in quarantine")).to_be_visible()
    await page.get_by_role("link", name="See what is quarantined").first.click()
    items = page.locator(".quarantined", has_text=hostile.one.name)
    await expect(items).to_have_count(6)
    headings = await items.get_by_role("heading").all_inner_texts()
    assert sorted(headings) == [*["Does not open: altered, damaged or invented"] * 5, RENUMBERED]
    for item in await items.all():
        await expect(item).to_contain_text("Stolen laptop")
    assert "DS-EVIL-01" not in await page.content()
    assert await axe(page) == []


async def test_a_replayed_record_is_a_duplicate_and_makes_no_second_result(village: Village, hostile: Hostile) -> None:
    count = len(hostile.records)
    assert (await hostile.laptop.exchange(*hostile.records)).answers == [(wire.HELD, None)] * count
    before = await ledger(village, hostile.one)
    again = await hostile.laptop.exchange(*hostile.records, hostile.records[1], hostile.records[1])
    assert again.answers == [(wire.DUPLICATE, None)] * (count + 2)
    assert (await ledger(village, hostile.one))["held"] == before["held"] == count
    assert [result["specimen"] for result in await village.results()] == ["DS-EVIL-01"]

    # The programme's own hub brings the same bytes once more: still one of each, and the reader is released.
    await village.path.start_hub()
    custody = await village.path.settled()
    assert len(set(custody[hostile.one.reader_id].values())) == 1
    assert len(await village.results()) == 1


async def test_records_out_of_order_get_no_receipt_before_the_missing_one_and_the_gap_is_shown(
    village: Village, hostile: Hostile, pages: Pages
) -> None:
    reader_id = bytes.fromhex(hostile.one.reader_id)
    first, *later = hostile.records
    said = await hostile.laptop.exchange(*reversed(later))
    assert said.answers == [(wire.HELD, None)] * len(later)
    assert reader_id not in said.receipts, "nothing is receipted across a gap"
    line = await ledger(village, hostile.one)
    assert (line["held"], line["gaps"]) == (0, 1)
    page = await pages.sign_in(EMAIL, village.path.password)
    gap = page.locator(".alert", has_text="A record has not arrived yet")
    await expect(gap).to_contain_text(f"{hostile.one.name} (record 1)")

    said = await hostile.laptop.exchange(first)
    assert said.receipts[reader_id] == len(hostile.records)
    line = await ledger(village, hostile.one)
    assert (line["held"], line["gaps"], line["proof"]["whole"]) == (len(hostile.records), 0, True)
    await page.reload()
    await expect(page.locator(".alert", has_text=f"{hostile.one.name} (record")).to_have_count(0)


async def test_a_record_of_another_reader_is_never_taken_for_this_ones(village: Village, hostile: Hostile) -> None:
    one = bytes.fromhex(hostile.one.reader_id)
    foreign = await _elsewhere(village)
    unknown = factory.Reader(os.urandom(wire.READER_ID_BYTES), os.urandom(wire.KEY_BYTES))
    said = await hostile.laptop.exchange(
        changed(hostile.others[0], {wire.COSE_KID: one}),
        changed(hostile.others[0], {wire.COSE_KID: one, wire.HDR_PREVIOUS: hashlib.sha256(one).digest()[:16]}),
        foreign.results(1)[0],
        unknown.results(1)[0],
        hostile.records[0][:40],
    )
    assert said.answers == [
        DOES_NOT_OPEN,
        DOES_NOT_OPEN,
        (wire.QUARANTINED, "foreign-reader"),
        (wire.QUARANTINED, "unknown-reader"),
        (wire.QUARANTINED, "malformed"),
    ]
    line = await ledger(village, hostile.one)
    assert (line["held"], line["quarantined"]) == (0, 2)
    assert await village.results() == []


async def _elsewhere(village: Village) -> factory.Reader:
    """A reader of another organisation, as somebody who holds its key."""
    name = f"Elsewhere {os.urandom(3).hex()}"
    await village.path.command("server", "create-organisation", "--name", name)
    made = json.loads(
        await village.path.command(
            *("server", "enrol-reader", "--organisation", name, "--site", "There", "--name", "Theirs", "--json")
        )
    )
    return factory.Reader(bytes.fromhex(made["reader_id"]), bytes.fromhex(made["key"]), made["generation"])


async def test_a_second_record_at_the_same_place_is_kept_beside_the_first_and_alarmed(
    village: Village, hostile: Hostile, pages: Pages
) -> None:
    made = json.loads(
        await village.path.command(
            *("server", "enrol-reader", "--organisation", ORGANISATION, "--site", "There", "--name", "Cloned"),
            "--json",
        )
    )
    reader_id, key = bytes.fromhex(made["reader_id"]), bytes.fromhex(made["key"])
    first = factory.Reader(reader_id, key, made["generation"])
    clone = factory.Reader(reader_id, key, made["generation"])
    assert (await hostile.laptop.exchange(*first.results(1, specimen="DS-TRUE-01"))).answers == [(wire.HELD, None)]
    said = await hostile.laptop.exchange(*clone.results(1, specimen="DS-FALSE-01"))
    assert [disposition for disposition, _ in said.answers] == [wire.CONFLICT]
    lines = json.loads(await village.path.command("custody", "--organisation", ORGANISATION, "--json"))["readers"]
    (line,) = [line for line in lines if line["reader_id"] == made["reader_id"]]
    assert (line["held"], line["conflicts"], line["forked"]) == (1, 1, True)
    page = await pages.sign_in(EMAIL, village.path.password)
    await expect(page.get_by_role("heading", name="A reader's records do not follow one another")).to_be_visible()
    await expect(page.get_by_role("link", name="DS-TRUE-01", exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name="DS-FALSE-01", exact=True)).to_have_count(0)
    assert await axe(page) == []


async def test_a_body_that_is_not_of_the_protocol_is_refused_whole(village: Village, hostile: Hostile) -> None:
    good = factory.exchange_body([hostile.records[0]])
    refused = {
        "not-a-cbor-sequence": (400, b"\xff" * 64),
        "bad-item": (400, good + cbor2.dumps([99, b"what is this"])),
        "too-large": (413, b"\x00" * (8 * 1024 * 1024 + 1)),
        "too-many": (413, good + cbor2.dumps([wire.ITEM_RECORD, hostile.records[0]]) * 1_001),
        "too-deep": (413, factory.sequence(factory.header(), _nested(40))),
    }
    for code, (status, body) in refused.items():
        answer = await hostile.laptop.post(body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await ledger(village, hostile.one))["held"] == 0, "nothing of it was stored"
    assert (await hostile.laptop.exchange(hostile.records[0])).answers == [(wire.HELD, None)]


def _nested(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made
