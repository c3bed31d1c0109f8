"""No pack is used that could not be judged by: every field's bound, how fields stand to each other, any bytes."""

import copy
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import cbor2
import pycddl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader import assays, cbor, packfile, packrules
from reader.assays import PackError
from tests.reader.conftest import FIRMWARE, VECTORS
from tests.reader.stubs.packs import pack, table

KEYS = {name: key for key, name in enumerate(assays.FIELDS.split(), 1)}
STRIP, LAMP, QUANTITY = "flu-ab-ag", "mtb-lamp", "crp"


def fields_of(assay_id: str) -> dict[int, Any]:
    return cbor2.loads(packfile.built_in()[assay_id, 1])


def refused(fields: dict[int, Any]) -> str:
    """The field that a map is refused for, "" when it is not."""
    try:
        packrules.check(cbor.encode(fields))
    except PackError as error:
        return error.field
    return ""


def test_the_packs_of_the_release_pass_and_decode_to_what_their_files_say() -> None:
    for (assay_id, version), content in packfile.built_in().items():
        assay = packrules.check(content)
        assert (assay.id, assay.version) == (assay_id, version)
        assert len(content) <= assays.PACK_MAX
        for name, value in table(assay_id).items():
            if name not in ("kind", "controls", "calibrations", "low", "high", "grey", "decision"):
                assert getattr(assay, name) == value, name


def test_the_examples_of_the_specification_are_taken() -> None:
    examples = json.loads((VECTORS / "messages.json").read_text("utf-8"))
    packs = [bytes.fromhex(one["hex"]) for one in examples if one["rule"].endswith("-pack") and "pack, " in one["name"]]
    strip, lamp = (packrules.check(one) for one in packs)
    assert strip.calibration("CRP001") == (2000, 1150, 38_000, 520_000)
    assert (lamp.id, lamp.target_cc, lamp.unit) == ("mtb-lamp", 6700, None)


WRONG = [
    (STRIP, "kind", 3), (STRIP, "kind", True), (STRIP, "id", "Flu AB"), (STRIP, "id", "x" * 21), (STRIP, "id", "-a"),
    (STRIP, "version", 0), (STRIP, "version", 65_536), (STRIP, "version", True), (STRIP, "version", "1"),
    (STRIP, "name", ""), (STRIP, "name", " x"), (STRIP, "name", "µ"), (STRIP, "short", "fifteen letters"),
    (STRIP, "illustrative", 1), (STRIP, "illustrative", None), (STRIP, "gtins", []), (STRIP, "gtins", "02"),
    (STRIP, "gtins", ["02000000000021"]), (STRIP, "gtins", ["02000000000022"] * 2), (STRIP, "gtins", ["2" * 13]),
    (STRIP, "analytes", []), (STRIP, "analytes", ["a", "a"]), (STRIP, "analytes", ["a"]),
    (STRIP, "ambient_low_cc", 4000), (STRIP, "ambient_high_cc", 4501), (STRIP, "qc_hours", -1),
    (STRIP, "qc_levels", ["none"]), (STRIP, "qc_levels", []), (STRIP, "qc_after_fault", 0),
    (STRIP, "controls", [["02000000000022", "positive", [1, 1]]]), (STRIP, "controls", [["02000000001036"]]),
    (STRIP, "controls", [["02000000001036", "positive", [1]]]), (STRIP, "controls", [["02000000001036", "x", [3, 1]]]),
    (STRIP, "test_um", [4000]), (STRIP, "test_um", [4000, 5000]), (STRIP, "test_um", [400, 7500]),
    (STRIP, "control_um", 15_900), (STRIP, "line_um", 100), (STRIP, "search_um", 2001),
    (STRIP, "grey_ppm", [7843]), (STRIP, "grey_ppm", [15_686, 7843]), (STRIP, "positive_ppm", [0, 15_686]),
    (STRIP, "control_ppm", 31_372), (STRIP, "hook_ppm", 20_000), (STRIP, "hook_test_ppm", 15_686),
    (STRIP, "earliest_s", 901), (STRIP, "latest_s", 900), (STRIP, "incubation_s", 7201),
    (STRIP, "target_cc", 6500), (STRIP, "unit", "mg/L"), (STRIP, "calibrations", []),
    (QUANTITY, "low_milli", 200_000), (QUANTITY, "grey_milli", 20_000), (QUANTITY, "grey_milli", 4_000),
    (QUANTITY, "decision_milli", 150_001), (QUANTITY, "high_milli", 2**24), (QUANTITY, "unit", "µg"),
    (QUANTITY, "calibrations", []), (QUANTITY, "calibrations", [["L", 1, 1000, 1000, 1]]),
    (QUANTITY, "calibrations", [["L", 1, 99, 1000, 2]]), (QUANTITY, "calibrations", [["L", 1, 1000, 2**24, 2]]),
    (QUANTITY, "calibrations", [["L", 1, 1000, 1000, 2]] * 2), (QUANTITY, "calibrations", [["L" * 21, 1, 1000, 1, 2]]),
    (QUANTITY, "calibrations", [["L", 1.0, 1000, 1000, 2]]), (QUANTITY, "controls", [["02000000001135", "low", [1]]]),
    (LAMP, "analytes", ["a", "b"]), (LAMP, "target_cc", 7501), (LAMP, "tolerance_cc", 0), (LAMP, "warm_up_s", 3000),
    (LAMP, "latest_positive_s", 3601), (LAMP, "sample_s", 4), (LAMP, "duration_s", 7201), (LAMP, "test_um", [6000]),
]  # fmt: skip


@pytest.mark.parametrize(("assay_id", "name", "value"), WRONG, ids=lambda value: str(value)[:24])
def test_a_field_that_may_not_stand_is_refused(assay_id: str, name: str, value: Any) -> None:
    fields = fields_of(assay_id)
    fields[KEYS[name]] = value
    if "1.0" in str(value):
        with pytest.raises(PackError, match="not the protocol's CBOR"):
            packrules.check(cbor2.dumps(fields, canonical=True))
    else:
        assert refused(fields)


@pytest.mark.parametrize("assay_id", [STRIP, LAMP, QUANTITY])
def test_a_missing_field_is_named(assay_id: str) -> None:
    for name in assays.FIELDS.split():
        fields = fields_of(assay_id)
        if KEYS[name] in fields:
            del fields[KEYS[name]]
            # Without its unit a pack is not quantitative, and then the rest of that is too much.
            assert refused(fields) == ("pack" if name == "unit" else name)


def test_what_is_longer_than_a_pack_or_no_map_or_has_more_in_it_is_refused() -> None:
    fields = fields_of(STRIP)
    assert refused(fields | {99: 1}) == "pack"
    assert refused(fields | {"kind": 1}) == "pack"
    for bytes_ in (b"", b"\x80", b"\xa0", bytes(1501), cbor2.dumps("x" * 1600), b"\xa1\x01\x01"):
        with pytest.raises(PackError):
            packrules.check(bytes_)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 50), inner, max_size=3),
    max_leaves=12,
)


def sound(assay: Any) -> None:
    """What judging relies on, whatever the pack."""
    assert 1 <= len(assay.analytes) <= 4
    if assay.kind == assays.STRIP:
        assert len(assay.test_um) == len(assay.grey_ppm) == len(assay.positive_ppm) == len(assay.analytes)
        assert all(0 < grey < cut for grey, cut in zip(assay.grey_ppm, assay.positive_ppm, strict=True))
        assert 0 < assay.earliest_s <= assay.incubation_s < assay.latest_s
        assert all(0 <= place <= 16_000 for place in (*assay.test_um, assay.control_um))
        if assay.unit is not None:
            assert assay.low_milli <= assay.grey_milli < assay.decision_milli <= assay.high_milli < 2**24
            assert all(a < d and b > 0 and c > 0 for _, a, b, c, d in assay.calibrations)
    else:
        assert assay.warm_up_s < assay.latest_positive_s <= assay.duration_s
        assert assay.ambient_high_cc < assay.target_cc <= 7500


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([STRIP, LAMP, QUANTITY]), st.sampled_from(assays.FIELDS.split()), ANY, st.integers(0, 4))
def test_any_value_in_any_field_is_refused_or_can_be_judged_by(
    assay_id: str, name: str, value: Any, depth: int
) -> None:
    fields = copy.deepcopy(fields_of(assay_id))
    place: Any = fields
    key: Any = KEYS[name]
    for _ in range(depth):  # into the lists of lists, too
        inner = place.get(key) if isinstance(place, dict) else place[key]
        if not isinstance(inner, list) or not inner:
            break
        place, key = inner, 0
    place[key] = value
    try:
        assay = packrules.check(cbor.encode(fields))
    except PackError:
        return
    sound(assay)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([STRIP, LAMP, QUANTITY]), st.data())
def test_damaged_bytes_are_refused_or_can_be_judged_by(assay_id: str, data: st.DataObject) -> None:
    damaged = bytearray(packfile.built_in()[assay_id, 1])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(1, len(damaged))) :]
    try:
        assay = packrules.check(bytes(damaged))
    except PackError:
        return
    sound(assay)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from reader import assays, packrules
for line in open(sys.argv[2]):
    try:
        packrules.check(bytes.fromhex(line.strip()))
        print("")
    except assays.PackError as error:
        print(error)
"""


def test_micropython_refuses_the_same_packs_for_the_same_reasons(tmp_path: Path) -> None:
    chance = random.Random(3)
    lines = []
    for assay_id, name, value in WRONG:
        fields = fields_of(assay_id)
        fields[KEYS[name]] = value
        lines.append(cbor2.dumps(fields, canonical=True))
    for content in packfile.built_in().values():
        lines.append(content)
        for _ in range(12):
            damaged = bytearray(content)
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            lines.append(bytes(damaged))
    jobs, program = tmp_path / "jobs", tmp_path / "program.py"
    jobs.write_text("".join(line.hex() + "\n" for line in lines))
    program.write_text(PROGRAM)
    interpreter = Path(sys.executable).with_name("micropython")
    done = subprocess.run(
        [str(interpreter), "-X", "heapsize=2M", str(program), str(FIRMWARE), str(jobs)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = []
    for line in lines:
        try:
            packrules.check(line)
            expected.append("")
        except PackError as error:
            expected.append(str(error))
    assert done.stdout.split("\n")[:-1] == expected
    assert "" in expected


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"low": 4.0005}, "low: more than three decimals"),
        ({"low": 10**7}, "low: a number far out of any range"),
        ({"low": True}, "low: not a number"),
        ({"low_milli": 5}, "low_milli: no field of a pack"),
        ({"colour": "red"}, "colour: no field of a pack"),
        ({"kind": "blot"}, 'kind: neither "strip" nor "amplification"'),
        ({"calibrations": [{"lot": "L"}]}, "calibrations: each is a table of lot, a_ppm, b, c, d_ppm"),
        ({"controls": [{"gtin": "0", "level": "low", "expected": ["maybe"]}]}, "controls: expected is"),
        ({"incubation_s": 2.5}, "incubation_s: not a whole number"),
    ],
)
def test_a_person_who_writes_a_pack_is_told_which_field_and_why(change: dict[str, Any], sentence: str) -> None:
    from decimal import Decimal

    written = {name: Decimal(str(value)) if isinstance(value, float) else value for name, value in change.items()}
    with pytest.raises(PackError) as caught:
        pack(QUANTITY, **written)
    assert str(caught.value).startswith(sentence)


def test_a_file_that_is_not_toml_or_not_text_or_too_long_is_refused(tmp_path: Path) -> None:
    for content in (b"id = ", b"\xff\xfe", b"#" * (packfile.FILE_MAX + 1)):
        (tmp_path / "pack.toml").write_bytes(content)
        with pytest.raises(PackError, match=r"^pack: "):
            packfile.compile_file(tmp_path / "pack.toml")


def test_the_specification_names_every_field_by_its_key() -> None:
    specification = (FIRMWARE.parent / "docs" / "protocol.cddl").read_text("utf-8")
    part = specification[specification.index("strip-pack =") : specification.index("\num =")]
    lines = [line.partition("; ") for line in part.splitlines()]
    named = {note.split(",")[0].strip(): rule.split(":")[0].strip() for rule, _, note in lines if ":" in rule and note}
    assert named == {name: str(key) for name, key in KEYS.items()}


@pytest.mark.parametrize("assay_id", sorted({assay_id for assay_id, _ in packfile.built_in()}))
def test_every_pack_of_the_release_is_what_the_specification_says(assay_id: str) -> None:
    specification = (FIRMWARE.parent / "docs" / "protocol.cddl").read_text("utf-8")
    pycddl.Schema("first = pack\n" + specification).validate_cbor(packfile.built_in()[assay_id, 1])
