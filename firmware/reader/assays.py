"""An assay as data: what a cassette or tube is, how it is run, and how its trace is judged, decoded from its pack.

A *pack* is one CBOR map, at most 1,500 bytes (docs/protocol.md section 3.1): the key of a field is its place in
`FIELDS`, counted from 1, and the decoded assay has every field as an attribute of that name. Packs are checked by
`reader.packrules` before they are kept and written by people as `reader.packfile` says; `decode` trusts what was
checked. A pack is never changed under the same version, and every record names its assay by id and version.

Every assay:
    id, version, name    identity; `short` is the name for the reader's screen, at most 14 characters of ASCII
    kind                 STRIP or AMPLIFICATION
    illustrative         the values are made up and not for clinical use
    gtins                trade item numbers of its cassettes or tubes, text of 14 digits
    analytes             short names: one a test line, or the one target of an amplification
    ambient_low_cc, ambient_high_cc  where a test may begin and a strip incubate, hundredths of a degree Celsius
    qc_hours, qc_tests   quality control is due after so many hours, or patients' tests, since it last passed; 0: never
    qc_lot_change, qc_after_fault    and at a lot that has not passed yet, and after a fault; both booleans
    qc_levels            names of the control levels that must all pass
    controls             [[gtin, level, expected], …] of control material; `expected` has one item an analyte: an
                         outcome (1 positive, 2 negative) or, for a quantitative assay, [lowest, highest] in thousandths

A strip. The window is 16 mm of membrane imaged on 128 pixels, so a pixel sees 125 um; positions are micrometres from
the window's first edge, the sample end. Signals are darkening in parts per million of the white of the same place: 0
is the bare membrane, 1000000 is black.
    test_um              position of each test line, one to four, same order as `analytes`
    control_um           position of the control line
    line_um              width of a line at half its height
    search_um            how far from its position the control line may lie (seating of the cassette)
    grey_ppm             per analyte; signal below it: no line
    positive_ppm         per analyte; signal from it on: a line; between the two: the grey zone
    control_ppm, control_faint_ppm  below the first: no control line; below the second: a faint one
    hook_ppm             control signal under which a test line beyond `hook_test_ppm` is a high-dose hook; 0: never
    incubation_s         from sample to read; `earliest_s` and `latest_s` bound the read window, from sample too
A quantitative strip has one analyte and these as well; for any other, `unit` is None and there are no calibrations:
    unit                 UCUM, such as "mg/L"
    low_milli, high_milli            the reportable range, thousandths of the unit
    grey_milli, decision_milli       positive from the second on, indeterminate from the first on, else negative;
                                     `positive_ppm` then only says from where a line counts as seen
    calibrations         [[lot, a_ppm, b_milli, c_milli, d_ppm], …]: 4-parameter logistic of a lot. At concentration x
                         the signal is d + (a - d) / (1 + (x / c) ** b); a and d in parts per million, b in thousandths,
                         c in thousandths of the unit. Whole numbers below 2 ** 24, which 32-bit floats hold exactly

An isothermal amplification in two wells: 0 the specimen, 1 the internal control.
    target_cc            reaction temperature in hundredths of a degree Celsius; may wander by `tolerance_cc`
    excursion_s          how long it may be outside that in all, once warm
    warm_up_s            from start until the temperature must hold
    duration_s, sample_s length of the run and time between samples
    latest_positive_s    a rise that begins later is not told from a non-specific product
"""

from reader import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


STRIP = const(1)
AMPLIFICATION = const(2)

PIXELS = const(128)
PIXEL_UM = const(125)

PACK_MAX = const(1500)

# The key of a field is its place here, for ever: a new field goes to the end. This is their one home, and not
# `reader.wire`, because nobody but who judges a test needs them, and the reader holds `wire` in memory all the time.
FIELDS = (
    "kind id version name short illustrative gtins analytes ambient_low_cc ambient_high_cc "
    "qc_hours qc_tests qc_lot_change qc_after_fault qc_levels controls "
    "test_um control_um line_um search_um grey_ppm positive_ppm control_ppm control_faint_ppm hook_ppm hook_test_ppm "
    "incubation_s earliest_s latest_s unit low_milli high_milli grey_milli decision_milli calibrations "
    "target_cc tolerance_cc excursion_s warm_up_s duration_s sample_s latest_positive_s"
)


class PackError(ValueError):
    """These bytes are no pack that may be used; `field` is one of `FIELDS`, or "pack" for the whole, `why` a phrase."""

    def __init__(self, field: str, why: str):
        super().__init__(field + ": " + why)
        self.field = field
        self.why = why


class Assay:
    """What every assay has; see the module's docstring for each attribute."""

    kind: int
    id: str
    version: int
    name: str
    short: str
    illustrative: bool
    gtins: "list[str]"
    analytes: "list[str]"
    ambient_low_cc: int
    ambient_high_cc: int
    qc_hours: int
    qc_tests: int
    qc_lot_change: bool
    qc_after_fault: bool
    qc_levels: "list[str]"
    controls: "list[list[Any]]"

    def __init__(self, pack: "dict[int, Any]"):
        for key, name in enumerate(FIELDS.split(), 1):
            if key in pack:
                setattr(self, name, pack[key])

    def control(self, gtin: str) -> "list[Any] | None":
        """[gtin, level, expected] of the control material of that GTIN, or None when it is none of this assay's."""
        for material in self.controls:
            if material[0] == gtin:
                return material
        return None


class StripAssay(Assay):
    """A lateral-flow cassette."""

    test_um: "list[int]"
    control_um: int
    line_um: int
    search_um: int
    grey_ppm: "list[int]"
    positive_ppm: "list[int]"
    control_ppm: int
    control_faint_ppm: int
    hook_ppm: int
    hook_test_ppm: int
    incubation_s: int
    earliest_s: int
    latest_s: int
    low_milli: int
    high_milli: int
    grey_milli: int
    decision_milli: int
    unit: "str | None" = None
    calibrations: "tuple[()] | list[list[Any]]" = ()

    def calibration(self, lot: "str | None") -> "tuple[int, int, int, int] | None":
        """(a_ppm, b_milli, c_milli, d_ppm) of a lot, or None when the pack has none for it."""
        for kept in self.calibrations:
            if kept[0] == lot:
                return kept[1], kept[2], kept[3], kept[4]
        return None


class AmplificationAssay(Assay):
    """An isothermal amplification in two wells."""

    target_cc: int
    tolerance_cc: int
    excursion_s: int
    warm_up_s: int
    duration_s: int
    sample_s: int
    latest_positive_s: int
    unit: "str | None" = None


def decode(pack: bytes) -> "StripAssay | AmplificationAssay":
    """The assay of a pack that `reader.packrules` has checked. PackError: these bytes are no pack at all."""
    try:
        fields: "Any" = cbor.decode(pack, False, PACK_MAX)
    except cbor.CborError as error:
        raise PackError("pack", "not the protocol's CBOR: " + error.code) from error
    if not isinstance(fields, dict):
        raise PackError("pack", "not a map")
    kind = fields.get(1)
    if kind == STRIP:
        return StripAssay(fields)
    if kind == AMPLIFICATION:
        return AmplificationAssay(fields)
    raise PackError("kind", "not 1 or 2")
