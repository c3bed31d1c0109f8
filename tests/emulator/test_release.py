"""`doorstep release build` and `show`: the same bytes from the same source, and nothing else passes for an image."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.release import making, manifest
from emulator.release.manifest import ManifestRefused
from emulator.wiring import FIRMWARE
from reader import wire

DOORSTEP = Path(sys.executable).with_name("doorstep")
FILES = {
    "reader/__init__.mpy": b"M\x06",
    "reader/drivers/lamp.mpy": b"M\x06\x00",
    "reader/empty.txt": b"",
    "packs/index": b"i",
}
SMALL = manifest.write("Doorstep R1", "0.2.0", 2, 1, FILES)
HEAD = b"doorstep-image 1\nmodel Doorstep R1\nversion 0.2.0\nrelease 2\nfrom 1\n"
HASH = b" 0 " + hashlib.sha256(b"").hexdigest().encode() + b"\n"


def release(*arguments: str | Path, **changed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DOORSTEP, "release", *map(str, arguments)],
        env={**os.environ, **changed}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware in another folder, its files made in the opposite order, at another time, for one user only."""
    folder = tmp_path_factory.mktemp("a folder with a space") / "Lesegerät"
    for path in sorted(FIRMWARE.rglob("*"), reverse=True):
        if path.is_file() and "__pycache__" not in path.parts:
            to = folder / path.relative_to(FIRMWARE)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
            os.utime(to, (1, 1))
            to.chmod(0o400)
    return folder


def test_the_same_source_makes_the_same_bytes_wherever_and_whenever(tmp_path: Path, copied: Path):
    here = release("build", "--out", tmp_path / "here", PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    assert here.returncode == 0, here.stderr
    before = os.umask(0o077)
    try:
        there = release(
            "build", "--out", tmp_path / "there", "--firmware", copied,
            PYTHONHASHSEED="2", TZ="Pacific/Kiritimati", LC_ALL="C.UTF-8", LANG="tr_TR.UTF-8", PYTHONUTF8="0",
            DOORSTEP_CACHE=str(tmp_path / "cache"), TMPDIR=str(tmp_path), HOME=str(tmp_path),
        )  # fmt: skip
    finally:
        os.umask(before)
    assert there.returncode == 0, there.stderr
    (one,), (other,) = (tmp_path / "here").iterdir(), (tmp_path / "there").iterdir()
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()
    assert here.stdout == there.stdout == f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n"


def test_an_image_holds_what_a_reader_is_provisioned_with_but_for_what_starts_it(tmp_path: Path):
    from emulator.provision import image

    named, data = making.make(FIRMWARE, 1)
    read = manifest.read(data)
    on_a_board = {path.lstrip("/"): content for path, content in image.files().items()}
    assert read.content == {k: v for k, v in on_a_board.items() if k not in ("boot.py", "main.py", "board.mpy")}
    assert named.file == f"doorstep-r1-{named.version}-release-{named.release}.image"
    assert (read.manifest.model, read.manifest.version, read.manifest.release) == (
        named.model, named.version, named.release,
    )  # fmt: skip


def test_a_changed_source_is_another_image_and_says_its_own_release(tmp_path: Path, copied: Path):
    changed = tmp_path / "changed"
    shutil.copytree(copied, changed)
    file = changed / "reader" / "settings.py"
    file.chmod(0o600)
    file.write_text(file.read_text().replace("RELEASE = const(1)", "RELEASE = const(7)").replace("0.1.0", "0.2.0"))
    done = release("build", "--out", tmp_path / "out", "--firmware", changed, "--from", "3")
    assert done.returncode == 0, done.stderr
    name = done.stdout.split()[1]
    assert name == "doorstep-r1-0.2.0-release-7.image"
    shown = release("show", tmp_path / "out" / name)
    assert shown.stdout.splitlines()[:5] == [
        "doorstep-image 1", "model Doorstep R1", "version 0.2.0", "release 7", "from 3",
    ]  # fmt: skip
    assert manifest.read((tmp_path / "out" / name).read_bytes()).id.hex() in shown.stderr


@pytest.mark.parametrize("where", [0, 40, 200, -1])
def test_show_tells_a_changed_image_from_a_whole_one(tmp_path: Path, where: int):
    data = bytearray(SMALL)
    data[where] ^= 1
    file = tmp_path / "changed.image"
    file.write_bytes(data)
    done = release("show", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is no image of a release" in done.stderr


def test_a_folder_without_firmware_is_a_sentence(tmp_path: Path):
    done = release("build", "--out", tmp_path / "out", "--firmware", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no firmware in" in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_was_written_is_read_again():
    read = manifest.read(SMALL)
    assert read.content == FILES
    assert list(read.content) == sorted(FILES)
    assert read.text + b"".join(read.content.values()) == SMALL
    assert read.id == hashlib.sha256(read.text).digest()[:16]


def test_a_file_that_looks_like_a_line_of_the_manifest_is_no_line_of_it():
    tricky = {"packs/index": b"file reader/app.mpy" + HASH, "reader/app.mpy": b""}
    assert manifest.read(manifest.write("Doorstep R1", "1", 1, 1, tricky)).content == tricky


@pytest.mark.parametrize(
    "text",
    [
        b"",
        HEAD[:-1],
        HEAD[:-7],
        HEAD.replace(b"image 1", b"image 2"),
        HEAD.replace(b"release 2", b"release 0"),
        HEAD.replace(b"release 2", b"release 02"),
        HEAD.replace(b"release 2", b"release 4294967296"),
        HEAD.replace(b"release 2", b"release -2"),
        HEAD.replace(b"from 1", b"from  1"),
        HEAD.replace(b"from 1", b"from"),
        HEAD.replace(b"0.2.0", b"0" * 33),
        HEAD.replace(b"0.2.0", b""),
        HEAD.replace(b"0.2.0", "0.2.0é".encode()),
        HEAD.replace(b"R1", b"R1\r"),
        HEAD.replace(b"R1", b"R" * 155),
        HEAD + b"\n",
        HEAD + b"file reader" + HASH,
        HEAD + b"file main.py" + HASH,
        HEAD + b"file /reader/a" + HASH,
        HEAD + b"file reader/../a" + HASH,
        HEAD + b"file reader/.a" + HASH,
        HEAD + b"file reader//a" + HASH,
        HEAD + b"file reader/a/" + HASH,
        HEAD + b"file reader/A" + HASH,
        HEAD + b"file reader/a/b/c" + HASH,
        HEAD + b"file reader/" + b"a" * 33 + HASH,
        HEAD + b"file other/a" + HASH,
        HEAD + b"file reader/a" + HASH.upper(),
        HEAD + b"file reader/a" + HASH.replace(b" 0 ", b" 2097152 "),
        HEAD + b"file reader/a" + HASH + b"file reader/a" + HASH,
        HEAD + b"file reader/b" + HASH + b"file reader/a" + HASH,
        HEAD + b"".join(b"file reader/%03d" % n + HASH for n in range(161)),
    ],
)
def test_what_is_not_exactly_a_manifest_is_refused(text: bytes):
    with pytest.raises(ManifestRefused):
        manifest.read_manifest(text)


def test_the_bounds_themselves_are_taken():
    name = b"reader/" + b"a" * 32
    most = HEAD.replace(b"release 2", b"release 4294967295").replace(b"0.2.0", b"0" * 32)
    assert manifest.read_manifest(most + b"file " + name + HASH).release == 2**32 - 1
    assert manifest.read_manifest(HEAD + b"".join(b"file reader/%03d" % n + HASH for n in range(160))).files
    room = wire.IMAGE_MAX - len(HEAD) - len(b"file reader/a" + HASH.replace(b" 0 ", b" 2000000 "))
    line = b"file reader/a" + HASH.replace(b" 0 ", b" %d " % room)
    assert manifest.read_manifest(HEAD + line).files[0].size == room


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes):
    for bytes_of_somebody in (data, HEAD + data, HEAD + b"file reader/a" + data):
        try:
            read = manifest.read(bytes_of_somebody)
        except ManifestRefused:
            continue
        assert read.text + b"".join(read.content.values()) == bytes_of_somebody


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255), st.booleans())
def test_an_image_with_one_byte_changed_or_lost_is_another_or_none(at: int, change: int, lost: bool):
    changed = SMALL[:at] + (b"" if lost else bytes([SMALL[at] ^ change])) + SMALL[at + 1 :]
    try:
        read = manifest.read(changed)
    except ManifestRefused:
        return
    assert read.id != manifest.read(SMALL).id
    assert list(read.content.values()) == [FILES[name] for name in sorted(FILES)], "only the manifest may differ"
