"""`doorstep hub doctor`: every check, bounded in time, and never a traceback."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from hub import redaction
from hub.care import bluetooth, laptop, network
from hub.care.findings import Finding, wrong
from hub.problems import KINDS
from hub.settings import HubSettings


def examine(settings: HubSettings) -> list[Finding]:
    """Look at everything; what is wrong says so itself, whatever state the laptop is in."""
    return asyncio.run(_examine(settings.data, settings.radio))


async def _examine(folder: Path, radio: str) -> list[Finding]:
    # The laptop first and alone: its checks are short, and would hold up the clocks of the others.
    here = await _guarded("Laptop", lambda: asyncio.to_thread(laptop.checks, folder))
    air, way = await asyncio.gather(
        _guarded("Bluetooth", lambda: bluetooth.checks(radio)), _guarded("Network", lambda: network.checks(folder))
    )
    return [*here, *air, *way]


async def _guarded(name: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """A check that fails itself is a finding; the others go on."""
    try:
        return await check()
    except Exception as error:  # noqa: BLE001  the last before a person
        said = f"This could not be checked ({redaction.trace_words(error)})."
        return [wrong(name, "check-failed", said, KINDS["check-failed"].next_step)]
