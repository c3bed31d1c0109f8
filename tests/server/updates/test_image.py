"""An image is taken only when every size, name and hash of its manifest is so; nothing else is, whatever it is."""

import hashlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.release import manifest as manifests
from reader import wire
from server.updates import image as images
from server.updates.image import Image, ImageUnusable
from tests.server.updates.images import FILES, MODEL, image, manifest

HASH = hashlib.sha256(b"").hexdigest()


def test_an_image_is_read_as_it_was_made() -> None:
    content = image()
    read = images.read(content)
    said = manifest()
    assert read == Image(
        MODEL, "2.0.0", 2, 1, read.files, len(said), hashlib.sha256(said).digest(), len(content),
        hashlib.sha256(content).digest(),
    )  # fmt: skip
    assert {one.name: one.size for one in read.files} == {name: len(content) for name, content in FILES.items()}
    assert read.image_id == hashlib.sha256(said).digest()[:16]


def test_what_the_tool_makes_is_what_the_server_reads() -> None:
    made = manifests.write(MODEL, "2.0.0", 2, 1, FILES)
    assert made == image()
    assert images.read(made).image_id == manifests.read(made).id


def test_a_file_that_looks_like_a_line_of_the_manifest_is_a_file() -> None:
    tricky = f"file reader/z.py 0 {HASH}\n".encode()
    read = images.read(image({"reader/a.py": tricky, "reader/b.py": b"x"}))
    assert [one.size for one in read.files] == [len(tricky), 1]


def lines(*changed: str) -> bytes:
    return "".join(line + "\n" for line in changed).encode()


HEAD = ("doorstep-image 1", f"model {MODEL}", "version 1", "release 2", "from 1")


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"doorstep-image 1\n",
        image()[:-1],
        image() + b"\n",
        image().replace(b"doorstep-image 1", b"doorstep-image 2"),
        image().replace(b"\n", b"\r\n", 1),
        image(release=0),
        image(release="02"),
        image(release=2**32),
        image(release="+2"),
        image(follows=2),
        image(follows="0x1"),
        image(version=""),
        image(version="v" * 33),
        image(version=" 1"),
        image(model="m" * 160),
        image({}),
        image({"boot.py": b""}),
        image({"reader": b""}),
        image({"reader/": b""}),
        image({"reader/../main.py": b""}),
        image({"reader/.hidden": b""}),
        image({"reader/Upper.py": b""}),
        image({"reader/a/b/c.py": b""}),
        image({"reader//a.py": b""}),
        image({"packs/" + "p" * 33: b""}),
        image({"reader/a": b"", "reader/a/b": b""}),
        lines(*HEAD, f"file reader/b.py 0 {HASH}", f"file reader/a.py 0 {HASH}"),
        lines(*HEAD, f"file reader/a.py 0 {HASH}", f"file reader/a.py 0 {HASH}"),
        lines(*HEAD, f"file reader/a.py 0 {HASH.upper()}"),
        lines(*HEAD, f"file reader/a.py 00 {HASH}"),
        lines(*HEAD, f"file reader/a.py 0  {HASH}"),
        lines(*HEAD, f"file reader/a.py 1 {HASH}") + b"x",
        lines(HEAD[0], HEAD[2], HEAD[1], *HEAD[3:], f"file reader/a.py 0 {HASH}"),
        lines(*HEAD, *(f"file reader/{at:03}.py 0 {HASH}" for at in range(161))),
        image({"reader/a.py": bytes(wire.IMAGE_MAX)}),
    ],
)
def test_what_is_not_quite_an_image_is_refused_with_a_sentence(wrong: bytes) -> None:
    with pytest.raises(ImageUnusable) as refused:
        images.read(wrong)
    assert refused.value.code == "image-unusable"
    assert refused.value.detail
    assert refused.value.detail.endswith((".", "build"))


def test_as_many_files_as_there_may_be_are_taken_and_their_manifest_has_its_own_bound() -> None:
    assert len(images.read(image({f"reader/{at:03}.py": b"" for at in range(160)})).files) == 160
    with pytest.raises(ImageUnusable):
        images.read(image({f"reader/{'f' * 28}/{at:03}.py": b"" for at in range(160)}))


@settings(max_examples=800, deadline=None)
@given(st.data())
def test_whatever_is_changed_of_an_image_it_is_refused_or_says_just_what_it_holds(data: st.DataObject) -> None:
    changed = bytearray(image())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["change", "insert", "drop", "cut"])):
            case "change":
                changed[at] = data.draw(st.integers(0, 255))
            case "insert":
                changed.insert(at, data.draw(st.integers(0, 255)))
            case "drop" if len(changed) > 1:
                del changed[at]
            case _:
                del changed[at + 1 :]
    read_or_refused(bytes(changed))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda junk: lines(*HEAD) + junk))
@example(b"\xff" * 200)
def test_arbitrary_bytes_are_refused_and_nothing_worse(junk: bytes) -> None:
    read_or_refused(junk)


def read_or_refused(content: bytes) -> None:
    try:
        read = images.read(content)
    except ImageUnusable:
        return
    # The tool that makes images takes it too, and what was taken can be written down again, byte by byte.
    assert manifests.read(content).id == read.image_id
    files: dict[str, bytes] = {}
    at = read.manifest_bytes
    for one in read.files:
        files[one.name] = content[at : at + one.size]
        at += one.size
    again = image(files, model=read.model, version=read.version, release=read.release, follows=read.follows)
    assert again == content
