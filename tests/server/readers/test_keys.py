"""Readers' keys at rest: bound to their row, useless without the master key."""

import os

import pytest

from server.readers.keys import Keyring, KeyUnreadable

READER_ID, KEY = bytes(range(8)), bytes(range(32))


def test_a_key_comes_back_for_its_own_reader_and_generation_only() -> None:
    keyring = Keyring(os.urandom(32))
    kept = keyring.encrypt(READER_ID, 3, KEY)
    assert KEY not in kept
    assert keyring.decrypt(READER_ID, 3, kept) == KEY
    assert keyring.encrypt(READER_ID, 3, KEY) != kept
    for reader_id, generation, stored, ring in (
        (bytes(8), 3, kept, keyring),
        (READER_ID, 4, kept, keyring),
        (READER_ID, 3, kept[:-1] + bytes([kept[-1] ^ 1]), keyring),
        (READER_ID, 3, b"", keyring),
        (READER_ID, 3, kept, Keyring(os.urandom(32))),
    ):
        with pytest.raises(KeyUnreadable, match="DOORSTEP_MASTER_KEY"):
            ring.decrypt(reader_id, generation, stored)
