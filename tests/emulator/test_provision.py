"""`doorstep reader provision` through mpremote on real MicroPython: what it writes and refuses, what a cut leaves."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cbor2
import pytest

from emulator.provision import board as board_module
from emulator.provision import image, label
from emulator.provision.board import Board, BoardError

sys.path.insert(0, str(Path(__file__).parent))
from pty_board import PtyBoard

DOORSTEP = Path(sys.executable).with_name("doorstep")
IDENTITY = {"reader_id": "00112233aabbccdd", "key": "5f" * 32, "generation": 0, "name": "Seven"}
OTHER = {**IDENTITY, "reader_id": "ffeeddccbbaa0099", "name": "Eight"}
# Makes the reader of a board keep one record, as the instrument does: an event, or the result of a test.
_RECORD = """
from reader import cbor, settings
from reader.custody import Recorder, genesis
from reader.identity import Identity
from reader.journal import Journal
import os
identity = Identity(settings.ROOT)
journal = Journal(settings.JOURNAL, genesis(identity.reader_id))
Recorder(identity, journal, os.urandom).write(cbor.encode({{1: {kind}}}))
"""
EVENT, RESULT = 2, 1


def provision(port, said, *more):
    return subprocess.run(
        [DOORSTEP, "reader", "provision", "--port", port, "--identity", "-", *more],
        input=json.dumps(said) if isinstance(said, dict) else said,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def keep(port, kind):
    with Board(port) as board:
        board.run(_RECORD.format(kind=kind))


@pytest.fixture(scope="module")
def set_up(tmp_path_factory):
    """A blank board that was set up by the command: its folder, and what the command said."""
    folder = tmp_path_factory.mktemp("set-up")
    with PtyBoard(folder) as plugged:
        done = provision(plugged.port, IDENTITY, "--label", str(folder / "label.svg"))
        assert done.returncode == 0, done.stderr
        assert plugged.resets == 2, "before, so that no watchdog bites, and after, so that it starts"
    return folder, done


@pytest.fixture
def board(set_up, tmp_path):
    """A copy of that board, plugged in."""
    shutil.copy(set_up[0] / "flash.bin", tmp_path / "flash.bin")
    with PtyBoard(tmp_path) as plugged:
        yield plugged


def test_a_blank_board_becomes_the_reader_that_the_server_named(set_up, board):
    folder, done = set_up
    assert "Seven\nDoorstep reader 0011 2233 aabb ccdd" in done.stdout
    assert IDENTITY["key"] not in done.stdout + done.stderr
    svg = (folder / "label.svg").read_text()
    assert "Seven" in svg
    assert "0011 2233 aabb ccdd" in svg
    expected = image.with_identity(image.files(), bytes.fromhex(IDENTITY["reader_id"]), bytes(32), 0, "Seven")
    with Board(board.port) as there:
        found = there.look()
        assert (found.reader, found.half_done) == (True, False)
        assert there.reader().reader_id.hex() == IDENTITY["reader_id"], "as the firmware itself reads it"
        for path in ("/main.py", "/boot.py", "/board.mpy", "/reader/app.mpy"):
            assert bytes(there._transport.fs_readfile(path)) == expected[path]
        assert not there._transport.fs_exists("/provisioning")
        written = cbor2.loads(bytes(there._transport.fs_readfile("/identity.cbor")))
    assert written == {1: bytes.fromhex(IDENTITY["reader_id"]), 2: [[0, b"\x5f" * 32]], 3: "Seven", 4: 0}


def test_a_reader_becomes_another_only_when_told_and_only_when_it_owes_nothing(board):
    done = provision(board.port, OTHER)
    assert done.returncode == 1
    assert "reader 00112233aabbccdd (Seven) already" in done.stderr
    keep(board.port, EVENT)
    keep(board.port, RESULT)
    done = provision(board.port, OTHER, "--replace")
    assert done.returncode == 1
    assert "holds 1 results that no receipt covers" in done.stderr
    with Board(board.port) as there:
        assert there.reader().owed == 1, "nothing was changed"
        assert there._transport.fs_exists("/main.py")


def test_a_start_of_its_own_is_nothing_owed_and_nothing_of_the_old_reader_stays(board):
    keep(board.port, EVENT)
    done = provision(board.port, OTHER, "--replace")
    assert done.returncode == 0, done.stderr
    with Board(board.port) as there:
        reader = there.reader()
        assert (reader.reader_id.hex(), reader.name, reader.owed) == (OTHER["reader_id"], "Eight", 0)
        keep_paths = [entry.name for entry in there._transport.fs_listdir("/journal")]
        assert not [name for name in keep_paths if name.isdigit()]


def test_beside_the_server_the_reader_is_enrolled_in_the_same_go(board, tmp_path):
    secrets = {name: os.urandom(32).hex() for name in ("MASTER_KEY", "TOKEN_SECRET", "SESSION_SECRET")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    with tempfile.TemporaryDirectory(prefix="doorstep-") as folder:
        environment = {**kept, "DOORSTEP_DATA_DIR": folder, **{f"DOORSTEP_{n}": v for n, v in secrets.items()}}

        def doorstep(*arguments):
            return subprocess.run(
                [DOORSTEP, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
            )

        here = ("--organisation", "Ward")
        command = ("reader", "provision", "--port", board.port, *here, "--site", "Hall", "--name", "Nine", "--replace")
        refused = doorstep(*command)
        assert refused.returncode == 1
        assert "no organisation named Ward" in refused.stderr
        assert "Nothing on the board was changed" in refused.stderr
        with Board(board.port) as there:
            assert there._transport.fs_exists("/main.py")
        assert doorstep("server", "create-organisation", "--name", "Ward").returncode == 0
        done = doorstep(*command)
        assert done.returncode == 0, done.stderr
        with Board(board.port) as there:
            reader = there.reader()
        assert reader.name == "Nine"
        assert reader.reader_id.hex() in done.stdout.replace(" ", "")
        known = doorstep("server", "revoke-reader", *here, reader.reader_id.hex(), "--json")
        assert json.loads(known.stdout)["changed"] is True, "the server knows it by that id"


def test_a_reader_that_cannot_be_looked_into_is_left_alone(board):
    with Board(board.port) as there:
        there.run("import os\nos.remove('/reader/journal.mpy')")
    done = provision(board.port, OTHER, "--replace")
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    with Board(board.port) as there:
        assert there._transport.fs_exists("/main.py")


SMALL = {"/reader/one.txt": b"1" * 3_000, "/reader/two.txt": b"2" * 3_000, "/identity.cbor": b"new", "/main.py": b"1"}


def write_small(plugged, share=None):
    """Set a board up with a few files; unplugged after a share of the bytes that this takes, where one is given."""
    with Board(plugged.port) as there:
        there.prepare()
        sent = plugged.sent
        if share is not None:
            plugged.cut_at = sent + int(share)
        there.write(SMALL, lambda done, total: None)
        return plugged.sent - sent


@pytest.mark.parametrize("share", [0.05, 0.4, 0.8, 0.95])
def test_unplugged_half_way_it_does_not_start_and_can_be_done_again(set_up, tmp_path, monkeypatch, share):
    monkeypatch.setattr(board_module, "SILENT_S", 0.5)
    (tmp_path / "whole").mkdir()
    for folder in (tmp_path, tmp_path / "whole"):
        shutil.copy(set_up[0] / "flash.bin", folder / "flash.bin")
    with PtyBoard(tmp_path / "whole") as plugged:
        whole = write_small(plugged)
    with PtyBoard(tmp_path) as plugged, pytest.raises(BoardError):
        write_small(plugged, share * whole)
    with PtyBoard(tmp_path) as plugged:
        with Board(plugged.port) as there:
            started = there._transport.fs_exists("/main.py")
            assert there.look().half_done or there._transport.fs_exists("/identity.cbor")
            assert not (there.look().half_done and started), "a board with the mark does not start"
        write_small(plugged)
        with Board(plugged.port) as there:
            assert not there.look().half_done
            assert {path: bytes(there._transport.fs_readfile(path)) for path in SMALL} == SMALL


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("", "is not what"),
        ("[]", "is not what"),
        ({**IDENTITY, "key": "5f"}, "is not what"),
        ({**IDENTITY, "name": "x" * 65}, "is not what"),
        ({**IDENTITY, "generation": True}, "is not what"),
    ],
)
def test_what_the_server_did_not_make_is_refused_before_the_board_is_touched(said, sentence):
    done = provision("/dev/null", said)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_without_a_board_is_a_sentence(tmp_path):
    done = provision(str(tmp_path / "ttyACM0"), IDENTITY)
    assert done.returncode == 1
    assert "No MicroPython answers" in done.stderr
    with pytest.raises(BoardError, match="Check the cable"), Board(os.ttyname(os.openpty()[1])):
        pass


def test_the_label_scans_as_the_readers_id(tmp_path):
    reader_id = bytes.fromhex(IDENTITY["reader_id"])
    assert label.code(reader_id).mode == "alphanumeric"
    assert label.content(reader_id) == "DOORSTEP-READER:00112233AABBCCDD"
    label.save(tmp_path / "label.svg", reader_id, "Ward <7> & 'co'")
    import xml.etree.ElementTree as tree

    words = "".join(tree.parse(tmp_path / "label.svg").getroot().itertext())
    assert "Ward <7> & 'co'" in words
