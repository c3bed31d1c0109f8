"""The server's end of the worked examples of registrations, and any bytes at all: opened whole or refused by name."""

import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader import wire
from server.registrations import opening
from server.registrations.opening import NotOpened

EXAMPLES = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "registrations.json").read_text())
PRIVATE = bytes.fromhex(EXAMPLES["private key"])
PLAIN: dict[int, Any] = cbor2.loads(bytes.fromhex(EXAMPLES["plaintext"]))


def opened(sealed: bytes) -> opening.Content:
    envelope = opening.parse(sealed)
    return opening.read(opening.open_message(envelope, PRIVATE), envelope)


def test_the_example_opens_to_what_it_says() -> None:
    sealed = bytes.fromhex(EXAMPLES["hex"])
    envelope = opening.parse(sealed)
    assert envelope.key_id == opening.key_id(bytes.fromhex(EXAMPLES["public key"]))
    assert envelope.maker.hex() == EXAMPLES["hub"]
    assert opening.open_message(envelope, PRIVATE).hex() == EXAMPLES["plaintext"]
    content = opened(sealed)
    assert content.registration_id.hex() == EXAMPLES["registration"]
    entry = content.entry
    assert (content.specimen, entry.given, entry.nhs_number) == (PLAIN[wire.REG_SPECIMEN], "Zoë", "9990000018")
    assert str(entry.birth_date) == "1980-03-07"
    assert (content.consent_by, content.local) == ("A Nurse", ("CLINIC-17",))


@pytest.mark.parametrize("one", EXAMPLES["refused"], ids=lambda one: one["name"])
def test_what_must_not_be_taken_is_refused_by_its_code(one: dict[str, str]) -> None:
    with pytest.raises(NotOpened) as refused:
        opened(bytes.fromhex(one["hex"]))
    assert refused.value.code == one["code"]


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_no_bytes_raise_anything_but_that_they_do_not_open(noise: bytes) -> None:
    for read in (opening.parse, opening.read, opened):
        with pytest.raises(NotOpened):
            read(noise)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=20) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers(0, 20), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.integers(wire.REG_ID, wire.REG_CONSENT), values, min_size=1, max_size=4))
@settings(max_examples=500)
def test_whatever_a_field_holds_it_is_understood_whole_or_not_at_all(changes: dict[int, Any]) -> None:
    plaintext = cbor2.dumps(PLAIN | changes, canonical=True)
    try:
        content = opening.read(plaintext)
    except NotOpened:
        return
    assert content.specimen == (PLAIN | changes)[wire.REG_SPECIMEN]
    assert "\0" not in content.entry.given + content.entry.family


@given(st.data())
@settings(max_examples=200)
def test_a_changed_bit_anywhere_never_opens(data: st.DataObject) -> None:
    sealed = bytearray.fromhex(EXAMPLES["hex"])
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    if sealed[2:10].hex() != EXAMPLES["hex"][4:20]:
        return  # the key's id: it names another key, and is not sealed in
    with pytest.raises(NotOpened):
        opened(bytes(sealed))
