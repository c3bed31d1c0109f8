"""The chain of custody: what a record's successor says of it, and where a chain begins (docs/protocol.md section 2)."""

import hashlib

from reader import cose, wire


def genesis(reader_id):
    """Return the previous hash of record 1: 16 bytes."""
    return hashlib.sha256(reader_id).digest()[: wire.HASH_BYTES]


def chain_hash(sealed):
    """Return the chain hash at a sealed record, tag included: 16 bytes."""
    return hashlib.sha256(sealed).digest()[: wire.HASH_BYTES]


class Recorder:
    """Seals plaintext as the journal's next record, so that number, previous hash and key belong together.

    `random(n)` gives n bytes of the hardware random generator.
    """

    def __init__(self, identity, journal, random):
        self._identity = identity
        self._journal = journal
        self._random = random

    def write(self, plaintext, closes=False, keep=0):
        """Seal and store; return the number once it is durable. Only then may anything of it be shown.

        `closes`: this record ends the test that `Journal.pending_set` announced. `keep`: refuse unless that many
        results still fit afterwards. JournalFull, JournalLost, OSError: nothing was stored; CoseError: too long.
        """
        identity = self._identity
        journal = self._journal
        generation = identity.generation
        sealed = cose.seal_record(
            identity.record_key(generation),
            identity.reader_id,
            journal.next,
            journal.tail_hash,
            generation,
            plaintext,
            self._random(9),
        )
        return journal.append(sealed, closes, keep)
