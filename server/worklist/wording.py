"""The words, shapes and colours of outcomes and of everything else a result page says in sentences."""

from dataclasses import dataclass

from reader import outcome as outcomes
from reader import packfile, wire
from server.results.models import Recomputation, TimeBasis


@dataclass(frozen=True, slots=True)
class OutcomeWords:
    """An outcome as people see it: a word, a shape that needs no colour, the tag's colour, a caution."""

    name: str
    word: str
    shape: str
    colour: str
    caution: str


_NO_RESULT = "There is no result for this specimen. It must not be read as negative."
_OUTCOMES = {
    outcomes.POSITIVE: OutcomeWords("positive", "Positive", "plus", "red", ""),
    outcomes.NEGATIVE: OutcomeWords("negative", "Negative", "minus", "white", ""),
    outcomes.INDETERMINATE: OutcomeWords(
        "indeterminate", "Indeterminate", "question", "yellow", "This is neither a positive nor a negative result."
    ),
    outcomes.INVALID: OutcomeWords(
        "invalid",
        "Invalid",
        "cross",
        "purple",
        "There is no result for this specimen. It must not be read as negative.",
    ),
    outcomes.ERROR: OutcomeWords("error", "Error", "alert", "orange", _NO_RESULT),
}

# The bits of reader.checks, which runs under MicroPython only; a test holds the two together.
CHECKS = {
    "OLED": (1, "screen"),
    "MUX": (2, "sensor multiplexer"),
    "SPECTRAL_SAMPLE": (4, "specimen well sensor"),
    "SPECTRAL_CONTROL": (8, "control well sensor"),
    "GAUGE": (16, "battery gauge"),
    "CLOCK_CHIP": (32, "clock chip"),
    "ARRAY_DARK": (64, "strip sensor in the dark"),
    "STORAGE": (128, "storage"),
    "MEMORY": (256, "memory"),
    "THERMISTOR": (512, "thermometer"),
    "CUTOUT": (1024, "thermal cut-out"),
    "CALIBRATION": (2048, "calibration"),
    "ARRAY_LIT": (4096, "strip lamp or sensor"),
    "HEATER": (8192, "heater"),
}

_CLOCK_SOURCES = {
    wire.CLOCK_UNSET: "Its clock was not set.",
    wire.CLOCK_RTC: "Kept by the reader's own clock chip.",
    wire.CLOCK_HUB: "Last set by a hub.",
    wire.CLOCK_SERVER: "Last moved forward by the server, so it was at least this late.",
}

_TIME_BASES = {
    TimeBasis.ANCHOR: "Worked out from how long the reader had been running, against a hub's clock at a visit.",
    TimeBasis.READER_CLOCK: "Taken from the reader's own clock, because no hub visited it in the same run.",
    TimeBasis.RECEIVED: "Not known. It was before the server received the result.",
}

_QUARANTINE = {
    "malformed": "Not a sealed record",
    "wrong-algorithm": "Sealed in a way that is not used here",
    "unknown-reader": "From a reader that is not enrolled",
    "foreign-reader": "From a reader that this hub may not carry",
    "unknown-generation": "Sealed with a key that the server does not hold",
    "does-not-open": "Does not open: altered, damaged or invented",
    "nonce-mismatch": "Its number is not the one it was sealed under",
    "not-understood": "Authentic, but its content is not understood",
    "conflict": "Another authentic record holds the same number",
    "fork": "Authentic, but it does not follow the reader's chain",
}


def outcome(code: int) -> OutcomeWords:
    """The words of an outcome; `KeyError` for what is not one, so that nothing unknown is ever worded."""
    return _OUTCOMES[code]


def outcome_by_name(name: str) -> int | None:
    """The outcome's code, or None when there is no outcome of that name."""
    return next((code for code, words in _OUTCOMES.items() if words.name == name), None)


def every_outcome() -> list[OutcomeWords]:
    """Every outcome in the order of the worklist's filter."""
    return list(_OUTCOMES.values())


def reason(code: int) -> str:
    """The clinician's sentence on a reason; "" for none."""
    try:
        return outcomes.clinician_sentence(code)
    except KeyError:
        return f"The reader gave reason {code}, which this server does not know."


def assay(assay_id: str, version: int | None = None) -> str:
    """The assay's name, or its id where the server does not know it."""
    known = packfile.find(assay_id, version) or packfile.find(assay_id)
    return known.name if known else assay_id


def checks(bits: int) -> list[str]:
    """The parts that did not pass the reader's self-check; bits without a name are said by their number."""
    failed = [name for bit, name in CHECKS.values() if bits & bit]
    named = sum(bit for bit, _ in CHECKS.values())
    unnamed = bits & ~named
    failed.extend(f"check {index}" for index in range(unnamed.bit_length()) if unnamed >> index & 1)
    return failed


def clock_source(code: int) -> str:
    return _CLOCK_SOURCES.get(code, f"Set by source {code}, which this server does not know.")


def time_basis(basis: str) -> str:
    return _TIME_BASES[TimeBasis(basis)]


def quarantine(code: str) -> str:
    """What a quarantine code means, or the code itself."""
    return _QUARANTINE.get(code, code)


def recomputation(
    state: str | None, outcome_code: int | None, reason_code: int | None, said: tuple[int, int] | None = None
) -> tuple[str, bool]:
    """A sentence on the server's own analysis of the trace, and whether it must be looked at; `said` is the reader's
    own outcome and reason."""
    if state is None:
        return "The server has not analysed the trace yet.", False
    match Recomputation(state):
        case Recomputation.AGREES:
            return "The server analysed the trace too and came to the same outcome.", False
        case Recomputation.DIFFERS:
            word = outcome(outcome_code).word.lower() if outcome_code else "no outcome"
            why = f" {reason(reason_code)}" if reason_code else ""
            if outcome_code is not None and (outcome_code, reason_code) == said:
                return "The server analysed the trace too and came to the same outcome, but to another value.", True
            return f"The server analysed the trace too and came to a different outcome: {word}.{why}", True
        case Recomputation.NOT_COMPARABLE:
            return "No trace can show this outcome, so there is nothing to check it against.", False
        case Recomputation.UNKNOWN_ASSAY:
            return "The server does not know this assay, so it could not check the outcome.", True
        case Recomputation.FAILED:
            return "The server could not analyse the trace, so it could not check the outcome.", True
