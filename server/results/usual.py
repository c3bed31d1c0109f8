"""Tells at a glance a result that is as readers write it, to the byte, so that it need not be walked item by item.

`server.custody.cbor.scan` walks some 75 items of a result in Python, which took a third of all that is done to one.
Here the same is asked of a few patterns: what they take is the protocol's deterministic CBOR (docs/protocol.md section
1) within its limits. What they do not take may be so all the same, and is walked.
"""

import re
from typing import Final

from reader import wire


def _number(first: bytes, signs: tuple[int, ...] = (0x00,)) -> bytes:
    """A pattern of numbers in their shortest form: those of one byte, and the heads of longer ones by their signs."""
    one, two, four, eight = (
        b"[%s]" % b"".join(b"\\x%02x" % (sign + width) for sign in signs) for width in (0x18, 0x19, 0x1A, 0x1B)
    )
    return rb"(?:[%s]|%s[\x18-\xff]|%s(?!\x00)..|%s(?!\x00\x00)....|%s(?!\x00\x00\x00\x00)........)" % (
        first, one, two, four, eight,
    )  # fmt: skip


_UINT: Final = _number(rb"\x00-\x17")
_MAYBE_UINT: Final = _number(rb"\x00-\x17\xf6")
_MAYBE_INT: Final = _number(rb"\x00-\x17\x20-\x37\xf6", (0x00, 0x20))
# Longer texts are not usual.
_TEXT: Final = rb"(?:%s)" % b"|".join(b"\\x%02x.{%d}" % (0x60 + length, length) for length in range(24))
_MAYBE_TEXT: Final = rb"(?:\xf6|%s)" % _TEXT
# The head of a byte string: its content is passed over by its length, which no pattern can do.
_HEAD: Final = rb"([\x40-\x57]|\x58[\x18-\xff]|\x59(?!\x00)..)"
_MOMENT: Final = rb"\x85\x48.{8}" + _UINT + _MAYBE_UINT + _UINT + _MAYBE_UINT
_MEASURED: Final = _TEXT + _UINT + _UINT + _MAYBE_INT + _MAYBE_TEXT + _MAYBE_UINT
_ANALYTE: Final = rb"(?:\x86%s|\x87%s%s)" % (_MEASURED, _MEASURED, _UINT)
_ANALYTES: Final = rb"(?:\x80|\x81%s|\x82%s{2})" % (_ANALYTE, _ANALYTE)


def _members(*members: tuple[int, bytes]) -> bytes:
    """A pattern of members of a map, whose names are below 24 and ascend."""
    names = [name for name, _ in members]
    assert names == sorted(set(names))
    assert names[-1] < 24
    return b"".join(b"\\x%02x%s" % member for member in members)


def _compiled(*patterns: bytes) -> re.Pattern[bytes]:
    return re.compile(b"".join(patterns), re.DOTALL)


_BEFORE_TRACE: Final = _compiled(
    rb"\xa4",
    _members(
        (wire.REC_KIND, b"\\x%02x" % wire.KIND_RESULT),
        (wire.REC_TIME, _MOMENT),
        (wire.REC_FIRMWARE, _TEXT),
        (wire.REC_BODY, rb"\xb2"),
    ),
    _members(
        (wire.RES_SPECIMEN, _TEXT),
        (wire.RES_ASSAY, _TEXT),
        (wire.RES_ASSAY_VERSION, _UINT),
        (wire.RES_LOT, _MAYBE_TEXT),
        (wire.RES_SERIAL, _MAYBE_TEXT),
        (wire.RES_OPERATOR, _MAYBE_TEXT),
        (wire.RES_OUTCOME, _UINT),
        (wire.RES_REASON, _UINT),
        (wire.RES_ALGORITHM, _TEXT),
        (wire.RES_ANALYTES, _ANALYTES),
        (wire.RES_TRACE, b""),
    ),
)
_AFTER_TRACE: Final = _compiled(
    _members(
        (wire.RES_TIMES, rb"\x83%s{3}" % _MAYBE_UINT),
        (wire.RES_TEMPERATURES, rb"\x83%s{3}" % _MAYBE_INT),
        (wire.RES_BATTERY_MV, _MAYBE_UINT),
        (wire.RES_CHECKS, _UINT),
        (wire.RES_GTIN, _MAYBE_TEXT),
        (wire.RES_EXPIRY, _MAYBE_TEXT),
        (wire.RES_CALIBRATION, _MAYBE_TEXT),
    )
)


def _measured(kind: int, samples: bytes) -> bytes:
    return rb"\xa6" + _members(
        (wire.TRACE_KIND, b"\\x%02x" % kind),
        (wire.TRACE_STEP, _UINT),
        (wire.TRACE_COUNT, _UINT),
        (wire.TRACE_SAMPLES, samples),
    )


_HEAD_OR_UINT: Final = rb"(?:%s|%s)" % (_HEAD, _UINT)
_CURVE_REST: Final = (
    _compiled(_members((wire.TRACE_TEMPERATURES, _HEAD))),
    _compiled(_members((wire.TRACE_START, _UINT)), b"()"),
)
# Each kind of trace in its steps, one for each byte string in it.
_TRACES: Final = (
    (
        _compiled(_measured(wire.TRACE_STRIP, _HEAD)),
        _compiled(_members((wire.TRACE_WHITE, _HEAD_OR_UINT))),
        _compiled(_members((wire.TRACE_DARK, _HEAD_OR_UINT))),
    ),
    (_compiled(_measured(wire.TRACE_CURVE, rb"\x82" + _HEAD)), _compiled(_HEAD), *_CURVE_REST),
    (_compiled(_measured(wire.TRACE_CURVE, rb"\x81" + _HEAD)), *_CURVE_REST),
    (_compiled(rb"\xf6()"),),
)


def is_usual(plaintext: bytes) -> bool:
    """True only for what `cbor.scan` would pass as one item that fills `plaintext`; a text in it may not be UTF-8."""
    found = _BEFORE_TRACE.match(plaintext)
    if found is None:
        return False
    for steps in _TRACES:
        at = _passed(plaintext, found.end(), steps)
        if at is not None:
            return _AFTER_TRACE.fullmatch(plaintext, at) is not None
    return False


def _passed(plaintext: bytes, at: int, steps: tuple[re.Pattern[bytes], ...]) -> int | None:
    """Where that trace ends; None where there is another. It may be beyond the end, where no pattern matches."""
    for step in steps:
        found = step.match(plaintext, at)
        if found is None:
            return None
        at = found.end()
        if head := found.group(1):
            at += head[0] - 0x40 if len(head) == 1 else int.from_bytes(head[1:], "big")
    return at
