"""The link's faults on the whole chain: emulated readers, the hub's and the server's own processes, in real time."""

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..air import LinkModel
from ..benchmarks.filling import fill
from ..benchmarks.sealing import plaintext
from ..path import ORGANISATION, Enrolled, PathError, WholePath
from .campaign import Say, Tally, Trial

_FLASH = 1024 * 1024
_READY_S, _SETTLED_S = 120.0, 240.0
_TROUBLES = ("hub killed", "out of range", "reader restart")


def _air(chance: random.Random) -> LinkModel:
    return LinkModel(
        interval_s=chance.choice((0.0075, 0.015, 0.03)),
        packets_per_event=chance.choice((2, 4, 6, None)),
        payload_bytes=chance.choice((27, 123, 251)),
        phy_mbit=chance.choice((1, 2)),
        loss=chance.choice((0.0, 0.05, 0.15)),
        advertisement_loss=chance.choice((0.0, 0.2)),
        supervision_timeout_s=chance.choice((1.0, 2.0)),
        transmit_buffers=chance.choice((3, 12)),
    )


@asynccontextmanager
async def chain(say: Say) -> AsyncGenerator[Trial]:
    """A server and a hub for all trials; each trial has a reader of its own."""
    with tempfile.TemporaryDirectory(prefix="doorstep-faults-") as folder:
        async with WholePath(Path(folder), seed=1) as path:
            await path.start_hub()

            async def trial(seed: int) -> Tally:
                say(f"seed {seed}")
                try:
                    return await _trial(path, seed)
                except PathError as error:
                    runs = "runs" if path.server.running else "has ended"
                    raise PathError(f"{error}\nThe server {runs}:\n{path.server.last_words()}") from error

            yield trial


async def _trial(path: WholePath, seed: int) -> Tally:
    chance = random.Random(seed)  # noqa: S311  a simulation
    quiet = path.bench.air.model
    enrolled = await path.add_reader(f"Reader {seed}", clock=datetime.now(UTC), flash_size=_FLASH)
    path.readers[:] = [enrolled]
    try:
        await enrolled.reader.wait_for_text("Ready", _READY_S)
        await enrolled.reader.cut_power()
        await fill(path.bench, enrolled.reader, plaintext(), chance.randrange(20, 60))
        path.bench.air.model = _air(chance)
        await enrolled.reader.power_on()
        faults = 0
        for _ in range(chance.randrange(1, 4)):
            await asyncio.sleep(chance.uniform(0.3, 4.0))
            await _trouble(path, enrolled, chance)
            faults += 1
        await path.settled(_SETTLED_S)
        return await _count(path, enrolled, faults)
    finally:
        path.bench.air.model = quiet
        await enrolled.reader.cut_power()


async def _trouble(path: WholePath, enrolled: Enrolled, chance: random.Random) -> None:
    what, seconds = chance.choice(_TROUBLES), chance.uniform(0.1, 3.0)
    if what == "hub killed":
        await path.hub.kill()
        await asyncio.sleep(seconds)
        await path.start_hub()
    elif what == "out of range":
        enrolled.reader.out_of_range()
        await asyncio.sleep(seconds)
        enrolled.reader.in_range()
    else:
        await enrolled.reader.cut_power()
        await asyncio.sleep(seconds)
        await enrolled.reader.power_on()


async def _count(path: WholePath, enrolled: Enrolled, faults: int) -> Tally:
    """By the server's own proof: every number once, chained, and opened anew."""
    said = await path.command(
        "custody", "--organisation", ORGANISATION, "--reader", enrolled.reader_id, "--prove", "--json"
    )
    (line,) = json.loads(said)["readers"]
    issued, _ = path.advertised(enrolled)
    tally = Tally(faults=faults, issued=issued, held=int(line["held"]))
    tally.lost = max(0, issued - tally.held) + int(line["gaps"])
    tally.duplicated = max(0, tally.held - issued) + int(line["conflicts"])
    tally.undetected = int(line["quarantined"]) + int(not line["proof"]["whole"])
    return tally
