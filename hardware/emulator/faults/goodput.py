"""How much of what the radio could carry a collection uses, in simulated time: the same on any machine."""

import asyncio
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..air import LinkModel
from . import virtual_time
from .channel import Channel
from .instrument import Instrument, provision
from .laptop import Laptop
from .office import Office

_READER, _KEY = b"reader-1", bytes(32)
_ATT_HEADER, _VALUE_MAX = 3, 244  # of a notification, docs/protocol.md section 4.1
_DISK_S = 0.02  # what a laptop's disk takes for a window of records
_LIMIT_S = virtual_time.HOUR_S
RESULT = 840  # bytes of a result's plaintext, with its trace of 128 pixels


@dataclass(frozen=True)
class Drained:
    """`goodput` and `ceiling` in sealed record bytes a second; the ceiling is that of notifications of the largest size
    without loss. `requests` are the hub's writes, each a round trip of its own."""

    records: int
    goodput: float
    ceiling: float
    requests: int

    @property
    def share(self) -> float:
        """Goodput of the ceiling."""
        return self.goodput / self.ceiling

    @property
    def requests_per_record(self) -> float:
        """Round trips that a record costs."""
        return self.requests / self.records


def drain(model: LinkModel, records: int, size: int = RESULT, seed: int = 1) -> Drained:
    """Have a real hub's end collect `records` results with plaintexts of `size` bytes from a real reader's end."""
    with tempfile.TemporaryDirectory(prefix="doorstep-goodput-") as folder:
        return virtual_time.run(_drain(Path(folder), model, records, size, seed), _LIMIT_S)


async def _drain(folder: Path, model: LinkModel, records: int, size: int, seed: int) -> Drained:
    chance = random.Random(seed)  # noqa: S311  a simulation
    channel = Channel(model, chance)
    issued: dict[int, bytes] = {}
    provision(folder, _READER, _KEY)
    reader = Instrument(folder, channel, chance, issued)
    for _ in range(records):
        reader.record(size)
    laptop = Laptop(folder / "hub", channel, Office(_READER, _KEY), _READER, chance, disk_s=_DISK_S)
    laptop.exchange()  # brings the ticket
    await asyncio.sleep(1)  # it begins to advertise
    began = ended = asyncio.get_running_loop().time()

    def kept() -> None:
        nonlocal ended
        ended = asyncio.get_running_loop().time()

    laptop.writer.on_kept = kept
    visit = await laptop.visit()
    try:
        if visit.fault is not None or visit.collected < records:
            raise RuntimeError(f"the visit ended with {visit.fault}: {visit.collected} of {records} collected")
    finally:
        reader.power_off()
        laptop.close()
    ceiling = model.packets_per_s(_VALUE_MAX + _ATT_HEADER) * _VALUE_MAX
    carried = sum(len(sealed) for sealed in issued.values())
    return Drained(records, carried / (ended - began), ceiling, channel.packets.writes)
