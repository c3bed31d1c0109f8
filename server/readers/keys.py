"""The readers' keys: how they are kept (encrypted under the master key) and what is derived from them (HKDF-SHA256).

Derived keys are those of docs/protocol.md section 1.
"""

import hashlib
import hmac
import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reader import wire

if TYPE_CHECKING:
    from server.readers.repository import StoredKey

_NONCE_BYTES = 12
_OPENED_MAX = 4_096
_LABEL = b"doorstep/1 reader-key"
_ROTATED = b"doorstep/1 rotated-key"


class KeyUnreadable(Exception):
    """A stored key does not open: the master key is another one, or the row was altered or moved."""


class Keyring:
    """Encrypts readers' keys for the database with AES-256-GCM, bound to reader id and generation."""

    def __init__(self, master_key: bytes) -> None:
        self._master_key = master_key
        self._cipher = AESGCM(master_key)
        # An exchange opens the same few readers' keys each time. Whoever reads this memory has the master key anyway.
        self._opened = lru_cache(maxsize=_OPENED_MAX)(self._open)
        self._stored: OrderedDict[tuple[UUID, bytes], tuple[StoredKey, ...]] = OrderedDict()
        self._turn = threading.Lock()

    def remember(self, organisation_id: UUID, stored: "Iterable[StoredKey]") -> None:
        """Note which keys the readers of an organisation had when they were last looked up."""
        by_reader: dict[bytes, list[StoredKey]] = {}
        for one in stored:
            by_reader.setdefault(bytes(one.reader_id), []).append(one)
        with self._turn:
            for reader_id, its in by_reader.items():
                self._stored[organisation_id, reader_id] = tuple(its)
                self._stored.move_to_end((organisation_id, reader_id))
            while len(self._stored) > _OPENED_MAX:
                self._stored.popitem(last=False)

    def remembered(self, organisation_id: UUID, reader_ids: Collection[bytes]) -> "list[StoredKey] | None":
        """The keys that those readers had then, in the order of their ids; None where one is not remembered.

        They may have others by now: who asks the database meanwhile must go by its answer.
        """
        with self._turn:
            found = [self._stored.get((organisation_id, reader_id)) for reader_id in sorted(reader_ids)]
        if None in found or not found:
            return None
        return [one for its in found if its is not None for one in its]

    def rotated(self, reader_id: bytes, generation: int) -> bytes:
        """The key of a later generation than the first; see `rotated`."""
        return rotated(self._master_key, reader_id, generation)

    def encrypt(self, reader_id: bytes, generation: int, key: bytes) -> bytes:
        """Nonce (12), ciphertext and tag of a reader's key."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, _bound_to(reader_id, generation))

    def decrypt(self, reader_id: bytes, generation: int, encrypted: bytes) -> bytes:
        """The reader's key, 32 bytes. `KeyUnreadable` under another master key or for another reader's row."""
        return self._opened(reader_id, generation, encrypted)

    def seal_secret(self, bound_to: bytes, secret: bytes) -> bytes:
        """Nonce (12), ciphertext and tag of another secret; it opens for the row that `bound_to` names only."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, bound_to)

    def open_secret(self, bound_to: bytes, encrypted: bytes) -> bytes:
        """The secret. `KeyUnreadable` under another master key or for another row."""
        try:
            return self._cipher.decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):
            raise KeyUnreadable(
                "A stored key does not open. DOORSTEP_MASTER_KEY is not the one that it was stored with."
            ) from None

    def _open(self, reader_id: bytes, generation: int, encrypted: bytes) -> bytes:
        nonce, rest = encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, rest, _bound_to(reader_id, generation))
        except (InvalidTag, ValueError):
            raise KeyUnreadable(
                f"The key of reader {reader_id.hex()} does not open."
                " DOORSTEP_MASTER_KEY is not the one that it was stored with."
            ) from None


def rotated(master_key: bytes, reader_id: bytes, generation: int) -> bytes:
    """The key that a rotation gives a reader, 32 bytes: derived, so that no backup can be too old to have it.

    HKDF-SHA256 of the master key with the reader id as salt. Whoever holds the master key can read every stored key as
    it is; a reader's earlier key tells nothing of a later one.
    """
    return _derived(reader_id, master_key, _ROTATED + generation.to_bytes(4, "big"))


def _bound_to(reader_id: bytes, generation: int) -> bytes:
    return _LABEL + reader_id + generation.to_bytes(4, "big")


def record_key(reader_id: bytes, key: bytes) -> bytes:
    """The key that seals the reader's records, 32 bytes."""
    return _derived(reader_id, key, wire.INFO_RECORD)


def downlink_key(reader_id: bytes, key: bytes) -> bytes:
    """The key that seals what goes down to the reader, 32 bytes."""
    return _derived(reader_id, key, wire.INFO_DOWN)


def ticket_secret(reader_id: bytes, key: bytes, hub_id: bytes, expiry_s: int) -> bytes:
    """The secret that a hub and the reader share until `expiry_s`, Unix seconds; 32 bytes."""
    return _derived(reader_id, key, wire.INFO_TICKET + hub_id + expiry_s.to_bytes(8, "big"))


def _derived(reader_id: bytes, key: bytes, info: bytes) -> bytes:
    # RFC 5869 with one block of output: extract with the reader id as salt, then T(1).
    pseudorandom = hmac.digest(reader_id, key, hashlib.sha256)
    return hmac.digest(pseudorandom, info + b"\x01", hashlib.sha256)
