"""`doorstep reader flash`: esptool itself against a chip that speaks its ROM's protocol and keeps every byte."""

import hashlib
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.provision import micropython
from emulator.provision.board import Board

sys.path.insert(0, str(Path(__file__).parent))
from pty_board import PtyBoard
from rom_chip import RomChip
from test_provision import EVENT, RESULT, keep, set_up  # noqa: F401  the fixture of a board that is a reader

DOORSTEP = Path(sys.executable).with_name("doorstep")
FACTORY_AT, FACTORY_BYTES, VFS_AT = 0x10000, 0x1F0000, 0x200000


def esp_image(content, chip=9):
    """A whole image of one segment: header, checksum and hash."""
    body = struct.pack("<BBBBIBBBBHBHH4xB", 0xE9, 1, 2, 0x4F, 0x403C0000, 0xEE, 0, 0, 0, chip, 0, 0, 99, 1)
    content += b"\0" * (-len(content) % 4)
    body += struct.pack("<II", 0x3C000020, len(content)) + content
    total = 0xEF
    for byte in content:
        total ^= byte
    body += b"\0" * (15 - len(body) % 16) + bytes((total,))
    return body + hashlib.sha256(body).digest()


def table(*rows):
    entries = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, sub, at, size, label, 0) for kind, sub, at, size, label in rows
    )
    check = b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries).digest()
    return (entries + check).ljust(micropython.TABLE_BYTES, b"\xff")


TABLE = table(
    (1, 2, 0x9000, 0x6000, b"nvs"),
    (1, 1, 0xF000, 0x1000, b"phy_init"),
    (0, 0, FACTORY_AT, FACTORY_BYTES, b"factory"),
    (1, 0x81, VFS_AT, 0x600000, b"vfs"),
)
WORDS = b"\0MicroPython v1.29.0 on 2026-07-01; Generic ESP32S3 module with Octal-SPIRAM\0"


def micropython_file(chip=9, words=WORDS, rows=TABLE):
    """Such a file as is given for offset 0; with bytes that SLIP escapes, and much that does not compress."""
    loader = esp_image(b"\xc0\xdb\xdc\xdd" * 512, chip).ljust(micropython.TABLE, b"\xff")
    application = esp_image(bytes(range(256)) * 32 + os.urandom(40_000) + words, chip)
    return (loader + rows).ljust(FACTORY_AT, b"\xff") + application


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("download") / "ESP32_GENERIC_S3.bin"
    path.write_bytes(micropython_file())
    return path


def flash(port, path, *more, timeout=180):
    return subprocess.run(
        [DOORSTEP, "reader", "flash", "--port", port, "--micropython", str(path), *more],
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def is_written(chip, path):
    content = path.read_bytes()
    return chip.flash[: len(content)] == content and not chip.flash[len(content) :].strip(b"\xff")


def test_a_blank_board_gets_the_file_byte_for_byte_and_nothing_else(file, tmp_path):
    chip = RomChip()
    chip.flash[0x700000:0x700010] = b"something before"
    with PtyBoard(tmp_path, chip, blank=True) as plugged:
        done = flash(plugged.port, file)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(file.read_bytes()).hexdigest() in done.stderr, "so that a person can compare it"
    assert is_written(chip, file)
    assert chip.erased == 1


def test_a_board_whose_micropython_says_that_nothing_is_owed_is_written(file, tmp_path):
    chip = RomChip()
    with PtyBoard(tmp_path, chip) as plugged:
        done = flash(plugged.port, file, "--sha256", hashlib.sha256(file.read_bytes()).hexdigest())
    assert done.returncode == 0, done.stderr
    assert is_written(chip, file)


@pytest.fixture
def reader_board(set_up, tmp_path):  # noqa: F811
    shutil.copy(set_up[0] / "flash.bin", tmp_path / "flash.bin")
    with PtyBoard(tmp_path, RomChip()) as plugged:
        yield plugged


def test_a_reader_that_owes_a_result_is_never_written_and_one_that_owes_none_only_when_told(reader_board, file):
    keep(reader_board.port, EVENT)
    done = flash(reader_board.port, file)
    assert done.returncode == 1
    assert "add --replace" in done.stderr
    keep(reader_board.port, RESULT)
    done = flash(reader_board.port, file, "--replace")
    assert done.returncode == 1
    assert "holds 1 results that no receipt covers" in done.stderr
    assert not bytes(reader_board.chip.flash).strip(b"\xff"), "not a byte was written"
    with Board(reader_board.port) as there:
        assert there.reader().owed == 1


def test_a_reader_that_owes_nothing_is_written_when_told(reader_board, file):
    done = flash(reader_board.port, file, "--replace")
    assert done.returncode == 0, done.stderr
    assert is_written(reader_board.chip, file)


@pytest.mark.parametrize("with_partition", [True, False])
def test_files_that_no_micropython_can_tell_about_are_left_alone(set_up, file, tmp_path, with_partition):  # noqa: F811
    """A reader whose MicroPython is broken: its results may still be read out of the flash."""
    chip = RomChip()
    rows = TABLE if with_partition else table((0, 0, FACTORY_AT, FACTORY_BYTES, b"factory"))
    chip.flash[micropython.TABLE : micropython.TABLE + len(rows)] = rows
    cells = (set_up[0] / "flash.bin").read_bytes()
    chip.flash[VFS_AT : VFS_AT + len(cells)] = cells
    before = bytes(chip.flash)
    with PtyBoard(tmp_path, chip, blank=True) as plugged:
        done = flash(plugged.port, file, "--replace")
    assert done.returncode == 1
    assert "whether they are a reader's results" in done.stderr
    assert bytes(chip.flash) == before


def test_a_chip_that_holds_something_unknown_is_left_alone(file, tmp_path):
    chip = RomChip()
    chip.flash[micropython.TABLE : micropython.TABLE + 64] = os.urandom(64)
    before = bytes(chip.flash)
    with PtyBoard(tmp_path, chip, blank=True) as plugged:
        done = flash(plugged.port, file)
    assert done.returncode == 1
    assert "not MicroPython" in done.stderr
    assert bytes(chip.flash) == before


def test_a_flash_of_another_size_is_no_readers(file, tmp_path):
    chip = RomChip(size_code=0x17)
    with PtyBoard(tmp_path, chip) as plugged:
        done = flash(plugged.port, file)
    assert done.returncode == 1
    assert "has 8 MB, not 16 MB" in done.stderr
    assert chip.erased == 0


def test_another_chip_is_refused(file, tmp_path):
    chip = RomChip(chip_id=5)  # ESP32-C3
    with PtyBoard(tmp_path, chip) as plugged:
        done = flash(plugged.port, file)
    assert done.returncode == 1
    assert "ESP32-S3" in done.stderr
    assert chip.erased == 0


def test_cells_that_do_not_take_what_was_sent_are_found_out(file, tmp_path):
    chip = RomChip()
    chip.read_only = True
    with PtyBoard(tmp_path, chip) as plugged:
        done = flash(plugged.port, file)
    assert done.returncode == 1
    assert "not whole" in done.stderr


def test_unplugged_while_it_is_written_it_can_be_done_again(file, tmp_path):
    chip = RomChip()
    with PtyBoard(tmp_path, chip) as plugged:
        plugged.cut_at = 60_000  # after the stub, inside the file
        done = flash(plugged.port, file)
    assert done.returncode == 1
    assert "run this again" in done.stderr.lower()
    assert chip.erased == 1
    assert not is_written(chip, file)
    with PtyBoard(tmp_path, chip, blank=True) as plugged:
        done = flash(plugged.port, file)
    assert done.returncode == 0, done.stderr
    assert is_written(chip, file)


def test_nobody_at_the_port_is_a_sentence(file, tmp_path):
    done = flash(str(tmp_path / "ttyACM0"), file)
    assert done.returncode == 1
    assert "Hold the board's BOOT button" in done.stderr
    assert "Traceback" not in done.stderr


def broken(content, at):
    return content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]


WHOLE = micropython_file()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no firmware for an ESP32-S3"),
        (b"MZ" + bytes(100_000), "no firmware for an ESP32-S3"),
        (micropython_file(chip=5), "another chip (number 5)"),
        (WHOLE[:FACTORY_AT], "no application at 0x10000"),
        (WHOLE[:-40], "damaged or cut short"),
        (broken(WHOLE, FACTORY_AT + 400), "damaged or cut short"),
        (broken(WHOLE, 100), "damaged or cut short"),
        (WHOLE[FACTORY_AT:], "no partition table"),
        (micropython_file(words=b"MicroPython v1.28.0 on 2026"), "not MicroPython 1.29"),
    ],
)
def test_a_file_that_is_not_micropython_for_this_chip_is_refused_before_the_board_is_touched(
    tmp_path, content, sentence
):
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    done = flash("/dev/null", path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_the_one_that_was_meant_is_refused(file, tmp_path):
    done = flash("/dev/null", file, "--sha256", "00" * 32)
    assert done.returncode == 2
    assert "not the file that was meant" in done.stderr
    missing = flash("/dev/null", tmp_path / "none.bin")
    assert missing.returncode == 2
    assert "cannot be read" in missing.stderr
