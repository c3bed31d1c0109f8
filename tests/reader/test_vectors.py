"""Both implementations of the wire meet on the worked examples of tests/vectors, and the protocol's CDDL accepts
them.
"""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cbor2
import pycddl
import pytest
from cwt import COSE, COSEKey

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"
CDDL = (ROOT / "docs" / "protocol.cddl").read_text()
SCRIPT = Path(__file__).parent / "micropython" / "vectors.py"


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def schema(rule: str) -> pycddl.Schema:
    # The first rule of a CDDL text is its root. pycddl applies `.cbor` inside an array to every item of the array, so
    # what is in the protected header is checked by a test of its own.
    return pycddl.Schema(f"root = {rule}\n" + re.sub(r"bstr \.cbor [a-z-]+", "bstr", CDDL))


def value_of(shown: Any) -> Any:
    if isinstance(shown, list):
        return [value_of(item) for item in shown]
    if isinstance(shown, dict):
        if "h" in shown:
            return bytes.fromhex(shown["h"])
        return {value_of(key): value_of(item) for key, item in shown["m"]}
    return shown


MESSAGES = load("messages")
SEALED = load("sealed")
KNOWN = load("derivations")


def named(examples: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(example, id=example["name"]) for example in examples]


def checks() -> Any:
    spec = importlib.util.spec_from_file_location("vector_checks", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readers_codec_agrees_under_cpython() -> None:
    assert checks().check_all(str(VECTORS)) > 100


def test_the_readers_codec_agrees_under_micropython(micropython: Any) -> None:
    said = micropython("vectors.py", str(VECTORS))
    assert int(said.removeprefix("examples ")) == checks().check_all(str(VECTORS))


@pytest.mark.parametrize("example", named(MESSAGES))
def test_cbor2_reads_and_writes_the_same_bytes(example: dict[str, Any]) -> None:
    data = bytes.fromhex(example["hex"])
    value = value_of(example["value"])
    assert cbor2.loads(data) == value
    assert cbor2.dumps(value) == data


@pytest.mark.parametrize("example", named(MESSAGES + SEALED))
def test_the_cddl_accepts_the_example(example: dict[str, Any]) -> None:
    schema(example["rule"]).validate_cbor(bytes.fromhex(example["hex"]))


@pytest.mark.parametrize("example", named(SEALED))
def test_the_cddl_accepts_the_protected_header(example: dict[str, Any]) -> None:
    protected = cbor2.loads(bytes.fromhex(example["hex"])).value[0]
    rule, other = ("record-header", "down-header")[:: 1 if example["rule"] == "sealed-record" else -1]
    schema(rule).validate_cbor(protected)
    with pytest.raises(pycddl.ValidationError):
        schema(other).validate_cbor(protected)


def test_the_cddl_refuses_what_is_almost_right() -> None:
    # A schema that accepts everything would pass the test above.
    for rule, wrong in (
        ("report", [6, 0, 64]),
        ("report", [6, 1, 4097]),
        ("hello", [1, 1, b"short", 0, 0, bytes(16)]),
        ("receipt", {1: 1, 2: 3, 3: bytes(15), 4: bytes(8)}),
        ("event-record", {1: 2, 2: [bytes(8), 1, None, 4, None], 3: "0.1.0", 4: {1: 1, 2: None, 3: []}}),
        ("result-record", {1: 1, 2: [bytes(8), 1, None, 0, None], 3: "0.1.0", 4: {}}),
        ("sealed-record", cbor2.CBORTag(16, [b"\xa0", {5: bytes(12)}, bytes(17)])),
        ("status", [1, bytes(8), 1, 0, 101, 0]),
    ):
        with pytest.raises(pycddl.ValidationError):
            schema(rule).validate_cbor(cbor2.dumps(wrong))


def test_every_message_of_the_protocol_has_an_example() -> None:
    choices = ("down-message", "control", "hub-item", "server-item", "up-message", "record", "sealed")
    lines = {line.partition(" = ")[0]: line.partition(" = ")[2] for line in CDDL.splitlines()}
    rules = {rule for name in choices for rule in lines[name].split(" / ")}
    assert rules | {"status", "ticket"} <= {example["rule"] for example in MESSAGES + SEALED}


@pytest.mark.parametrize("example", named(SEALED))
def test_cwt_opens_what_the_reader_takes(example: dict[str, Any]) -> None:
    key = KNOWN["record key" if example["rule"] == "sealed-record" else "down key"]
    cose_key = COSEKey.from_symmetric_key(
        alg="AES-CCM-16-128-256", key=bytes.fromhex(key), kid=bytes.fromhex(KNOWN["reader"])
    )
    protected, unprotected, plaintext = COSE.new(verify_kid=True).decode_with_headers(
        bytes.fromhex(example["hex"]), cose_key
    )
    assert plaintext.hex() == example["plaintext"]
    assert protected[-70001] == example["number"] == int.from_bytes(unprotected[5][:4], "big")
    rule = {"record": "record", "down": "down-message"}[example["name"].partition(",")[0]]
    schema(rule).validate_cbor(plaintext)


def test_the_records_form_a_chain_from_the_readers_id() -> None:
    before = KNOWN["genesis"]
    for example in SEALED:
        if example["rule"] == "sealed-record":
            assert example["previous"] == before
            before = example["chain"]


def test_the_examples_are_those_that_make_writes(tmp_path: Path) -> None:
    shutil.copy(VECTORS / "make.py", tmp_path)
    subprocess.run([sys.executable, str(tmp_path / "make.py")], check=True, timeout=60)
    for written in sorted(tmp_path.glob("*.json")):
        assert written.read_text() == (VECTORS / written.name).read_text(), written.name
