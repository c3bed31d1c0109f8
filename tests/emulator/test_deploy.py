"""`doorstep reader deploy` through mpremote on real MicroPython: what it replaces, what stays, what a cut leaves."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tty
from pathlib import Path

import pytest

from emulator.provision import application, image
from emulator.provision import board as board_module
from emulator.provision.board import HALF_DEPLOYED, Board, BoardError

sys.path.insert(0, str(Path(__file__).parent))
from pty_board import PtyBoard
from test_provision import DOORSTEP, IDENTITY, OTHER, RESULT, keep, provision, set_up  # noqa: F401

# What a reader has of its own, what an older application left, and what came over the air.
_LIFE = """
import os
from reader import durable
def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)
write('/reader/app.mpy', b'older')
write('/reader/gone.mpy', b'gone')
write('/packs/old.pack', b'old')
write('/packs/flu-ab-ag.7.pack', b'from a hub')
write('/spare/flu-ab-ag.7.pack', b'from a hub')
write('/calibration', b'white')
write('/clock', b'note')
write('/slots.a', b'b')
write('/spare/slots.b', b'b')
for folder in ('/slot_a', '/slot_b', '/slot_b/reader'):
    os.mkdir(folder)
write('/slot_a/board.mpy', b'a')
write('/slot_b/reader/app.mpy', b'b')
"""
_ALL = """
import os
def every(folder):
    found = {}
    for entry in os.ilistdir(folder or '/'):
        path = folder + '/' + entry[0]
        if entry[1] == 0x4000:
            found[path] = None
            found.update(every(path))
        else:
            with open(path, 'rb') as file:
                found[path] = file.read()
    return found
print(every(''))
"""


def deploy(port):
    return subprocess.run(
        [DOORSTEP, "reader", "deploy", "--port", port], capture_output=True, text=True, timeout=180, check=False
    )


def content(port):
    """Every file of a board by its path; None for a folder."""
    with Board(port) as there:
        return there.value(_ALL)


@pytest.fixture(scope="module")
def life(set_up, tmp_path_factory):  # noqa: F811
    """The folder of a reader's board that has recorded a result and was updated over the air."""
    folder = tmp_path_factory.mktemp("life")
    shutil.copy(set_up[0] / "flash.bin", folder / "flash.bin")
    with PtyBoard(folder) as plugged:
        keep(plugged.port, RESULT)
        with Board(plugged.port) as there:
            there.run(_LIFE)
    return folder


@pytest.fixture
def lived(life, tmp_path):
    """A copy of that board, plugged in."""
    shutil.copy(life / "flash.bin", tmp_path / "flash.bin")
    with PtyBoard(tmp_path) as plugged:
        yield plugged


def test_the_application_is_this_releases_and_all_that_the_reader_keeps_stays(lived):
    before = content(lived.port)
    resets = lived.resets
    done = deploy(lived.port)
    assert done.returncode == 0, done.stderr
    assert f"Firmware {image.version()} is on the reader" in done.stderr
    assert lived.resets == resets + 2, "before, so that no watchdog bites, and after, so that it starts"
    after = content(lived.port)
    released = image.files()
    assert {path: after.get(path) for path in released} == released
    gone = {"/reader/gone.mpy", "/packs/old.pack", "/slots.a", "/spare/slots.b"}
    gone |= {"/slot_a", "/slot_b", "/slot_a/board.mpy", "/slot_b/reader", "/slot_b/reader/app.mpy"}
    assert set(before) - set(after) == gone
    kept = set(before) - gone - set(released)
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert set(after) == kept | set(released)
    assert {"/identity.a", "/spare/identity.b", "/journal.last", "/calibration", "/clock"} <= kept
    assert [path for path in kept if path.startswith("/journal/") and path.endswith(".seg")], "its records"
    assert {"/packs/flu-ab-ag.7.pack", "/spare/flu-ab-ag.7.pack"} <= kept, "assays that a hub brought"
    with Board(lived.port) as there:
        reader = there.reader()
        assert (reader.reader_id.hex(), reader.owed) == (IDENTITY["reader_id"], 1), "as the new firmware reads it"


def small(main=b"new"):
    return {"/boot.py": b"boot" * 600, "/reader/app.mpy": b"new" * 900, "/packs/index": b"i" * 300, "/main.py": main}


def deploy_small(plugged, share=None):
    """Deploy a few files; unplugged after a share of the bytes that this takes, where one is given."""
    with Board(plugged.port) as there:
        sent = plugged.sent
        if share is not None:
            plugged.cut_at = sent + int(share)
        application.deploy(there, small(), lambda done, total: None)
        return plugged.sent - sent


def test_unplugged_anywhere_it_is_the_old_application_the_new_one_or_says_that_it_is_half_done(
    life, tmp_path, monkeypatch
):
    monkeypatch.setattr(board_module, "SILENT_S", 0.5)
    seen = set()
    (tmp_path / "whole").mkdir()
    shutil.copy(life / "flash.bin", tmp_path / "whole" / "flash.bin")
    with PtyBoard(tmp_path / "whole") as plugged:
        old = content(plugged.port)
        whole = deploy_small(plugged)
        new = content(plugged.port)
    for share in (0.01, 0.04, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97):
        folder = tmp_path / f"cut-{share}"
        folder.mkdir()
        shutil.copy(life / "flash.bin", folder / "flash.bin")
        with PtyBoard(folder) as plugged, pytest.raises(BoardError):
            deploy_small(plugged, whole * share)
        with PtyBoard(folder) as plugged:
            there = content(plugged.port)
            main = there["/main.py"]
            with Board(plugged.port) as board:
                half = board.look().half_deployed
            assert half == main.startswith(HALF_DEPLOYED.encode())
            if main == old["/main.py"]:
                seen.add("old")
                assert {path: there[path] for path in old} == old
            elif main == new["/main.py"]:
                seen.add("new")
                assert there == new
            else:
                seen.add("half done")
                assert half
            recorded = [path for path in old if path.startswith(("/journal", "/identity", "/spare/identity"))]
            assert {path: there[path] for path in recorded} == {path: old[path] for path in recorded}
            if share in (0.04, 0.75):
                deploy_small(plugged)
                assert content(plugged.port) == new, "and can be deployed to again"
    assert {"old", "half done"} <= seen


def test_between_the_two_it_does_not_start_and_says_so(lived):
    with Board(lived.port) as there:
        there.put("/main.py", application.meanwhile())
        said = there.run("exec(open('/main.py').read())").decode()
    assert "run doorstep reader deploy again" in said
    done = provision(lived.port, OTHER, "--replace")
    assert done.returncode == 1
    assert "Finish that first, with doorstep reader deploy" in done.stderr
    assert deploy(lived.port).returncode == 0
    with Board(lived.port) as there:
        assert not there.look().half_deployed


def test_a_board_that_is_no_reader_is_sent_to_be_set_up(tmp_path):
    with PtyBoard(tmp_path) as plugged:
        done = deploy(plugged.port)
    assert done.returncode == 1
    assert "doorstep reader provision" in done.stderr


def test_records_keep_their_room(lived):
    """A file that would leave too little for records is refused before anything is written."""
    before = content(lived.port)
    with Board(lived.port) as there:
        free = there.value("import os\nprint(os.statvfs('/')[3])")
        size = (free - application.JOURNAL_BLOCKS + 30) * application.BLOCK
        with pytest.raises(BoardError, match="too little for the new application beside its records"):
            application.deploy(there, {**image.files(), "/reader/large.txt": bytes(size)}, lambda done, total: None)
    assert content(lived.port) == before


def test_the_room_kept_for_records_is_what_the_journal_asks_for():
    from reader import frames

    journal = (Path(frames.__file__).parent / "journal.py").read_text()
    reserve = re.search(r"_RESERVE_BLOCKS = const\(\s*(\d+)\s*\)", journal)
    each = (frames.RECORD_MAX + 2 * frames.MARK_BYTES) // application.BLOCK + 2
    assert int(reserve[1]) + 32 * each == application.JOURNAL_BLOCKS


def test_the_repl_is_mpremotes(tmp_path):
    outside, inside = pty.openpty()
    tty.setraw(inside)

    def read_until(words):
        said = b""
        while words not in said:
            ready, _, _ = select.select([outside], [], [], 60)
            assert ready, said
            said += os.read(outside, 4096)

    with PtyBoard(tmp_path) as plugged:
        command = [DOORSTEP, "reader", "repl", "--port", plugged.port]
        with subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside) as process:
            try:
                read_until(b"Ctrl-")
                os.write(outside, b"print(6 * 7)\r")
                read_until(b"\n42")
                os.write(outside, b"\x1d")
                assert process.wait(60) == 0
            finally:
                process.kill()
    os.close(outside)
    os.close(inside)
