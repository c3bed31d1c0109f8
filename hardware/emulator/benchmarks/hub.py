"""How fast the hub is: its real process collects from four readers over a link at memory speed, stores each window with
a sync of the disk before it credits it, delivers to a real server over HTTP, and hands the receipts over.

The clock starts when the hub first connects to a reader and stops when the last reader holds its receipt. The readers
and the radio are models (`emulator.modelled`), because Bumble tops out near 1,100 notifications a second.
"""

import asyncio
import time

from ..path import PathError
from .figure import Figure, Say

READERS = 4
RECORDS = 1_500  # of each reader, about 1 KB sealed
ROUNDS = 2
_LIMIT = 500.0


async def measure(say: Say, full: bool = False, records: int = RECORDS, rounds: int = ROUNDS) -> list[Figure]:
    """The best of `rounds`: what else the machine does can only make it slower."""
    # Here, because the trials of faults use this package too.
    from ..faults.programme import programme, settle
    from ..modelled.air import Air

    rates: list[float] = []
    async with programme(say) as made:
        readers = await made.some_readers(READERS)
        for at in range(rounds):
            say(f"collects and delivers {READERS} x {records:,} records ({at + 1} of {rounds})")
            laptop = await made.laptop()
            async with Air() as air:  # nobody in range until there is something to collect
                await laptop.start(air)
                await laptop.until("started")
                await asyncio.to_thread(lambda: [reader.issue(records) for reader in readers])
                air.readers.extend(readers)
                await laptop.until("visiting")
                began = time.perf_counter()
                await settle(readers)
                rates.append(READERS * records / (time.perf_counter() - began))
                await laptop.stop()
            counted = made.count(readers, {reader.reader_id: 0 for reader in readers})
            if not counted.whole:
                raise PathError(f"what was delivered is not whole: {counted}")
    what = f"{READERS * records:,} records collected, stored, delivered and receipted over a link at memory speed"
    return [Figure("hub", what, max(rates), "records/s", _LIMIT, "higher")]
