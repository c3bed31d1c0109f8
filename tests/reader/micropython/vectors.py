# ruff: noqa: UP031
"""Check the reader's codec against the worked examples, in both directions, under MicroPython and CPython alike.

Run: `micropython vectors.py FIRMWARE_FOLDER VECTORS_FOLDER`. Prints the number of examples checked; a difference is an
AssertionError that names the example.
"""

import json
import sys

if len(sys.argv) > 2 and sys.argv[1] not in sys.path:
    sys.path.insert(0, sys.argv[1])

from reader import cbor, cose, custody, delta, hkdf, wire
from reader.segments import Assembler, Segmenter


def value_of(shown):
    """The value that the JSON of an example stands for."""
    if isinstance(shown, list):
        return [value_of(item) for item in shown]
    if isinstance(shown, dict):
        if "h" in shown:
            return bytes.fromhex(shown["h"])
        if "m" in shown:
            return {value_of(key): value_of(item) for key, item in shown["m"]}
        return cbor.Tag(shown["t"], value_of(shown["v"]))
    return shown


def check_messages(examples):
    for example in examples:
        value = value_of(example["value"])
        data = bytes.fromhex(example["hex"])
        assert cbor.encode(value) == data, example["name"]
        assert cbor.decode(data) == value, example["name"]
        assert cbor.decode(memoryview(data)) == value, example["name"]
    return len(examples)


def check_derivations(known):
    key = bytes.fromhex(known["key"])
    reader = bytes.fromhex(known["reader"])
    hub = bytes.fromhex(known["hub"])
    expiry = known["expiry"].to_bytes(8, "big")
    assert hkdf.hkdf(key, reader, wire.INFO_RECORD).hex() == known["record key"]
    assert hkdf.hkdf(key, reader, wire.INFO_DOWN).hex() == known["down key"]
    secret = hkdf.hkdf(key, reader, wire.INFO_TICKET + hub + expiry)
    assert secret.hex() == known["ticket secret"]
    said = reader + hub + expiry + bytes.fromhex(known["hub nonce"]) + bytes.fromhex(known["reader nonce"])
    assert hkdf.hmac(secret, wire.LABEL_READER_PROOF, said)[:16].hex() == known["reader proof"]
    assert hkdf.hmac(secret, wire.LABEL_HUB_PROOF, said)[:16].hex() == known["hub proof"]
    session = hkdf.hmac(secret, wire.LABEL_SESSION, said)
    assert session.hex() == known["session key"]
    clock = known["clock unix ms"].to_bytes(8, "big") + known["clock uncertainty ms"].to_bytes(4, "big")
    assert hkdf.hmac(session, wire.LABEL_CLOCK, clock)[:16].hex() == known["clock proof"]
    assert custody.genesis(reader).hex() == known["genesis"]
    return 8


def check_sealed(examples, known):
    reader = bytes.fromhex(known["reader"])
    record_key = bytes.fromhex(known["record key"])
    down_key = bytes.fromhex(known["down key"])
    for example in examples:
        data = bytes.fromhex(example["hex"])
        plaintext = bytes.fromhex(example["plaintext"])
        number = example["number"]
        random9 = bytes.fromhex(example["random"])
        if example["rule"] == "sealed-record":
            previous = bytes.fromhex(example["previous"])
            sealed = cose.seal_record(record_key, reader, number, previous, 0, plaintext, random9)
            opened = cose.open_record(lambda generation: record_key, reader, data)
            assert opened.previous == previous, example["name"]
            assert custody.chain_hash(data).hex() == example["chain"], example["name"]
        else:
            header = {
                wire.COSE_ALG: wire.COSE_AES_CCM_16_128_256,
                wire.COSE_KID: reader,
                wire.HDR_NUMBER: number,
                wire.HDR_GENERATION: 0,
            }
            sealed = cose.seal(down_key, cbor.encode(header), number, plaintext, random9)
            opened = cose.open_down(lambda generation: down_key if generation == 0 else None, reader, data)
        assert sealed == data, example["name"]
        assert (opened.number, opened.generation, bytes(opened.plaintext)) == (number, 0, plaintext), example["name"]
    return len(examples)


def check_traces(examples):
    for example in examples:
        data = bytes.fromhex(example["hex"])
        assert delta.encode(example["samples"]) == data, example["name"]
        assert list(delta.decode(data, len(example["samples"]))) == example["samples"], example["name"]
    return len(examples)


def check_segments(examples):
    for example in examples:
        message = bytes.fromhex(example["message"])
        segments = [bytes.fromhex(one) for one in example["segments"]]
        out = Segmenter()
        out._counter = example["counter"]
        out.load(message)
        for segment in segments:
            assert bytes(out.segment(example["mtu"] - 3)) == segment, example["name"]
            assert bytes(out.segment(example["mtu"] - 3)) == segment, "asking again changed the segment"
            out.sent()
        assert out.idle
        into = Assembler(4096)
        into._expected = example["counter"]
        found = [(code, bytes(got)) for segment in segments for code, got in into.feed(segment)]
        assert found == [(0, message)], example["name"]
        into._expected = example["counter"]
        found = [(code, bytes(got)) for code, got in into.feed(b"".join(segments))]
        assert found == [(0, message)], example["name"]
    return len(examples)


def code_of(action, kind):
    try:
        action()
    except kind as error:
        return error.code
    return "taken"


def check_refused(refused, known):
    reader = bytes.fromhex(known["reader"])
    keys = {name: bytes.fromhex(known[name]) for name in ("record key", "down key")}
    count = 0
    for name, data, code in refused["cbor"]:
        found = code_of(lambda: cbor.decode(bytes.fromhex(data)), cbor.CborError)  # noqa: B023
        assert found == code, (name, found)
    for rule, key, opening in (
        ("sealed-record", keys["record key"], cose.open_record),
        ("sealed-down", keys["down key"], cose.open_down),
    ):
        for name, data, code in refused[rule]:
            found = code_of(
                lambda: opening(lambda g: key if g == 0 else None, reader, bytes.fromhex(data)),  # noqa: B023
                cose.CoseError,
            )
            assert found == code, (rule, name, found)
    for name, data, samples in refused["delta"]:
        try:
            delta.decode(bytes.fromhex(data), samples)
        except delta.DeltaError:
            continue
        raise AssertionError(name)
    for name, values, expected in refused["segments"]:
        into = Assembler(wire.CONTROL_MAX)
        found = [code or bytes(got).hex() for value in values for code, got in into.feed(bytes.fromhex(value))]
        assert found == expected, (name, found)
    for name in refused:
        count += len(refused[name])
    return count


def load(folder, name):
    with open(folder + "/" + name + ".json") as file:
        return json.load(file)


def check_all(folder):
    """Check every example in `folder`; return how many there are."""
    known = load(folder, "derivations")
    return (
        check_messages(load(folder, "messages"))
        + check_derivations(known)
        + check_sealed(load(folder, "sealed"), known)
        + check_traces(load(folder, "traces"))
        + check_segments(load(folder, "segments"))
        + check_refused(load(folder, "refused"), known)
    )


if __name__ == "__main__":
    print("examples %d" % check_all(sys.argv[2]))
