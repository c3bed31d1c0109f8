"""What is usual passes the whole scan; what the reader's own code writes is usual; and the content is read alike."""

from array import array
from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reader import outcome, results, wire
from server.custody import cbor
from server.results import record, usual
from tests.server import factory
from tests.server.altered import altered

EDGES = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**64 - 1]
UINTS = st.sampled_from(EDGES)
INTS = UINTS | UINTS.map(lambda number: -1 - number)
LABELS = st.text(max_size=8) | st.sampled_from([21, 22, 23, 24, 64]).map(lambda length: "x" * length)
BYTES = st.sampled_from([0, 1, 23, 24, 255, 256, 700]).map(bytes)
ANALYTES = st.lists(
    st.tuples(LABELS, UINTS, UINTS, INTS | st.none(), LABELS | st.none(), UINTS | st.none(), UINTS).flatmap(
        lambda parts: st.sampled_from([list(parts[:6]), list(parts)])
    ),
    max_size=3,
)
STRIPS = st.fixed_dictionaries(
    {
        wire.TRACE_KIND: st.just(wire.TRACE_STRIP),
        wire.TRACE_STEP: UINTS,
        wire.TRACE_COUNT: UINTS,
        wire.TRACE_SAMPLES: BYTES,
        wire.TRACE_WHITE: BYTES | UINTS,
        wire.TRACE_DARK: BYTES | UINTS,
    }
)
CURVES = st.fixed_dictionaries(
    {
        wire.TRACE_KIND: st.just(wire.TRACE_CURVE),
        wire.TRACE_STEP: UINTS,
        wire.TRACE_COUNT: UINTS,
        wire.TRACE_SAMPLES: st.lists(BYTES, max_size=3),
        wire.TRACE_TEMPERATURES: BYTES,
        wire.TRACE_START: UINTS,
    }
)
LEVELS = array("H", range(40_000, 40_128))
STRIP = results.strip_trace(LEVELS, 125, LEVELS, LEVELS)
STRIP_OF_ONE_WHITE = results.strip_trace(LEVELS, 125, 40_000, 400)
ONE_WELL = results.curve_trace([LEVELS], 128, 15_000, 60_000, LEVELS)
TWO_WELLS = results.curve_trace([LEVELS, LEVELS], 128, 15_000, 60_000, LEVELS)
RESULTS = st.builds(
    lambda trace, analytes, boot, numbers, labels, integers: cbor2.dumps(
        factory.result(
            moment=[boot, numbers[0] or 0, numbers[1], wire.CLOCK_HUB, numbers[2]],
            specimen=labels[0] or "",
            operator=labels[1],
            lot=labels[2],
            serial=labels[3],
            assay_version=numbers[3] or 0,
            analytes=analytes,
            times=numbers[4:7],
            temperatures=integers,
            changes={wire.RES_TRACE: trace, wire.RES_BATTERY_MV: numbers[7]},
        ),
        canonical=True,
    ),
    STRIPS | CURVES | st.none() | st.sampled_from([STRIP, STRIP_OF_ONE_WHITE, ONE_WELL, TWO_WELLS]),
    ANALYTES | st.just([]),
    st.binary(min_size=8, max_size=8),
    st.lists(UINTS | st.none(), min_size=8, max_size=8),
    st.lists(LABELS | st.none(), min_size=4, max_size=4),
    st.lists(INTS | st.none(), min_size=3, max_size=3),
)


def passes_the_scan(data: bytes) -> bool:
    try:
        return cbor.scan(data, 0) == len(data)
    except (cbor.NotCbor, cbor.TooDeep, cbor.TooMany):
        return False


def understood(data: bytes) -> Any:
    try:
        return record.understand(data)
    except record.NotUnderstood as error:
        return str(error)


def as_the_reader_writes(trace: dict[int, Any] | None, **fields: Any) -> bytes:
    test = results.Test()
    test.specimen, test.operator = "S-0123456789", "op-7"
    test.assay_id, test.assay_version = "sars2-ag", 3
    test.gtin, test.lot, test.serial, test.expiry = "02000000000015", "AG2601", "000451", "291231"
    test.calibration = "factory"
    test.started, test.due, test.read = 158_000, 1_058_000, 1_058_000
    test.ambient, test.lowest, test.highest = -210, -300, 2_340
    test.battery_mv = 3_900
    test.outcome, test.reason, test.algorithm = outcome.NEGATIVE, outcome.NONE, "strip/1"
    test.analytes = [["SARS-CoV-2", outcome.NEGATIVE, outcome.NONE, -1_250, "ppm", 310]]
    test.trace = trace
    for name, value in fields.items():
        setattr(test, name, value)
    return bytes(results.result(test, [bytes(8), 1_060_000, 1_780_000_000_000, wire.CLOCK_HUB, 250], "1.0.0"))


TWO_ANALYTES = [
    ["Influenza A", outcome.NEGATIVE, outcome.NONE, None, None, None],
    ["Influenza B", outcome.NEGATIVE, outcome.NONE, 5_000, "ppm", None, 1],
]


@pytest.mark.parametrize(
    "written",
    [
        as_the_reader_writes(STRIP),
        as_the_reader_writes(STRIP_OF_ONE_WHITE),
        as_the_reader_writes(ONE_WELL),
        as_the_reader_writes(TWO_WELLS),
        as_the_reader_writes(STRIP, analytes=TWO_ANALYTES),
        as_the_reader_writes(None, analytes=[]),
        as_the_reader_writes(None, serial=None, operator=None, calibration=None, started=None, battery_mv=None),
    ],
    ids=["strip", "one white", "one well", "two wells", "two analytes", "no trace", "little known"],
)
def test_what_the_reader_writes_is_usual(written: bytes) -> None:
    assert usual.is_usual(written), "every such result would be walked item by item"
    assert passes_the_scan(written)


@settings(max_examples=800, deadline=None)
@given(RESULTS)
def test_a_usual_result_is_read_as_it_would_be_after_the_scan(data: bytes) -> None:
    assert passes_the_scan(data) or not usual.is_usual(data)
    short = understood(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usual, "is_usual", lambda _data: False)
        assert understood(data) == short


@settings(max_examples=1_500, deadline=None)
@given(st.data())
def test_whatever_is_changed_it_never_passes_what_the_scan_does_not(data: st.DataObject) -> None:
    changed = altered(data, data.draw(RESULTS), least=1, near=150)
    assert passes_the_scan(changed) or not usual.is_usual(changed)


USUAL = as_the_reader_writes(TWO_WELLS, analytes=TWO_ANALYTES)


def test_no_single_byte_can_be_changed_or_lost_so_that_it_passes_and_the_scan_does_not() -> None:
    passed = 0
    for at in range(len(USUAL)):
        for byte in (*range(256), None):
            changed = USUAL[:at] + (b"" if byte is None else bytes((byte,))) + USUAL[at + 1 :]
            if usual.is_usual(changed):
                passed += 1
                assert passes_the_scan(changed), f"byte {at} as {byte}"
    assert passed > len(USUAL), "a check of nothing"


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=120))
@example(b"")
def test_arbitrary_bytes_are_not_usual(junk: bytes) -> None:
    assert not usual.is_usual(junk)


def test_it_is_no_sooner_at_its_end_than_the_scan_is() -> None:
    for end in range(len(USUAL)):
        assert not usual.is_usual(USUAL[:end])
    assert not usual.is_usual(USUAL + b"\x00")
