"""What a collection costs on the air: a real hub drains a real reader over the modelled radio, packet by packet.

Octets are the model's, from preamble to CRC with the acknowledgements (Core 5.4 Vol 6 Part B 2.1), of both directions
and everything on the link: admission, records, credits, receipt. Goodput is sealed record bytes over the time from the
first packet of the records to the last, and its rival is the most that notifications of the largest size could carry in
the model.

The transfer alone, with both real ends in simulated time, is measured beside it: those figures are the same on any
machine.
"""

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bumble.controller import Controller

from ..air import Air, LinkModel
from ..faults.goodput import drain
from ..path import PathError, WholePath
from .delivery import receipted
from .figure import Figure, Say
from .filling import fill
from .sealing import Sealer, plaintext

RECORDS, RECORDS_FULL = 200, 1_000
_OCTETS_LIMIT = 1.25
_GOODPUT_SHARE = 0.8
_ATT_HEADER = 3
_VALUE_MAX = 244  # of a notification, docs/protocol.md section 4.1
_BULK = 200  # a packet at least so large carries a record: nothing else on the link is
_COLLECT_S = 120.0
_LOSSY = 0.1
_LOSSY_SHARE = 0.6
_REQUESTS_LIMIT = 0.1
_DRAINED = 1_000


class Meter:
    """Counts what is on the air."""

    def __init__(self, air: Air) -> None:
        self.octets = 0
        self.first = self.last = 0.0
        self.bulk_packets = 0
        air.on_packet = self._packet

    def _packet(self, sender: Controller, size: int, octets: int) -> None:
        self.octets += octets
        if size >= _BULK:
            now = time.perf_counter()
            self.first = self.first or now
            self.last = now
            self.bulk_packets += 1


async def measure(say: Say, full: bool = False, records: int | None = None) -> list[Figure]:
    """One collection of `records` results of about 1 KB."""
    drained = records or _DRAINED
    records = records or (RECORDS_FULL if full else RECORDS)
    collected: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="doorstep-bench-") as folder:
        say("starts a server, a hub and a reader")
        async with WholePath(Path(folder), seed=9, told=collected.append) as path:
            enrolled = await path.add_reader("Village hall", clock=datetime.now(UTC), flash_size=4 * 1024 * 1024)
            await enrolled.reader.wait_for_text("Ready", 30)
            await enrolled.reader.cut_power()
            say(f"fills its journal with {records:,} results")
            last = await fill(path.bench, enrolled.reader, plaintext(), records)
            sealed_bytes = records * len(Sealer(b"\0" * 8, b"\0" * 32, number=records).seal(plaintext()))
            say("has the hub collect them")
            meter = Meter(path.bench.air)
            await enrolled.reader.power_on()
            await path.start_hub()
            await receipted(path, enrolled, last, _COLLECT_S)
            model = path.bench.air.model
    stored = sum(int(event["count"]) for event in collected if event["event"] == "collected")
    if stored < records:
        raise PathError(f"The hub told of {stored} records collected; the reader held {last}.")
    goodput = sealed_bytes / (meter.last - meter.first)
    ceiling = model.packets_per_s(_VALUE_MAX + _ATT_HEADER) * _VALUE_MAX
    return [
        Figure(
            "air",
            f"octets on the air for each byte of {records:,} sealed records, both directions, in one collection",
            meter.octets / sealed_bytes,
            "octets/byte",
            _OCTETS_LIMIT,
            "lower",
        ),
        Figure(
            "air.goodput",
            "sealed record bytes a second, beside the most that notifications can carry in the model",
            goodput,
            "bytes/s",
            _GOODPUT_SHARE * ceiling,
            "higher",
            rival=ceiling,
        ),
        *await asyncio.to_thread(_simulated, say, drained),
    ]


def _simulated(say: Say, records: int) -> list[Figure]:
    say(f"drains {records:,} records in simulated time")
    good, lossy = drain(LinkModel(), records), drain(LinkModel(loss=_LOSSY), records)
    return [
        Figure(
            "air.transfer",
            f"sealed bytes a second while {records:,} records are drained in simulated time, beside the ceiling",
            good.goodput,
            "bytes/s",
            _GOODPUT_SHARE * good.ceiling,
            "higher",
            rival=good.ceiling,
        ),
        Figure(
            "air.transfer-lossy",
            f"the same with {_LOSSY:.0%} of the packets lost, beside the ceiling without loss",
            lossy.goodput,
            "bytes/s",
            _LOSSY_SHARE * lossy.ceiling,
            "higher",
            rival=lossy.ceiling,
        ),
        Figure(
            "air.requests",
            f"writes of the hub, each a round trip, for each of {records:,} records drained",
            good.requests_per_record,
            "requests/record",
            _REQUESTS_LIMIT,
            "lower",
        ),
    ]
