"""A board at a serial port, through MicroPython's raw REPL as mpremote speaks it: looked at, emptied, and written.

The order makes a power cut harmless. `main.py` comes out before a mark goes in, and is written last after the mark is
gone: a board that has the mark does not start, so it can have gained no record since it was looked at. Before anything
else is written the board is reset: a firmware that was interrupted leaves its watchdog running, and that cannot be
stopped (MicroPython, `machine.WDT`).
"""

import ast
import contextlib
import hashlib
import io
import struct
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Self

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport
from serial import SerialException

from reader import wire

MPY = 6  # version of the bytecode that mpy-cross of this release makes (MicroPython 1.23 and later)
COMES_BACK_S = 20.0
SILENT_S = 5.0
HALF_DEPLOYED = "# This board's application is being replaced."  # the first line of main.py meanwhile
_MARK = "/provisioning"
_AGAIN_S = 0.5
_CHUNK = 4_096

_LOOK = """
import os, sys
def there(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True
def mounted():
    try:
        os.statvfs('/')
    except OSError:
        return False
    return True
def begins():
    try:
        with open('/main.py') as file:
            return file.readline()
    except OSError:
        return ''
print((getattr(sys.implementation, '_mpy', 0) & 0xff, sys.implementation[1][:3], there('/provisioning'),
    there('/identity.cbor') or there('/identity.a') or there('/spare/identity.b'), mounted(), begins()))
"""
# What of the records that no receipt released is not an event of the reader's own, such as its start.
_OWED = f"""
from reader import cbor, cose, settings
from reader.custody import genesis
from reader.identity import Identity
from reader.journal import Journal
identity = Identity(settings.ROOT)
journal = Journal(settings.JOURNAL, genesis(identity.reader_id))
owed = 0 if journal.pending() is None and journal.lost is None else 1
for number in range(max(journal.first, journal.released + 1), journal.next):
    opened = cose.open_record(identity.record_key, identity.reader_id, journal.read(number))
    owed += cbor.decode(opened.plaintext)[{wire.REC_KIND}] != {wire.KIND_EVENT}
print((identity.reader_id, identity.name, owed))
"""  # the image has its constants folded away
_EMPTY = """
import os
def empty(folder):
    for entry in list(os.ilistdir(folder or '/')):
        path = folder + '/' + entry[0]
        if entry[1] == 0x4000:
            empty(path)
            os.rmdir(path)
        elif path != '/provisioning':
            os.remove(path)
empty('')
"""
_HASH = """
import hashlib
digest = hashlib.sha256()
with open({path!r}, 'rb') as file:
    while True:
        data = file.read(1024)
        if not data:
            break
        digest.update(data)
print(digest.digest())
"""


# What mpremote raises when a board goes away; struct.error where it had just begun to answer.
_LOST = (TransportError, SerialException, OSError, struct.error)


class BoardError(Exception):
    """The board cannot be set up; the sentence says what to do."""


class NobodyAnswers(BoardError):
    """There is no MicroPython at that port."""


class Refused(BoardError):
    """What the board was to run raised there; `last` is its words."""

    def __init__(self, last: str) -> None:
        super().__init__(f"The board refused: {last}. Run this again; if it stays, it needs service.")
        self.last = last


@dataclass(frozen=True, slots=True)
class Found:
    """What is on a board. `half_done`: a set-up was interrupted here; `reader`: it has an identity; `mounted`: its
    file system can be read; `half_deployed`: an application was being written when the board was unplugged."""

    mpy: int
    version: tuple[int, ...]
    half_done: bool
    reader: bool
    mounted: bool
    half_deployed: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """The reader that a board is. `owed` counts results that no receipt covers."""

    reader_id: bytes
    name: str
    owed: int


class Board:
    """`with Board(port) as board:` Raises BoardError, as every method does."""

    def __init__(self, port: str) -> None:
        self._port = port
        self._transport: Any = None

    def __enter__(self) -> Self:
        self._open(0)
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def look(self) -> Found:
        """What is on the board, whatever that is."""
        mpy, version, half_done, reader, mounted, begins = self.value(_LOOK)
        return Found(mpy, tuple(version), half_done, reader, mounted, begins.strip() == HALF_DEPLOYED)

    def reader(self) -> Reader:
        """Whose board this is, and what it still owes."""
        try:
            return Reader(*self.value(_OWED))
        except BoardError as error:
            raise BoardError(
                "This board is a reader whose memory cannot be looked into, so nobody can tell whether it holds "
                "results. It needs service; nothing was changed."
            ) from error

    def prepare(self) -> None:
        """From here on the board does not start the firmware that it had; it is reset."""
        self.run("import os\ntry:\n os.remove('/main.py')\nexcept OSError:\n pass")
        self._write(_MARK, b"1")
        self.reset()

    def write(self, files: dict[str, bytes], progress: Callable[[int, int], None]) -> None:
        """Empty the board and write `files` (by absolute path, in this order), each read back by its hash.

        The last is the one that starts it.
        """
        self.run(_EMPTY)
        folders = {path[:at] for path in files for at, sign in enumerate(path) if sign == "/" and at}
        for folder in sorted(folders):
            self.run(f"import os\nos.mkdir({folder!r})")
        done, total, last = 0, sum(map(len, files.values())), next(reversed(files))
        for path, content in files.items():
            if path == last:
                self.run(f"import os\nos.remove({_MARK!r})")
            self.put(path, content)
            done += len(content)
            progress(done, total)

    def start(self) -> None:
        """Start what was written; the board is gone from the port's REPL."""
        self._say_reset()

    def begin(self, code: str) -> None:
        """Have the board begin to run `code`, and wait for nothing that it prints."""
        with self._named():
            self._transport.exec_raw_no_follow(code)

    def to_prompt(self) -> None:
        """Leave the board at the prompt that a person types at."""
        with self._named():
            self._transport.exit_raw_repl()

    def release(self) -> Any:
        """Hand mpremote's transport to whoever goes on with the port; this object has nothing more to do with it."""
        transport, self._transport = self._transport, None
        return transport

    def run(self, code: str, quiet_s: float = 10) -> bytes:
        """Have the board run `code`, which may print nothing for so long; what that prints. Refused when it raises."""
        with self._named():
            said, error = self._transport.exec_raw(code, timeout=quiet_s)
            if error:
                raise TransportExecError(said, error.decode(errors="replace"))
            return said

    def value(self, code: str, quiet_s: float = 10) -> Any:
        """The value that `code` prints, a literal of Python."""
        said = self.run(code, quiet_s).decode()
        try:
            return ast.literal_eval(said.strip())
        except (ValueError, SyntaxError) as error:
            raise BoardError("The board answered something else than was asked. Run this again.") from error

    def put(self, path: str, content: bytes) -> None:
        """Write `content` to the file at `path`, and read its hash back."""
        self._write(path, content)
        if self.value(_HASH.format(path=path)) != hashlib.sha256(content).digest():
            raise BoardError(f"{path} is not on the board as it was sent. Try another cable, then run this again.")

    def reset(self) -> None:
        """Reset the board, and wait until its MicroPython answers again."""
        self._say_reset()
        self._close()
        self._open(COMES_BACK_S)

    # the port -------------------------------------------------------------------------------------

    def _open(self, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        while True:
            try:
                # mpremote prints what it does not understand; the sentence is ours.
                with contextlib.redirect_stdout(io.StringIO()):
                    self._transport = SerialTransport(self._port, timeout=SILENT_S)
                    self._transport.enter_raw_repl(soft_reset=False)
                return
            except _LOST as error:
                self._close()
                if time.monotonic() >= until:
                    raise NobodyAnswers(
                        f"No MicroPython answers at {self._port}. Check the cable and the port, and that MicroPython "
                        "for the ESP32-S3 is on the board: doorstep reader flash writes it."
                    ) from error
                time.sleep(_AGAIN_S)  # a board that was reset takes its time to come back to the port

    def _close(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(SerialException, OSError):  # it may be gone from the port already
                self._transport.close()
            self._transport = None

    def _say_reset(self) -> None:
        with self._named():
            self._transport.exec_raw_no_follow("import machine\nmachine.reset()")
            self._transport.read_until(1, b"OK", timeout=1)

    def _write(self, path: str, content: bytes) -> None:
        with self._named():
            self._transport.fs_writefile(path, content, _CHUNK)

    @contextlib.contextmanager
    def _named(self) -> Generator[None]:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as error:
            last = (str(error).strip().splitlines() or ["no reason given"])[-1]  # what the board's traceback ends with
            raise Refused(last) from error
        except _LOST as error:
            raise BoardError("The connection to the board was lost. Plug it in again and run this again.") from error
