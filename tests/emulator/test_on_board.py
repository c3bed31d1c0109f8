"""What a person sees of a reader, through the interface that the bench's reader and a board have alike (`at_hand`).

Each test runs on an emulated reader, and on a board at a serial port whose parts are the bench's. With `--board PORT`
it runs on the real board there, which has to be a reader already (docs/jig.md).
"""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from emulator import screen
from emulator.air import LinkModel
from emulator.bench import Bench
from emulator.board_reader import BoardReader, NoJig
from emulator.cable import Cable
from emulator.jig import JigError, SerialJig
from emulator.power import ReaderError
from emulator.process import LAUNCH, module_folder
from emulator.provision import image
from emulator.provision.board import BoardError

IDENTITY = (b"board-01", bytes(range(32)), 0, "Seven")
PATIENCE_S = 90
AGAIN_S = 6
JIG = Path(__file__).parents[2] / "hardware/jig/main.py"


class BenchJig:
    """Hands at a board whose parts are the bench's."""

    def __init__(self, reader, loop):
        self._reader, self._loop = reader, loop

    def press(self, button, down):
        pin = {"A": self._reader.board.BUTTON_A, "B": self._reader.board.BUTTON_B}[button]
        self._loop.call_soon_threadsafe(self._reader.circuit.set_input, pin, int(not down))

    def lid(self, opened):
        self._loop.call_soon_threadsafe(self._reader.open_lid if opened else self._reader.close_lid)

    def scan(self, data):
        self._loop.call_soon_threadsafe(self._reader.scan, data.removesuffix(b"\r\n"))


@asynccontextmanager
async def emulated(tmp_path):
    async with Bench(seed=1, link=LinkModel()) as bench:
        reader = await bench.add_reader(flash=tmp_path / "flash.bin", start=False)
        await reader.write_files(
            {"/identity.cbor": image.with_identity({"/main.py": b""}, *IDENTITY)["/identity.cbor"]}
        )
        await reader.start()
        yield reader


@asynccontextmanager
async def at_a_port(tmp_path):
    with Cable() as cable:
        async with Bench(seed=1, link=LinkModel()) as bench:
            reader = await bench.add_reader(
                flash=tmp_path / "flash.bin", terminal=cable.terminal, heap="1M", start=False, heap_sample_s=None
            )
            await reader.write_files(image.with_identity(image.files(), *IDENTITY))
            await reader.start()
            async with BoardReader(cable.port, BenchJig(reader, asyncio.get_running_loop())) as board:
                yield board
            await reader.cut_power()


@asynccontextmanager
async def real(config):
    jig = config.getoption("--jig")
    if jig is None:
        async with BoardReader(config.getoption("--board")) as board:
            yield board
        return
    with SerialJig(jig) as hands:
        async with BoardReader(config.getoption("--board"), hands) as board:
            yield board


def pytest_generate_tests(metafunc):
    if "reader" in metafunc.fixturenames:
        real_one = metafunc.config.getoption("--board")
        metafunc.parametrize("kind", ["board"] if real_one else ["bench", "serial port"])


@pytest_asyncio.fixture
async def reader(request, kind, tmp_path):
    """A reader that has just been started, as `emulator.at_hand.ReaderAtHand`."""
    if kind == "board" and request.node.get_closest_marker("needs_jig") and not request.config.getoption("--jig"):
        pytest.skip("needs hands at the board: --jig PORT")
    start = {"bench": lambda: emulated(tmp_path), "serial port": lambda: at_a_port(tmp_path)}
    async with start.get(kind, lambda: real(request.config))() as found:
        yield found


@pytest.mark.on_board
async def test_it_starts_and_is_ready(reader):
    await reader.wait_for_text("Ready", PATIENCE_S)
    await reader.wait_for_text("Press START", PATIENCE_S)  # drawn line by line


async def until(reader, act, text):
    """Do `act` again when nothing answers, as a person does: what comes too early belongs to the picture before."""
    for _ in range(PATIENCE_S // AGAIN_S):
        await act()
        try:
            await reader.wait_for_text(text, AGAIN_S)
        except ReaderError:
            continue
        return
    await reader.wait_for_text(text, AGAIN_S)


async def scan(reader, code):
    reader.scan(code)


@pytest.mark.on_board
@pytest.mark.needs_jig
async def test_start_asks_for_the_codes_and_back_leaves(reader):
    await reader.wait_for_text("Ready", PATIENCE_S)
    await until(reader, lambda: reader.press("A"), "Scan specimen")
    await until(reader, lambda: reader.press("B"), "Ready")


@pytest.mark.on_board
@pytest.mark.needs_jig
async def test_a_specimens_code_is_taken_and_a_test_that_is_not_known_is_refused(reader):
    await reader.wait_for_text("Ready", PATIENCE_S)
    await until(reader, lambda: reader.press("A"), "Scan specimen")
    await until(reader, lambda: scan(reader, "SPEC-0001"), "SPEC-0001")
    await until(reader, lambda: scan(reader, "019999999999999717271231"), "Unknown test")


async def test_without_a_jig_hands_are_asked_for():
    board = BoardReader("/dev/null")
    with pytest.raises(NoJig, match="give --jig PORT"):
        await board.press("A")


async def test_a_board_that_is_no_reader_is_not_started(tmp_path):
    with Cable() as cable:
        async with Bench() as bench:
            reader = await bench.add_reader(flash=tmp_path / "flash.bin", terminal=cable.terminal, heap="1M")
            with pytest.raises(BoardError, match="doorstep reader provision"):
                async with BoardReader(cable.port):
                    pass
            await reader.cut_power()


def test_a_picture_of_the_board_reads_as_one_of_the_bench():
    from emulator.board_reader import _rows

    columns = bytearray(1024)
    columns[0], columns[129], columns[1023] = 0b1, 0b10000000, 0b10000000
    rows = _rows(bytes(columns))
    lit = [divmod(at, screen.WIDTH) for at, pixel in enumerate(rows) if pixel]
    assert lit == [(0, 0), (15, 1), (63, 127)]


_PINS = """
import sys
class Pin:
    OPEN_DRAIN = 7
    def __init__(self, id, mode=None):
        self.id = id
    def value(self, level):
        print('pin', self.id, level)
class UART:
    def __init__(self, *_, tx=None, rx=None):
        pass
    def write(self, data):
        print('line', data)
class Machine:
    pass
Machine.Pin, Machine.UART = Pin, UART
sys.modules['machine'] = Machine
"""


def test_the_jigs_program_pulls_the_right_lines():
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCH, module_folder(), "-c", _PINS + JIG.read_text()],
        input="?\nA 1\nA 0\nL 1\nT 1\nS 4f50\nS 4\nB 2\n0\n", capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.split("\n")
    at_rest = ["pin 2 1", "pin 3 1", "pin 4 0", "pin 5 1"]
    assert sorted(said[:4]) == at_rest
    pressed = ["ok", "pin 2 0", "ok", "pin 2 1", "ok", "pin 4 1", "ok", "pin 5 0", "ok"]
    assert said[4:13] == pressed
    assert said[13:17] == ["line b'OP'", "ok", "what", "what"]
    assert sorted(said[17:21]) == at_rest


def test_a_port_without_a_jig_is_a_sentence():
    with Cable() as cable, pytest.raises(JigError, match="hardware/jig must run"):
        SerialJig(cable.port)
