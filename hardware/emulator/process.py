"""One run of a reader's MicroPython process: started, spoken with over its two sockets, and killed."""

import asyncio
import inspect
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from . import image, wiring
from .calls import ANSWER, EVENT, MESSAGE, Answer, Event, Operation

_LONGEST_LINE = 4096
_BOARD = {"board.py": wiring.FIRMWARE / "board.py"}  # for a test firmware, which runs on the product's board

Handler = Callable[[Operation, int, bytes], Answer]


class ReaderProcess:
    """A MicroPython process whose hardware is `handler(operation, virtual_us, payload)`.

    The handler returns the answer's payload or an awaitable of it; an OSError it raises reaches the firmware as that
    errno. Operations from 128 on are not answered. The process reads the flash whose file is `cells` by itself; it is
    written by the handler only. `compiled` says that the folder is an image already. With a `terminal` (the descriptor
    of one) nothing is started: MicroPython's prompt is there, and the application is what the flash holds.
    """

    def __init__(
        self,
        firmware: Path,
        heap: str,
        handler: Handler,
        log: Callable[[str], None],
        cells: Path,
        *,
        compiled: bool = False,
        terminal: int | None = None,
    ) -> None:
        self._terminal = terminal
        self._firmware = firmware
        self._compiled = compiled
        self._cells = cells
        self._heap = heap
        self._handler = handler
        self._log = log
        self._folder = Path(tempfile.mkdtemp(prefix="doorstep-"))
        self._server: asyncio.Server | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._events: asyncio.WriteTransport | None = None
        self._backlog: list[bytes] = []
        self._pending: set[asyncio.Task[None]] = set()
        self._dead = False
        self.pushed = 0  # events sent or kept so far

    async def start(self) -> None:
        """Compile what is not compiled yet, listen, and start the process."""
        loop = asyncio.get_running_loop()
        standins = await asyncio.to_thread(image.standins)
        firmware = self._firmware if self._compiled else await asyncio.to_thread(image.build, self._firmware, _BOARD)
        path = str(self._folder / "s")
        self._server = await loop.create_unix_server(lambda: _Socket(self), path)
        code = (_START if self._terminal is None else _PROMPT).format(
            standins=str(standins), path=path, firmware=str(firmware), cells=str(self._cells.absolute())
        )
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-c", LAUNCH, module_folder(), "-X", f"heapsize={self._heap}"),
            *(() if self._terminal is None else ("-i",)),
            *("-c", code),
            stdin=asyncio.subprocess.DEVNULL if self._terminal is None else self._terminal,
            stdout=asyncio.subprocess.PIPE if self._terminal is None else self._terminal,
            stderr=asyncio.subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", ""), "PYTHONUNBUFFERED": "1"},
        )

    async def wait(self) -> int:
        """Copy the console to the log until the process ends; its exit code, negative for a signal."""
        assert self._process is not None
        rest = b""
        while self._process.stdout is not None and (data := await self._process.stdout.read(4096)):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._log(line.decode(errors="replace").rstrip("\r"))
            if len(rest) > _LONGEST_LINE:
                self._log(rest.decode(errors="replace"))
                rest = b""
        if rest:
            self._log(rest.decode(errors="replace"))
        code = await self._process.wait()
        self.kill()
        if self._server is not None:
            self._server.close()
        for task in self._pending:
            task.cancel()
        shutil.rmtree(self._folder, ignore_errors=True)
        return code

    @property
    def dead(self) -> bool:
        """Whether power has been taken from it."""
        return self._dead

    def kill(self) -> None:
        """Take its power: not another instruction runs, and nothing it still says is heard."""
        self._dead = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def push(self, kind: Event, payload: bytes) -> None:
        """Send an event; kept until the process has opened its socket."""
        frame = EVENT.pack(len(payload), kind) + payload
        if self._dead:
            return
        self.pushed += 1
        if self._events is None:
            self._backlog.append(frame)
        else:
            self._events.write(frame)

    def opened_events(self, transport: asyncio.WriteTransport) -> None:
        """The process has opened its event socket, the second of its two: nobody needs their path any more."""
        self._events = transport
        shutil.rmtree(self._folder, ignore_errors=True)
        for frame in self._backlog:
            transport.write(frame)
        self._backlog.clear()

    def received(self, transport: asyncio.WriteTransport, operation: int, virtual_us: int, payload: bytes) -> None:
        """One message of the process, to the handler and back."""
        if self._dead:
            return
        try:
            answer = self._handler(Operation(operation), virtual_us, payload)
        except OSError as error:
            self._answer(transport, operation, error.errno or 5, b"")
            return
        if inspect.isawaitable(answer):
            task = asyncio.ensure_future(self._answer_later(transport, operation, answer))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)
        else:
            self._answer(transport, operation, 0, answer or b"")

    async def _answer_later(
        self, transport: asyncio.WriteTransport, operation: int, answer: Awaitable[bytes | None]
    ) -> None:
        try:
            payload = await answer
        except OSError as error:
            self._answer(transport, operation, error.errno or 5, b"")
        else:
            self._answer(transport, operation, 0, payload or b"")

    def _answer(self, transport: asyncio.WriteTransport, operation: int, status: int, payload: bytes) -> None:
        if operation < 128 and not self._dead:
            transport.write(ANSWER.pack(len(payload), status) + payload)


class _Socket(asyncio.Protocol):
    """Either socket of the process; its first byte says which."""

    def __init__(self, process: ReaderProcess) -> None:
        self._process = process
        self._kind = b""
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._kind:
            self._kind = bytes(self._data[:1])
            del self._data[:1]
            if self._kind == b"E":
                self._process.opened_events(self._transport)
        while len(self._data) >= MESSAGE.size:
            length, operation, virtual_us = MESSAGE.unpack_from(self._data)
            end = MESSAGE.size + length
            if len(self._data) < end:
                break
            payload = bytes(self._data[MESSAGE.size : end])
            del self._data[:end]
            self._process.received(self._transport, operation, virtual_us, payload)


_PREPARE = """
import sys
sys.path[:] = [{standins!r}, ".frozen"]
import start
files = start.prepare({path!r}, {standins!r}, {firmware!r}, {cells!r})
del start, sys.modules["start"]
"""
_PROMPT = (
    _PREPARE
    + """
sys.path[:] = ["/.b", "", ".frozen", "/lib"]
"""
)
# boot.py and main.py share their names, as on the board.
_START = (
    _PREPARE
    + """
names = {{"__name__": "__main__"}}
try:
    for path in files:
        execfile(path, names)
except SystemExit:
    raise
except BaseException as error:
    sys.print_exception(error, sys.stderr)
    sys.exit(1)
print("main.py has returned")
sys.exit(0)
"""
)

# The unix port comes as an extension module, so a small CPython carries it; -S keeps its start short.
LAUNCH = (
    "import sys;sys.path.insert(0,sys.argv[1]);import micropython_run;"
    "sys.exit(micropython_run.run_main(['micropython']+sys.argv[2:]))"
)


def module_folder() -> str:
    """Where the unix port's extension module is."""
    import micropython_run  # type: ignore[import-not-found]

    return str(Path(micropython_run.__file__).parent)  # type: ignore[no-untyped-call]
