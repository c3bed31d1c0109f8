"""Sealed records as a reader makes them (docs/protocol.md section 2), fast enough to feed a server that is measured."""

import hashlib
import itertools
import os
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from reader import wire

from ..physics import Line, Strip
from ..scenario import CONTROL_LINE_MM, TEST_LINE_MM

FIRMWARE = "0.1.0"
_WHITE, _DARK = 55_400, 400
_NO_REASON = 0
_KINDS = 16  # different traces; one in four has a test line
_MINUTE_MS = 60_000


def delta(samples: list[int]) -> bytes:
    """Delta, zigzag and LEB128 coding of a trace."""
    out = bytearray()
    last = 0
    for sample in samples:
        step, last = sample - last, sample
        rest = (step << 1) ^ (step >> 63)
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def plaintext() -> bytes:
    """The plaintext of one result, for a reader that seals by itself."""
    return Sealer(bytes(wire.READER_ID_BYTES), bytes(wire.KEY_BYTES)).plaintext()


def _trace(seed: int, positive: bool) -> dict[int, Any]:
    """A strip as the reader would see it, with white and dark level of each pixel: about 700 bytes."""
    lines = [Line(TEST_LINE_MM, 0.25 if positive else 0.0), Line(CONTROL_LINE_MM, 0.45)]
    pixels = Strip(lines=lines, seed=seed).reflectance()
    uneven = Strip(seed=seed + 1000).reflectance()
    white = [round(_WHITE * level / 0.8) for level in uneven]
    dark = [_DARK + round(4000 * abs(level - 0.8)) for level in uneven]
    seen = [round(d + r * (w - d)) for r, w, d in zip(pixels, white, dark, strict=True)]
    return {
        wire.TRACE_KIND: wire.TRACE_STRIP,
        wire.TRACE_STEP: 125,
        wire.TRACE_COUNT: len(seen),
        wire.TRACE_SAMPLES: delta(seen),
        wire.TRACE_WHITE: delta(white),
        wire.TRACE_DARK: delta(dark),
    }


@dataclass
class Sealer:
    """One reader's sealing end; number and chain go on from record to record."""

    reader_id: bytes
    key: bytes
    generation: int = 0
    number: int = 0
    uptime_ms: int = 1_000_000
    boot_id: bytes = field(default_factory=lambda: os.urandom(wire.BOOT_ID_BYTES))

    def __post_init__(self) -> None:
        derived = HKDF(algorithm=SHA256(), length=wire.KEY_BYTES, salt=self.reader_id, info=wire.INFO_RECORD)
        self._cipher = AESCCM(derived.derive(self.key), tag_length=wire.TAG_BYTES)
        self._previous = hashlib.sha256(self.reader_id).digest()[: wire.HASH_BYTES]
        self._traces = itertools.cycle([(at % 4 == 0, _trace(at, at % 4 == 0)) for at in range(_KINDS)])

    def result(self) -> bytes:
        """The next record: the result of a strip a minute later than the last, about 1 KB sealed."""
        return self.seal(self.plaintext())

    def plaintext(self) -> bytes:
        """What the next record holds."""
        self.uptime_ms += _MINUTE_MS
        return cbor2.dumps(self._result(), canonical=True)

    def seal(self, plaintext: bytes) -> bytes:
        """The next record, with any plaintext."""
        self.number += 1
        protected = cbor2.dumps(
            {
                wire.COSE_ALG: wire.COSE_AES_CCM_16_128_256,
                wire.COSE_KID: self.reader_id,
                wire.HDR_NUMBER: self.number,
                wire.HDR_PREVIOUS: self._previous,
                wire.HDR_GENERATION: self.generation,
            },
            canonical=True,
        )
        nonce = self.number.to_bytes(4, "big") + os.urandom(wire.CIPHER_NONCE_BYTES - 4)
        ciphertext = self._cipher.encrypt(nonce, plaintext, cbor2.dumps(["Encrypt0", protected, b""]))
        sealed = cbor2.dumps(cbor2.CBORTag(wire.COSE_ENCRYPT0_TAG, [protected, {wire.COSE_IV: nonce}, ciphertext]))
        self._previous = hashlib.sha256(sealed).digest()[: wire.HASH_BYTES]
        return sealed

    def _result(self) -> dict[int, Any]:
        positive, trace = next(self._traces)
        outcome = wire.OUTCOME_POSITIVE if positive else wire.OUTCOME_NEGATIVE
        signal = 250_000_000 if positive else 1_250_000
        read = self.uptime_ms - 2_000
        body: dict[int, Any] = {
            wire.RES_SPECIMEN: f"SPC-{self.reader_id.hex()[:4]}-{self.number + 1:07d}",
            wire.RES_ASSAY: "sars2-ag",
            wire.RES_ASSAY_VERSION: 1,
            wire.RES_LOT: "AG2601",
            wire.RES_SERIAL: f"{self.number:06d}",
            wire.RES_OPERATOR: "OPHALL1",
            wire.RES_OUTCOME: outcome,
            wire.RES_REASON: _NO_REASON,
            wire.RES_ALGORITHM: "strip/1",
            wire.RES_ANALYTES: [["SARS-CoV-2", outcome, _NO_REASON, signal, "ppm", 310_000]],
            wire.RES_TRACE: trace,
            wire.RES_TIMES: [max(0, read - 900_000), read, read],
            wire.RES_TEMPERATURES: [2_310, 2_300, 2_340],
            wire.RES_BATTERY_MV: 3_900,
            wire.RES_CHECKS: 0,
            wire.RES_GTIN: "02000000000015",
            wire.RES_EXPIRY: "291231",
            wire.RES_CALIBRATION: "factory",
        }
        moment = [self.boot_id, self.uptime_ms, None, wire.CLOCK_UNSET, None]
        return {
            wire.REC_KIND: wire.KIND_RESULT,
            wire.REC_TIME: moment,
            wire.REC_FIRMWARE: FIRMWARE,
            wire.REC_BODY: body,
        }

    def sighting(self, hub_ms: int) -> dict[int, Any]:
        """What a hub saw of this reader at `hub_ms` (Unix milliseconds)."""
        return {
            wire.SIGHT_READER_ID: self.reader_id,
            wire.SIGHT_BOOT_ID: self.boot_id,
            wire.SIGHT_UPTIME_MS: self.uptime_ms + 1_000,
            wire.SIGHT_HUB_MS: hub_ms,
            wire.SIGHT_UNCERTAINTY_MS: 40,
            wire.SIGHT_FIRST: 1,
            wire.SIGHT_NEXT: self.number + 1,
            wire.SIGHT_RELEASED: 0,
            wire.SIGHT_DOWN: 0,
            wire.SIGHT_BATTERY: 80,
            wire.SIGHT_FLAGS: 0,
            wire.SIGHT_FIRMWARE: FIRMWARE,
            wire.SIGHT_GENERATION: self.generation,
        }
