"""One test of each kind as a reader records it: the trace is made here, the reader's own analysis says the outcome."""

import math
from typing import Any

from reader import amplification, outcome, packfile, strip, wire
from tests.server import factory

STRIP = packfile.strip_assay("sars2-ag")
LAMP = packfile.amplification_assay("sars2-lamp")
WHITE, DARK = 40_000, 400
STEP_MS = 10_000


def strip_body(reader: factory.Reader, specimen: str, *, test: int, control: int = 12_000) -> dict[int, Any]:
    """A strip whose lines are `test` and `control` counts deep."""
    samples = factory.strip_samples(control=control, test=test, white=WHITE)
    reading = strip.analyse(samples, WHITE, DARK, STRIP)
    analytes = [[line.name, line.outcome, line.reason, line.signal_ppm * 1000, "ppm", None] for line in reading.lines]
    if reading.outcome in (outcome.INVALID, outcome.ERROR):
        analytes = []
    return factory.result(
        specimen=specimen,
        outcome_code=reading.outcome,
        reason=reading.reason,
        analytes=analytes,
        trace=factory.strip_trace(samples),
        moment=reader.moment(),
    )


def curve(rises_at_min: float | None, height: int, count: int = 270) -> list[int]:
    """A well: baseline of 1,200 counts with a start transient and a fixed ripple, and a rise at that minute or none."""
    counts: list[int] = []
    for index in range(count):
        minutes = (index + 1) * STEP_MS / 60_000
        rise = 0.0 if rises_at_min is None else height / (1 + math.exp(-(minutes - rises_at_min) / 0.9))
        counts.append(int(1_200 + rise + 250 * math.exp(-index / 6) + (index * 7919 % 13)))
    return counts


def curve_body(
    reader: factory.Reader, specimen: str, *, sample_min: float | None, control_min: float | None
) -> dict[int, Any]:
    """An amplification whose wells rise at those minutes or not at all."""
    wells = [curve(sample_min, 6_000), curve(control_min, 4_000)]
    times = [(index + 1) * STEP_MS for index in range(len(wells[0]))]
    readings = [amplification.analyse(times, well) for well in wells]
    whole = amplification.assess(readings[0], readings[1], LAMP.latest_positive_s * 1000)
    value = None if whole.ttp_ms is None else whole.ttp_ms // 60
    trace = {
        wire.TRACE_KIND: wire.TRACE_CURVE,
        wire.TRACE_STEP: STEP_MS,
        wire.TRACE_COUNT: len(times),
        wire.TRACE_SAMPLES: [factory.delta(well) for well in wells],
        wire.TRACE_TEMPERATURES: factory.delta([6_500 + index % 5 for index in range(len(times))]),
        wire.TRACE_START: STEP_MS,
    }
    return factory.result(
        specimen=specimen,
        assay="sars2-lamp",
        outcome_code=whole.outcome,
        reason=whole.reason,
        analytes=[["SARS-CoV-2", whole.outcome, whole.reason, value, "min", None]],
        trace=trace,
        moment=reader.moment(),
        changes={wire.RES_ALGORITHM: "amplification/1"},
    )


def lost_body(reader: factory.Reader, specimen: str) -> dict[int, Any]:
    """A test that a power cut ended: no trace, no times but its start, no analyte."""
    return factory.result(
        specimen=specimen,
        outcome_code=outcome.ERROR,
        reason=outcome.POWER_LOST,
        analytes=[],
        moment=reader.moment(),
        times=[None, None, None],
        temperatures=[2_310, None, None],
        changes={wire.RES_TRACE: None, wire.RES_ALGORITHM: "none"},
    )


def one_of_each(reader: factory.Reader) -> dict[str, dict[int, Any]]:
    """Specimen code to body, one of every kind, in the order in which they were tested."""
    made = {
        "NEG-1": lambda name: strip_body(reader, name, test=0),
        "POS-1": lambda name: strip_body(reader, name, test=6_000),
        "GREY-1": lambda name: strip_body(reader, name, test=430),
        "NOCTRL-1": lambda name: strip_body(reader, name, test=0, control=0),
        "LOST-1": lambda name: lost_body(reader, name),
        "AMP-POS-1": lambda name: curve_body(reader, name, sample_min=14, control_min=24),
        "AMP-NEG-1": lambda name: curve_body(reader, name, sample_min=None, control_min=24),
        "AMP-INV-1": lambda name: curve_body(reader, name, sample_min=None, control_min=None),
    }
    return {name: make(name) for name, make in made.items()}
