"""The ticket proof both ways, the session key and the clock proof (protocol sections 4.2 and 4.3)."""

import hmac
from dataclasses import dataclass

from hub.errors import HubError
from reader import wire


class ReaderNotProved(HubError):
    """The other end does not hold the ticket's secret: it is not the reader it says it is."""

    code = "reader-not-proved"


@dataclass(frozen=True, slots=True, repr=False)
class Ticket:
    """What lets this hub in to one reader. `expiry` is in Unix seconds; `secret` (32 bytes) never leaves the hub's
    store."""

    reader_id: bytes
    expiry: int
    generation: int
    secret: bytes

    def __repr__(self) -> str:  # a secret must not reach a log through a traceback or a debugger
        return f"Ticket(reader_id={self.reader_id.hex()}, expiry={self.expiry}, generation={self.generation})"


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """An admitted link: `proof` goes into PROVE, `key` (32 bytes) proves the clock."""

    proof: bytes
    key: bytes

    def clock_proof(self, unix_ms: int, uncertainty_ms: int) -> bytes:
        message = wire.LABEL_CLOCK + unix_ms.to_bytes(8, "big") + uncertainty_ms.to_bytes(4, "big")
        return _hmac(self.key, message)[: wire.PROOF_BYTES]


def admit(ticket: Ticket, hub_id: bytes, hub_nonce: bytes, reader_nonce: bytes, reader_proof: bytes) -> Session:
    """Check the reader's proof of CHALLENGE in constant time and make ours. Raises ReaderNotProved."""
    said = ticket.reader_id + hub_id + ticket.expiry.to_bytes(8, "big") + hub_nonce + reader_nonce
    expected = _hmac(ticket.secret, wire.LABEL_READER_PROOF + said)[: wire.PROOF_BYTES]
    if not hmac.compare_digest(expected, reader_proof):
        raise ReaderNotProved(
            f"The device that calls itself reader {ticket.reader_id.hex()} could not prove it. "
            "Nothing was taken from it."
        )
    proof = _hmac(ticket.secret, wire.LABEL_HUB_PROOF + said)[: wire.PROOF_BYTES]
    return Session(proof, _hmac(ticket.secret, wire.LABEL_SESSION + said))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
