"""A bench for tests, with time-outs short enough to see a dead link and long enough for a busy machine."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from emulator.air import LinkModel
from emulator.bench import Bench
from emulator.reader import EmulatedReader

HERE = Path(__file__).parent
PARTS = HERE / "firmware_parts"


class Console:
    """Gives a reader with the parts firmware commands, and finds its answers."""

    def __init__(self, reader: EmulatedReader) -> None:
        self.reader = reader

    async def ask(self, command: str, answer: str | None = None, timeout: float = 10) -> str:
        """Send `command`; the rest of the first new console line that starts with `answer` or its first word."""
        word = answer or command.split()[0]
        before = len(self.reader.console)
        self.reader.scan(command)

        def found() -> list[str]:
            return [line for line in list(self.reader.console)[before:] if line.startswith(word)]

        await self.reader.wait_for(lambda: bool(found()), timeout, f"the answer to {command!r}")
        return found()[0][len(word) :].strip()


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    """A bench with a fast link and no reader."""
    async with Bench(seed=1, link=LinkModel(interval_s=0.004, supervision_timeout_s=0.5)) as bench:
        yield bench


@pytest.fixture
def parts(bench: Bench, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Console]]:
    """Starts a reader with the parts firmware: `async with parts(speed=10) as console`."""

    @asynccontextmanager
    async def start(**options: object) -> AsyncIterator[Console]:
        options.setdefault("flash", tmp_path / "flash.bin")
        reader = await bench.add_reader(firmware=PARTS, **options)  # type: ignore[arg-type]
        await reader.wait_for_console("ready")
        yield Console(reader)

    return start
