"""Runs a script of on_micropython/ under the real MicroPython with the real firmware, and reads its line of figures."""

import asyncio
import re
import sys
from pathlib import Path

from ..process import LAUNCH, module_folder
from ..wiring import FIRMWARE
from .campaign import BrokenPromise

SCRIPTS = Path(__file__).parent / "on_micropython"
_FIGURE = re.compile(r"(\w+) (-?\d+)")
_BROKEN = "broken: "


async def figures(script: str, *arguments: object, heap: str = "32M") -> dict[str, int]:
    """What `script` printed as `name value` pairs. BrokenPromise with its own sentence when it says `broken: …`,
    RuntimeError when it ends in any other way."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", LAUNCH, module_folder(), "-X", f"heapsize={heap}", str(SCRIPTS / script)),
        *(str(FIRMWARE), *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = out.decode(errors="replace").strip()
    last = said.rpartition("\n")[2]
    if last.startswith(_BROKEN):
        raise BrokenPromise(last.removeprefix(_BROKEN))
    if process.returncode or complaint:
        raise RuntimeError(f"{script} ended with {process.returncode}: {complaint.decode(errors='replace')}{said}")
    return {name: int(value) for name, value in _FIGURE.findall(last)}
