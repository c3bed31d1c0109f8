"""A manifest is read line by line; what is not as the protocol has it is refused, by both interpreters alike."""

import io
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.faults import images
from reader import manifest

FILES = {f"reader/f{n:03d}.mpy": bytes(n) for n in range(40)} | {"packs/a.pack": b"a", "reader/drivers/x_1-y.mpy": b""}
GOOD = images.manifest(FILES, 2)
PART = rb"[a-z0-9_-][a-z0-9_.-]{0,31}"
NUMBER = rb"(?:0|[1-9][0-9]{0,9})"
LINES = re.compile(
    rb"doorstep-image 1\nmodel [ -~]{1,154}\nversion [ -~]{1,32}\nrelease ([1-9][0-9]{0,9})\nfrom (" + NUMBER + rb")\n"
    rb"((?:file (?:reader|packs)(?:/" + PART + rb"){1,2} " + NUMBER + rb" [0-9a-f]{64}\n){1,160})"
)


def by_the_page(text: bytes) -> str:
    """What docs/protocol.md section 8.1 says of it, apart from the reader's own code."""
    found = LINES.fullmatch(text)
    if found is None or any(len(line) > 160 for line in text.split(b"\n")):
        return "refused"
    files = [line.split() for line in found[3].splitlines()]
    names, sizes = [line[1] for line in files], [int(line[2]) for line in files]
    numbers = [int(found[1]), int(found[2]), *sizes]
    if sorted(set(names)) != names or max(numbers) > 0xFFFFFFFF:
        return "refused"
    return f"{numbers[0]} {numbers[1]} {sum(sizes)}"


def by_the_reader(text: bytes) -> str:
    file = io.BytesIO(text)
    try:
        head = manifest.head(file)
        return f"{head.release} {head.least} {sum(size for _, size, _ in manifest.files(file))}"
    except manifest.ManifestError:
        return "refused"


def altered(chance: random.Random, text: bytes) -> bytes:
    """One or two small harms."""
    data = bytearray(text)
    for _ in range(chance.randrange(1, 3)):
        at = chance.randrange(len(data))
        match chance.randrange(6):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at]
            case 2:
                data.insert(at, chance.choice(b"\n \0/.09afAZ"))
            case 3:
                del data[at:]
                data += b"\n"
            case 4:
                lines = data.splitlines(keepends=True)
                chance.shuffle(lines)
                data = bytearray(b"".join(lines))
            case _:
                lines = data.splitlines(keepends=True)
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                data = bytearray(b"".join(lines))
        if not data:
            break
    return bytes(data)


CASES = [GOOD, GOOD[:-1], b"", b"\n", GOOD + b"\n", GOOD + b"x\n", GOOD.replace(b"\n", b"\r\n"), *(
    altered(random.Random(seed), GOOD) for seed in range(400)
)]  # fmt: skip


def test_a_manifest_gives_each_file_with_its_size_and_hash() -> None:
    file = io.BytesIO(GOOD)
    head = manifest.head(file)
    assert (head.model, head.version, head.release, head.least) == ("Doorstep R1", "0.2.0", 2, 1)
    assert [(name, size) for name, size, _ in manifest.files(file)] == [(n, len(FILES[n])) for n in sorted(FILES)]


@pytest.mark.parametrize(
    "text",
    [
        images.manifest({f"reader/{n:03d}": b"" for n in range(161)}, 2),
        images.manifest({}, 2),
        images.manifest({"reader/a/b/c": b""}, 2),
        images.manifest({"reader": b""}, 2),
        images.manifest({"main.py": b""}, 2),
        images.manifest({"reader/../x": b""}, 2),
        images.manifest({"reader/.x": b""}, 2),
        images.manifest({"reader//x": b""}, 2),
        images.manifest({"/reader/x": b""}, 2),
        images.manifest({"reader/" + "x" * 33: b""}, 2),
        images.manifest({"reader/X": b""}, 2),
        images.manifest({"reader/x": b""}, 0),
        images.manifest({"reader/x": b""}, 2**32),
        images.manifest({"reader/x": b""}, 2, version="v" * 33),
        images.manifest({"reader/x": b""}, 2, model="m" * 161),
        GOOD.replace(b"release 2", b"release 02"),
        GOOD.replace(b"file packs/a.pack 1 ", b"file packs/a.pack +1 "),
    ],
)
def test_what_breaks_a_rule_is_refused(text: bytes) -> None:
    assert by_the_page(text) == "refused"
    assert by_the_reader(text) == "refused"


def test_harmed_manifests_are_judged_as_the_page_says() -> None:
    judged = [by_the_reader(case) for case in CASES]
    assert judged == [by_the_page(case) for case in CASES]
    assert len(set(judged)) > 1


@given(st.binary(max_size=400) | st.text(st.sampled_from("file reader/packs. 019af\n"), max_size=300).map(str.encode))
def test_any_bytes_are_judged_as_the_page_says(data: bytes) -> None:
    for text in (data, GOOD[:85] + data, GOOD + data):
        assert by_the_reader(text) == by_the_page(text)


def test_micropython_judges_them_alike(micropython: Any, compiled: Path, tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        (tmp_path / str(number)).write_bytes(case)
    said = micropython("manifest_cases.py", str(tmp_path), heap="64K", firmware=compiled).splitlines()
    assert [line.split(":")[0] for line in said] == [by_the_reader(case) for case in CASES]
