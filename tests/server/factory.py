"""Makes what readers and hubs send, for tests: sealed by `cwt`, so that the server's own seal has a second opinion.

reader = Reader(reader_id, key)
sealed = reader.seal(result(specimen="S-1", outcome=outcome.POSITIVE))
body = exchange_body([sealed], sightings=[sighting(reader)])
"""

import gzip
import hashlib
import os
import time
from dataclasses import dataclass, field
from typing import Any

import cbor2
import cwt

from reader import outcome, wire
from server.readers import keys

FIRMWARE = "1.0.0+test"
BOOT_ID = bytes(range(8))


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass
class Reader:
    """A reader's sealing end: its number and chain go on from record to record."""

    reader_id: bytes
    key: bytes
    generation: int = 0
    number: int = 0
    previous: bytes = b""
    boot_id: bytes = BOOT_ID
    uptime_ms: int = 1_000_000
    sealed: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.previous:
            self.previous = hashlib.sha256(self.reader_id).digest()[: wire.HASH_BYTES]

    def seal(self, body: dict[int, Any], **changes: Any) -> bytes:
        """The next record of the chain, with `body` as its plaintext map."""
        sealed = self.seal_at(self.number + 1, self.previous, cbor2.dumps(body, canonical=True), **changes)
        self.number += 1
        self.previous = chain_hash(sealed)
        self.sealed.append(sealed)
        return sealed

    def seal_at(
        self,
        number: int,
        previous: bytes,
        plaintext: bytes,
        *,
        nonce: bytes | None = None,
        reader_id: bytes | None = None,
        generation: int | None = None,
        key: bytes | None = None,
    ) -> bytes:
        """Seal any plaintext under any header, the chain untouched."""
        kid = self.reader_id if reader_id is None else reader_id
        cose_key = cwt.COSEKey.from_symmetric_key(
            keys.record_key(self.reader_id, key or self.key), alg="AES-CCM-16-128-256", kid=kid
        )
        return cwt.COSE.new().encode(
            plaintext,
            key=cose_key,
            protected={
                wire.COSE_ALG: wire.COSE_AES_CCM_16_128_256,
                wire.COSE_KID: kid,
                wire.HDR_NUMBER: number,
                wire.HDR_PREVIOUS: previous,
                wire.HDR_GENERATION: self.generation if generation is None else generation,
            },
            unprotected={wire.COSE_IV: nonce or number.to_bytes(4, "big") + os.urandom(9)},
        )

    def moment(self) -> list[Any]:
        """The time of a record of this boot, without a wall clock; a minute passes each time."""
        self.uptime_ms += 60_000
        return [self.boot_id, self.uptime_ms, None, wire.CLOCK_UNSET, None]

    def results(self, count: int, **fields: Any) -> list[bytes]:
        """The next `count` records, each a result with specimen S-<number> unless given."""
        return [
            self.seal(result(moment=self.moment(), **{"specimen": f"S-{self.number + 1}", **fields}))
            for _ in range(count)
        ]


def chain_hash(sealed: bytes) -> bytes:
    """The chain hash of a sealed record."""
    return hashlib.sha256(sealed).digest()[: wire.HASH_BYTES]


def delta(samples: list[int]) -> bytes:
    """Delta coding of a trace (docs/protocol.md section 2)."""
    out = bytearray()
    last = 0
    for sample in samples:
        step = sample - last
        last = sample
        zigzag = (step << 1) ^ (step >> 63)
        while zigzag > 127:
            out.append(zigzag & 127 | 128)
            zigzag >>= 7
        out.append(zigzag)
    return bytes(out)


def strip_samples(control: int = 12000, test: int = 0, white: int = 40000) -> list[int]:
    """Raw counts of 128 pixels: a test line at 6.0 mm and a control line at 11.0 mm, so many counts deep."""
    samples: list[int] = []
    for pixel in range(128):
        at_um = pixel * 125 + 62
        level = white - 4000
        for centre, depth in ((6000, test), (11000, control)):
            level -= int(depth * 2.718281828 ** (-(((at_um - centre) / 480) ** 2)))
        # A fixed unevenness of a few counts stands for the sensor's noise.
        samples.append(level + (pixel * 7919 % 11) * 8)
    return samples


def strip_trace(samples: list[int] | None = None) -> dict[int, Any]:
    """A strip's trace."""
    samples = strip_samples() if samples is None else samples
    return {
        wire.TRACE_KIND: wire.TRACE_STRIP,
        wire.TRACE_STEP: 125,
        wire.TRACE_COUNT: len(samples),
        wire.TRACE_SAMPLES: delta(samples),
        wire.TRACE_WHITE: 40000,
        wire.TRACE_DARK: 400,
    }


def result(
    *,
    specimen: str = "S-1",
    assay: str = "sars2-ag",
    assay_version: int = 1,
    outcome_code: int = outcome.NEGATIVE,
    reason: int = outcome.NONE,
    operator: str | None = "op-7",
    lot: str | None = "LOT1",
    serial: str | None = "0001",
    analytes: list[list[Any]] | None = None,
    trace: dict[int, Any] | None = None,
    moment: list[Any] | None = None,
    times: list[int | None] | None = None,
    temperatures: list[int | None] | None = None,
    changes: dict[int, Any] | None = None,
) -> dict[int, Any]:
    """The plaintext map of a result. `changes` replaces members of the result map, to make wrong ones."""
    moment = moment or [BOOT_ID, 1_000_000, None, wire.CLOCK_UNSET, None]
    read_ms = moment[1] - 2_000
    body: dict[int, Any] = {
        wire.RES_SPECIMEN: specimen,
        wire.RES_ASSAY: assay,
        wire.RES_ASSAY_VERSION: assay_version,
        wire.RES_LOT: lot,
        wire.RES_SERIAL: serial,
        wire.RES_OPERATOR: operator,
        wire.RES_OUTCOME: outcome_code,
        wire.RES_REASON: reason,
        wire.RES_ALGORITHM: "strip/1",
        wire.RES_ANALYTES: [["SARS-CoV-2", outcome_code, reason, 1_250, "ppm", 310]] if analytes is None else analytes,
        wire.RES_TRACE: strip_trace() if trace is None else trace,
        wire.RES_TIMES: times or [max(0, read_ms - 900_000), read_ms, read_ms],
        wire.RES_TEMPERATURES: temperatures or [2_310, 2_300, 2_340],
        wire.RES_BATTERY_MV: 3_900,
        wire.RES_CHECKS: 0,
        wire.RES_GTIN: "02000000000015",
        wire.RES_EXPIRY: "271231",
        wire.RES_CALIBRATION: None,
    }
    body.update(changes or {})
    return record(wire.KIND_RESULT, moment, body)


def event(
    code: int = wire.EVENT_BOOT,
    detail: str | None = None,
    numbers: list[int] | None = None,
    moment: list[Any] | None = None,
) -> dict[int, Any]:
    """The plaintext map of an event."""
    moment = moment or [BOOT_ID, 1_000_000, None, wire.CLOCK_UNSET, None]
    return record(
        wire.KIND_EVENT, moment, {wire.EVT_CODE: code, wire.EVT_DETAIL: detail, wire.EVT_NUMBERS: numbers or []}
    )


def record(kind: int, moment: list[Any], body: dict[int, Any]) -> dict[int, Any]:
    """The plaintext map of any record."""
    return {wire.REC_KIND: kind, wire.REC_TIME: moment, wire.REC_FIRMWARE: FIRMWARE, wire.REC_BODY: body}


def sighting(reader: Reader, *, hub_ms: int | None = None, **changes: Any) -> dict[int, Any]:
    """What a hub saw of `reader` just now; `changes` by name: released, down, uptime_ms, next, uncertainty_ms."""
    return {
        wire.SIGHT_READER_ID: reader.reader_id,
        wire.SIGHT_BOOT_ID: reader.boot_id,
        wire.SIGHT_UPTIME_MS: changes.get("uptime_ms", reader.uptime_ms + 1_000),
        wire.SIGHT_HUB_MS: now_ms() if hub_ms is None else hub_ms,
        wire.SIGHT_UNCERTAINTY_MS: changes.get("uncertainty_ms", 40),
        wire.SIGHT_FIRST: changes.get("first", 1),
        wire.SIGHT_NEXT: changes.get("next", reader.number + 1),
        wire.SIGHT_RELEASED: changes.get("released", 0),
        wire.SIGHT_DOWN: changes.get("down", 0),
        wire.SIGHT_BATTERY: changes.get("battery", 80),
        wire.SIGHT_FLAGS: changes.get("flags", 0),
        wire.SIGHT_FIRMWARE: FIRMWARE,
        wire.SIGHT_GENERATION: reader.generation,
    }


def header(
    epoch: bytes | None = None, tickets: list[list[Any]] | None = None, version: int = 1, at_ms: int | None = None
) -> list[Any]:
    """The header item of a hub."""
    return [
        wire.ITEM_HEADER,
        {
            wire.HEAD_VERSION: version,
            wire.HEAD_NOW_MS: now_ms() if at_ms is None else at_ms,
            wire.HEAD_EPOCH: epoch,
            wire.HEAD_SOFTWARE: "doorstep-hub/test",
            wire.HEAD_TICKETS: tickets or [],
        },
    ]


def sequence(*items: Any) -> bytes:
    """A CBOR sequence (RFC 8742)."""
    return b"".join(cbor2.dumps(item, canonical=True) for item in items)


def exchange_body(
    sealed: list[bytes] | None = None,
    sightings: list[dict[int, Any]] | None = None,
    head: list[Any] | None = None,
    *,
    compress: bool = False,
) -> bytes:
    """The body of an exchange."""
    items = [head or header()]
    items += [[wire.ITEM_RECORD, one] for one in sealed or []]
    items += [[wire.ITEM_SIGHTING, one] for one in sightings or []]
    body = sequence(*items)
    return gzip.compress(body) if compress else body


def items_of(body: bytes) -> list[list[Any]]:
    """The items of a CBOR sequence."""
    import io

    stream = io.BytesIO(body)
    items: list[list[Any]] = []
    while stream.tell() < len(body):
        items.append(cbor2.load(stream))
    return items
