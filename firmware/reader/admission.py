"""The reader's end of admission: reader and hub prove to each other that they hold the ticket's secret (protocol.md
section 4.2).
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


from reader import wire
from reader.hkdf import equal, hmac

WAITING = const(0)
CHALLENGED = const(1)
ADMITTED = const(2)


class Admission:
    """One hub at a time, from HELLO to the session key."""

    def __init__(self, identity):
        self._identity = identity
        self.reset(0)

    def reset(self, uptime_ms):
        """A new connection at `uptime_ms`."""
        self.since_ms = uptime_ms
        self._forget()

    def _forget(self):
        self.state = WAITING
        self.hub_id = None
        self.expiry = 0
        self._secret = None
        self._transcript = None
        self._session_key = None

    @property
    def admitted(self):
        return self.state == ADMITTED

    def overdue(self, uptime_ms):
        """Whether the central had its time and is not admitted."""
        return self.state != ADMITTED and uptime_ms - self.since_ms > wire.ADMISSION_MS

    def hello(self, hub_id, expiry, generation, hub_nonce, reader_nonce, latest_ms, uptime_ms):
        """Any state -> CHALLENGED; return (0, proof of the reader), or (error code, None) and WAITING.

        `expiry` is Unix seconds, `latest_ms` the later of wall time and clock floor, both nonces are 16 bytes.
        """
        if self.state == ADMITTED:
            self.since_ms = uptime_ms
        self._forget()
        if expiry * 1000 <= latest_ms:
            return wire.ERR_TICKET_EXPIRED, None
        secret = self._identity.ticket_secret(generation, hub_id, expiry)
        if secret is None:
            return wire.ERR_TICKET_REFUSED, None
        self.hub_id = hub_id
        self.expiry = expiry
        self._secret = secret
        self._transcript = self._identity.reader_id + hub_id + expiry.to_bytes(8, "big") + hub_nonce + reader_nonce
        self.state = CHALLENGED
        return wire.ERR_NONE, self._hmac(wire.LABEL_READER_PROOF)[: wire.PROOF_BYTES]

    def prove(self, proof):
        """CHALLENGED -> ADMITTED if the hub's proof (16 bytes) holds, else WAITING: a challenge is answered once.
        Return 0 or an error.
        """
        if self.state != CHALLENGED:
            return wire.ERR_TICKET_REFUSED
        if not equal(self._hmac(wire.LABEL_HUB_PROOF)[: wire.PROOF_BYTES], proof):
            self._forget()
            return wire.ERR_TICKET_REFUSED
        self._session_key = self._hmac(wire.LABEL_SESSION)
        self._secret = None
        self._transcript = None
        self.state = ADMITTED
        return wire.ERR_NONE

    def clock_proof_holds(self, unix_ms, uncertainty_ms, proof):
        """Whether the admitted hub itself says that it is `unix_ms`, give or take `uncertainty_ms`."""
        own = hmac(self._session_key, wire.LABEL_CLOCK, unix_ms.to_bytes(8, "big"), uncertainty_ms.to_bytes(4, "big"))
        return equal(own[: wire.PROOF_BYTES], proof)

    def _hmac(self, label):
        return hmac(self._secret, label, self._transcript)
