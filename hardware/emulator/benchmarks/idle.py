"""What a hub costs the laptop while nothing happens: ten readers in range, everything delivered, its page served.

The hub is the real program with its default settings; processor time and memory are the kernel's own count of its
process (proc(5): utime and stime of /proc/PID/stat, VmHWM of /proc/PID/status). Linux only.

It is measured over two radios. On a laptop the Bluetooth host is the system's, and the hub is only told what was heard:
the modelled radio is like that. The emulated one runs its whole host, Bumble, inside the hub's process, and each advert
is parsed there.
"""

import asyncio
import os
import re
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ..path import WholePath
from .figure import Figure, Say

READERS = 10
SECONDS = 60.0
_CPU_PERCENT = 2.0
_MEMORY_MB = 150.0
_SETTLE_S = 240.0


async def measure(say: Say, full: bool = False, readers: int = READERS, seconds: float = SECONDS) -> list[Figure]:
    """Percent of one processor over `seconds`, over either radio, and the most memory since its start."""
    modelled = await _modelled(say, readers, seconds)
    emulated, memory = await _emulated(say, readers, seconds)
    what = f"a hub with {readers} readers in range and nothing to do"
    inside = f"{what}, the radio's host in its process"
    return [
        Figure("idle.processor", f"{what}: of one processor", modelled, "%", _CPU_PERCENT, "lower"),
        Figure("idle.processor.emulated", f"{inside}: of one processor", emulated, "%", _CPU_PERCENT, "lower"),
        Figure("idle.memory", f"{inside}: most memory since its start", memory, "MB", _MEMORY_MB, "lower"),
    ]


async def _modelled(say: Say, readers: int, seconds: float) -> float:
    # Here, because the trials of faults use this package too.
    from ..faults.programme import programme, settle
    from ..modelled.air import Air

    async with programme(say) as made:
        near = await made.some_readers(readers)
        laptop = await made.laptop()
        async with Air(near) as air:
            await laptop.start(air, {})
            await asyncio.to_thread(lambda: [reader.issue(1) for reader in near])
            await settle(near)
            assert laptop.pid is not None
            percent = await _watched(say, laptop.pid, seconds)
            await laptop.stop()
    return percent


async def _emulated(say: Say, readers: int, seconds: float) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="doorstep-bench-") as folder:
        say(f"starts a server, a hub and {readers} emulated readers")
        async with WholePath(Path(folder), seed=5) as path:
            path.place.environment.pop("DOORSTEP_HUB_POLL", None)
            for number in range(readers):
                await path.add_reader(f"Reader {number + 1}", clock=datetime.now(UTC))
            await path.start_hub()
            await path.settled(_SETTLE_S)
            pid = path.hub.pid
            assert pid is not None
            return await _watched(say, pid, seconds), _memory_mb(pid)


async def _watched(say: Say, pid: int, seconds: float) -> float:
    """Percent of one processor that it takes."""
    say(f"watches it for {seconds:.0f} s")
    began, spent = time.monotonic(), _processor_s(pid)
    await asyncio.sleep(seconds)
    return 100 * (_processor_s(pid) - spent) / (time.monotonic() - began)


def _processor_s(pid: int) -> float:
    """Seconds of processor time, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    """The high-water mark of resident memory, in MB of 10^6 bytes."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / 1e6
