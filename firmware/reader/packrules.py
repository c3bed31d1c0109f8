"""Says whether an assay pack may be used: every field's form and bounds, then how the fields must stand to each other.

`check(pack)` is asked before a pack is compiled, loaded into the server's catalogue or kept by a reader, by the same
code in all three places. What it passes, `reader.assays` decodes without further doubt.
"""

from reader import assays, cbor
from reader.assays import PackError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from reader.assays import AmplificationAssay, Assay, StripAssay

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


_GTINS_MAX = const(8)
_CONTROLS_MAX = const(6)
_LEVELS_MAX = const(3)
_LOTS_MAX = const(16)
_GTIN = const(14)
_LOT_MAX = const(20)  # GS1 General Specifications, AI 10
_MILLI_MAX = const(16777215)  # below 2 ** 24: exact in the reader's 32-bit floats
_PPM = const(1000000)

# A field a line: name, form, least, most. Forms: i a whole number; b a boolean; t ASCII text of so many characters;
# n a list of whole numbers, one an analyte; T a list of different texts, each at most so long. What has a form of its
# own (gtins, controls, calibrations) is further down.
_COMMON = """
version i 1 65535
name t 1 40
short t 1 14
illustrative b
analytes T 4 24
ambient_low_cc i 0 4500
ambient_high_cc i 0 4500
qc_hours i 0 17520
qc_tests i 0 100000
qc_lot_change b
qc_after_fault b
qc_levels T 3 16
"""
_STRIP = """
test_um n 0 16000
control_um i 0 16000
line_um i 250 2000
search_um i 0 2000
grey_ppm n 1000 900000
positive_ppm n 1000 900000
control_ppm i 1000 900000
control_faint_ppm i 1000 900000
hook_ppm i 0 900000
hook_test_ppm i 0 1000000
incubation_s i 10 7200
earliest_s i 10 7200
latest_s i 10 14400
"""
_QUANTITY = """
unit t 1 16
low_milli i 0 16777215
high_milli i 1 16777215
grey_milli i 0 16777215
decision_milli i 1 16777215
"""
_AMPLIFICATION = """
target_cc i 3000 7500
tolerance_cc i 10 300
excursion_s i 0 600
warm_up_s i 30 1200
duration_s i 60 7200
sample_s i 5 60
latest_positive_s i 30 7200
"""


def check(pack: bytes) -> "StripAssay | AmplificationAssay":
    """The assay of a pack. PackError names the field that may not stand."""
    if len(pack) > assays.PACK_MAX:
        raise PackError("pack", "longer than %d bytes" % assays.PACK_MAX)
    assay = assays.decode(pack)
    strip = assay.kind == assays.STRIP
    quantity = assay.unit is not None
    table = _COMMON + (_STRIP if strip else _AMPLIFICATION) + (_QUANTITY if quantity else "")
    _identity(assay)
    known = 4  # kind, id, gtins and controls
    for line in table.split("\n"):
        if line:
            _field(assay, line.split())
            known += 1
    if isinstance(assay, assays.StripAssay) and quantity:
        _calibrations(assay)
        known += 1
    fields: "Any" = cbor.decode(pack)
    if len(fields) != known:
        raise PackError("pack", "a field that its kind does not have")
    _common(assay)
    if isinstance(assay, assays.StripAssay):
        _strip(assay, quantity)
    else:
        _amplification(assay)
    _controls(assay, quantity)
    return assay


def _value(assay, name):
    value = getattr(assay, name, None)
    if value is None:
        raise PackError(name, "missing")
    return value


def _whole(name, value, least, most):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise PackError(name, "not a whole number from %d to %d" % (least, most))


def _text(name, value, most):
    good = isinstance(value, str) and 1 <= len(value) <= most and value.strip() == value
    if not good or not all(" " <= character <= "~" for character in value):
        raise PackError(name, "not ASCII text of 1 to %d characters" % most)


def _list(name, value, least, most):
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise PackError(name, "not a list of %d to %d" % (least, most))


def _field(assay, row):
    name, form = row[0], row[1]
    value = _value(assay, name)
    if form == "b":
        if not isinstance(value, bool):
            raise PackError(name, "not true or false")
        return
    least, most = int(row[2]), int(row[3])
    if form == "i":
        _whole(name, value, least, most)
    elif form == "t":
        _text(name, value, most)
    elif form == "n":
        _list(name, value, len(assay.analytes), len(assay.analytes))
        for one in value:
            _whole(name, one, least, most)
    else:
        _list(name, value, 0 if name == "qc_levels" else 1, least)
        for one in value:
            _text(name, one, most)
            if value.count(one) > 1:
                raise PackError(name, "the same twice")


def _identity(assay: "Assay"):
    _whole("kind", assay.kind, assays.STRIP, assays.AMPLIFICATION)
    name = _value(assay, "id")
    _text("id", name, 20)
    if not all("a" <= c <= "z" or "0" <= c <= "9" or c == "-" for c in name) or name[0] == "-":
        raise PackError("id", "not small letters, digits and hyphens")
    gtins = _value(assay, "gtins")
    _value(assay, "controls")
    _list("gtins", gtins, 1, _GTINS_MAX)
    for gtin in gtins:
        _trade_item("gtins", gtin)
        if gtins.count(gtin) > 1:
            raise PackError("gtins", "the same twice")


def _trade_item(name, gtin):
    """GS1 General Specifications section 7.9: weights 3 and 1 in turn, all digits together divisible by ten."""
    if not isinstance(gtin, str) or len(gtin) != _GTIN or not all("0" <= c <= "9" for c in gtin):
        raise PackError(name, "a GTIN is 14 digits")
    total = 0
    for i in range(_GTIN):
        total += int(gtin[i]) * (1 if i & 1 else 3)
    if total % 10:
        raise PackError(name, "a GTIN's check digit is wrong")


def _demand(good, name, why):
    if not good:
        raise PackError(name, why)


def _common(assay: "Assay"):
    _demand(assay.ambient_low_cc < assay.ambient_high_cc, "ambient_high_cc", "not above ambient_low_cc")
    due = assay.qc_hours or assay.qc_tests or assay.qc_lot_change or assay.qc_after_fault
    _demand(not due or assay.qc_levels, "qc_levels", "quality control is due and no level is named")


def _strip(assay: "StripAssay", quantity):
    edge = assay.search_um + assay.line_um
    places = sorted(list(assay.test_um) + [assay.control_um])
    last = assays.PIXELS * assays.PIXEL_UM - edge
    _demand(edge <= places[0] and places[-1] <= last, "test_um", "a line may lie beyond the window")
    for i in range(1, len(places)):
        _demand(places[i] - places[i - 1] >= 2 * assay.line_um, "test_um", "lines closer than two widths")
    for i in range(len(assay.analytes)):
        _demand(assay.grey_ppm[i] < assay.positive_ppm[i], "grey_ppm", "not below positive_ppm")
    _demand(assay.control_ppm < assay.control_faint_ppm, "control_ppm", "not below control_faint_ppm")
    if assay.hook_ppm:
        _demand(assay.control_faint_ppm <= assay.hook_ppm, "hook_ppm", "below control_faint_ppm")
        _demand(max(assay.positive_ppm) < assay.hook_test_ppm, "hook_test_ppm", "not above positive_ppm")
    _demand(assay.earliest_s <= assay.incubation_s, "earliest_s", "after incubation_s")
    _demand(assay.incubation_s < assay.latest_s, "latest_s", "not after incubation_s")
    if quantity:
        _demand(len(assay.analytes) == 1, "unit", "a quantitative assay has one analyte")
        _demand(assay.low_milli < assay.high_milli, "high_milli", "not above low_milli")
        _demand(assay.low_milli <= assay.grey_milli, "grey_milli", "below low_milli")
        _demand(assay.grey_milli < assay.decision_milli, "grey_milli", "not below decision_milli")
        _demand(assay.decision_milli <= assay.high_milli, "decision_milli", "above high_milli")


def _calibrations(assay: "StripAssay"):
    lots = []
    _list("calibrations", assay.calibrations, 1, _LOTS_MAX)
    for one in assay.calibrations:
        _list("calibrations", one, 5, 5)
        lot, a, b, c, d = one
        _text("calibrations", lot, _LOT_MAX)
        _demand(lot not in lots, "calibrations", "a lot twice")
        lots.append(lot)
        _whole("calibrations", a, 0, _PPM)
        _whole("calibrations", b, 100, 10000)
        _whole("calibrations", c, 1, _MILLI_MAX)
        _whole("calibrations", d, 1, _PPM)
        _demand(a < d, "calibrations", "a is not below d")


def _amplification(assay: "AmplificationAssay"):
    _demand(len(assay.analytes) == 1, "analytes", "one well of specimen has one target")
    _demand(assay.ambient_high_cc < assay.target_cc, "target_cc", "not above ambient_high_cc")
    _demand(assay.warm_up_s < assay.latest_positive_s, "latest_positive_s", "not after warm_up_s")
    _demand(assay.latest_positive_s <= assay.duration_s, "latest_positive_s", "after duration_s")
    # The record's trace holds at most 1,024 samples; fewer than ten make no curve.
    _demand(10 <= assay.duration_s // assay.sample_s <= 1000, "sample_s", "not 10 to 1000 samples in duration_s")


def _controls(assay: "Assay", quantity):
    materials = _value(assay, "controls")
    _list("controls", materials, 0, _CONTROLS_MAX)
    seen, levels = list(assay.gtins), []
    for one in materials:
        _list("controls", one, 3, 3)
        gtin, level, expected = one
        _trade_item("controls", gtin)
        _demand(gtin not in seen, "controls", "a GTIN twice, or a cassette's")
        seen.append(gtin)
        _text("controls", level, 16)
        levels.append(level)
        _list("controls", expected, len(assay.analytes), len(assay.analytes))
        for value in expected:
            _expected(value, quantity)
    for level in assay.qc_levels:
        _demand(level in levels, "qc_levels", "no control material of a level")


def _expected(value, quantity):
    if not quantity:
        _whole("controls", value, 1, 2)
        return
    _list("controls", value, 2, 2)
    for limit in value:
        _whole("controls", limit, 0, _MILLI_MAX)
    _demand(value[0] < value[1], "controls", "a range upside down")
