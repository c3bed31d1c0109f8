"""A reader's application is replaced on its board; who it is, what it recorded and what it was told stay.

While it is replaced, `main.py` is a few lines that say so, on the screen too; they start nothing. It is the first file
to be changed and the last, each time in one step, so that a power cut leaves the old application, the new one, or a
board that says that it is half done. Before anything else is written the board is reset: the watchdog of a firmware
that was interrupted would bite (MicroPython, `machine.WDT`).

Updates over the air are in folders of their own, and a file in two copies says which of them counts. What was deployed
is to count from here on: that file goes before they do, and before the board is reset, because `boot.py` starts a
watchdog for an update on trial.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from emulator import wiring
from emulator.provision.board import HALF_DEPLOYED, Board, BoardError

BLOCK = 4096
# What the journal needs beside the application, in blocks (reader.journal): its reserve, and 32 of the largest results.
JOURNAL_BLOCKS = 24 + 32 * 3
_MAIN, _NEW = "/main.py", "/main.py.new"
_CHOICE = ("/slots.a", "/spare/slots.b")
_SLOTS = ("/slot_a", "/slot_b")
_AT_ROOT = ("boot", "board")  # of the application, whatever their ending

_HERE = """
import os
def sizes(folder, found):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return found
    for entry in entries:
        path = folder.rstrip('/') + '/' + entry[0]
        if entry[1] == 0x4000:
            if folder != '/':
                sizes(path, found)
        else:
            found[path] = entry[3]
    return found
found = {{}}
for folder in {folders!r}:
    sizes(folder, found)
state = os.statvfs('/')
print((state[0], state[3], found))
"""
_REMOVE = """
import os
def remove(path):
    try:
        kind = os.stat(path)[0]
    except OSError:
        return
    if kind & 0x4000:
        for entry in list(os.ilistdir(path)):
            remove(path + '/' + entry[0])
        os.rmdir(path)
    else:
        os.remove(path)
remove({path!r})
"""
_FOLDER = """
import os
try:
    os.mkdir({path!r})
except OSError:
    os.stat({path!r})
"""
_RENAME = f"import os\nos.rename({_NEW!r}, {_MAIN!r})"

_MEANWHILE = (
    HALF_DEPLOYED
    + """
import time
print("Half done: run doorstep reader deploy again.")
try:
    import framebuf
    from machine import I2C, Pin
    i2c = I2C(0, scl=Pin({scl}), sda=Pin({sda}), freq=400000)
    picture = bytearray(1025)
    picture[0] = 0x40
    paper = framebuf.FrameBuffer(memoryview(picture)[1:], 128, 64, framebuf.MONO_VLSB)
    for row, words in enumerate(("Not ready.", "Its software is", "half written.", "Connect it to a", "computer.")):
        paper.text(words, 0, 12 * row)
    for command in {wake!r}:
        i2c.writeto({oled}, bytes((0x80, command)))
    i2c.writeto({oled}, picture)
except (ImportError, OSError) as error:
    print(error)
"""
)
# SSD1306 datasheet rev. 1.1, table 9: multiplex 64, charge pump on, horizontal addressing, upright, whole window, on.
_WAKE = (0xAE, 0xA8, 63, 0x8D, 0x14, 0x20, 0, 0xA1, 0xC8, 0xDA, 0x12, 0x21, 0, 127, 0x22, 0, 7, 0xA4, 0xA6, 0xAF)


def meanwhile() -> bytes:
    """The `main.py` of a board whose application is being replaced."""
    pins = wiring.load()
    return _MEANWHILE.format(scl=pins.I2C_SCL, sda=pins.I2C_SDA, oled=pins.I2C_OLED, wake=_WAKE).encode()


def deploy(board: Board, files: Mapping[str, bytes], progress: Callable[[int, int], None]) -> None:
    """Make `files` (by absolute path) the application of `board`, a reader. Raises BoardError."""
    block, free, found = board.value(_HERE.format(folders=["/", "/reader", "/packs", "/slot_a", "/slot_b"]))
    _check_room(block, free, found, files)
    board.put(_NEW, meanwhile())
    board.run(_RENAME)
    for path in _CHOICE:
        board.run(_REMOVE.format(path=path))
    board.reset()
    for folder in sorted({parent for path in files for parent in _folders(path)}):
        board.run(_FOLDER.format(path=folder))
    done, total = 0, sum(map(len, files.values()))
    for path, content in files.items():
        board.put(_NEW if path == _MAIN else path, content)
        done += len(content)
        progress(done, total)
    for path in (*sorted(path for path in found if _is_application(path) and path not in files), *_SLOTS):
        board.run(_REMOVE.format(path=path))
    board.run(_RENAME)


def _folders(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents if str(parent) != "/"]


def _is_application(path: str) -> bool:
    """Whether the file at `path` is the application's own, and not what the reader keeps."""
    parts = path.strip("/").split("/")
    if parts[0] == "packs":  # those that a hub brought have their version in the name (reader.packs)
        return parts[-1] == "index" or (parts[-1].endswith(".pack") and parts[-1].count(".") == 1)
    return parts[0] == "reader" or (len(parts) == 1 and PurePosixPath(path).stem in _AT_ROOT)


def _check_room(block: int, free: int, found: Mapping[str, int], files: Mapping[str, bytes]) -> None:
    """BoardError where too few blocks would be left for records, or for a file beside the one that it replaces."""

    def blocks(size: int) -> int:
        return -(-size // block) or 1

    need = sum(blocks(len(content)) for content in files.values())
    freed = sum(blocks(size) for path, size in found.items() if path in files or _goes(path))
    left = free + freed - need
    largest = max(map(len, files.values()))
    if (need > freed and left < JOURNAL_BLOCKS) or free < blocks(largest) + 4:
        raise BoardError(
            f"This reader has {free * block // 1024} KB free, too little for the new application beside its records. "
            "Let a hub collect it first; nothing was changed."
        )


def _goes(path: str) -> bool:
    return _is_application(path) or path.startswith(("/slot_a/", "/slot_b/"))
