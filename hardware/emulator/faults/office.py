"""A server in a dictionary, to the letter of docs/protocol.md section 5: what it holds, and the receipts it seals."""

import hashlib

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hub.admission import Ticket
from hub.exchange import Answer, Offer, Receipt, Reply
from hub.sealed import SealedRecord, read_record
from reader import wire

from .campaign import BrokenPromise

EXPIRY = 1_900_000_000
_EPOCH = b"epoch--1"


class Office:
    """The server of one reader. `held` by number; a second arrival of the same bytes is a duplicate and no harm, other
    bytes under a number are a broken promise of reader or hub."""

    def __init__(self, reader_id: bytes, key: bytes) -> None:
        self._reader_id, self._key = reader_id, key
        self._record = AESCCM(self._derived(wire.INFO_RECORD), tag_length=wire.TAG_BYTES)
        self._down = AESCCM(self._derived(wire.INFO_DOWN), tag_length=wire.TAG_BYTES)
        self.held: dict[int, SealedRecord] = {}
        self.again = 0

    def ticket(self, hub_id: bytes) -> Ticket:
        """What lets a hub in."""
        secret = self._derived(wire.INFO_TICKET + hub_id + EXPIRY.to_bytes(8, "big"))
        return Ticket(self._reader_id, EXPIRY, 0, secret)

    def reply(self, offers: list[Offer], hub_id: bytes, now_ms: int) -> Reply:
        """Take what is offered, and answer. BrokenPromise: bytes that no reader may send."""
        answers = tuple(self._take(offer) for offer in offers)
        receipts = (self._receipt(),) if self.whole else ()
        return Reply(now_ms, _EPOCH, answers, receipts, (self.ticket(hub_id),), ())

    @property
    def whole(self) -> int:
        """The highest N such that 1 to N are held and chained."""
        number = 0
        before = hashlib.sha256(self._reader_id).digest()[: wire.HASH_BYTES]
        while (found := self.held.get(number + 1)) is not None and found.previous == before:
            number, before = number + 1, found.hash
        return number

    def _take(self, offer: Offer) -> Answer:
        record = read_record(offer.sealed)
        protected, unprotected, sealed = cbor2.loads(offer.sealed).value
        nonce = unprotected[wire.COSE_IV]
        try:
            self._record.decrypt(nonce, sealed, cbor2.dumps(["Encrypt0", protected, b""]))
        except InvalidTag:
            raise BrokenPromise(f"record {record.number} does not open at the server") from None
        if int.from_bytes(nonce[:4], "big") != record.number or record.reader_id != self._reader_id:
            raise BrokenPromise(f"record {record.number} is sealed under another number or reader")
        before = self.held.setdefault(record.number, record)
        if before is not record:
            if before.sealed != record.sealed:
                raise BrokenPromise(f"record {record.number} came twice, with other bytes")
            self.again += 1
            return Answer(wire.DUPLICATE, None)
        return Answer(wire.HELD, None)

    def _receipt(self) -> Receipt:
        number = self.whole
        message = {1: wire.DOWN_RECEIPT, 2: number, 3: self.held[number].hash, 4: _EPOCH}
        header = {
            wire.COSE_ALG: wire.COSE_AES_CCM_16_128_256,
            wire.COSE_KID: self._reader_id,
            wire.HDR_NUMBER: number,
            wire.HDR_GENERATION: 0,
        }
        protected = cbor2.dumps(header, canonical=True)
        nonce = number.to_bytes(4, "big") + hashlib.sha256(number.to_bytes(4, "big")).digest()[:9]
        aad = cbor2.dumps(["Encrypt0", protected, b""])
        sealed = self._down.encrypt(nonce, cbor2.dumps(message, canonical=True), aad)
        whole = cbor2.CBORTag(16, [protected, {wire.COSE_IV: nonce}, sealed])
        return Receipt(self._reader_id, number, cbor2.dumps(whole, canonical=True))

    def _derived(self, info: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=self._reader_id, info=info).derive(self._key)
