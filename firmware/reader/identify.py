"""What a scanned code is, and whether what it names may be used now: every refusal of a code is decided here, at once.

A refusal is a key of the texts, and leaves what was scanned before as it was.
"""

from micropython import const

from reader import cassettes, checks, lists, memory, packs, power, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPECIMEN_MIN = const(4)
_SPECIMEN_MAX = const(32)
_OPERATOR_MIN = const(4)
_OPERATOR_MAX = const(16)

CASSETTE = const(1)
OPERATOR = const(2)
SPECIMEN = const(3)

_STRIP = const(1)  # reader.assays.STRIP
_DAY_MS = const(86400000)
_HOT_CC = const(4500)  # no room is as hot: the block of the run before is, and a reaction would start by itself


def kind_of(code):
    """CASSETTE, OPERATOR or SPECIMEN for a scanned code, or None for what is none of them.

    A cassette's code is a GS1 element string: with a symbology prefix (]d2 …), bracketed, with a GS in it, or
    beginning with 01 and 14 digits. An operator's badge is OP followed by 2 to 14 capital letters and digits. Any
    other 4 to 32 printable characters are a specimen's.
    """
    if code[:1] == "]" or code[:4] == "(01)" or "\x1d" in code:
        return CASSETTE
    if code[:2] == "01" and len(code) >= 16 and code[2:16].isdigit():
        return CASSETTE
    if code[:2] == "OP" and _OPERATOR_MIN <= len(code) <= _OPERATOR_MAX and _capitals_and_digits(code[2:]):
        return OPERATOR
    return SPECIMEN if _SPECIMEN_MIN <= len(code) <= _SPECIMEN_MAX else None


def _capitals_and_digits(text):
    return all("A" <= character <= "Z" or "0" <= character <= "9" for character in text)


def take(app, test, code):
    """Put a scanned code where it belongs in `test`; a key of the texts that says why not, or None. OSError: the flash
    cannot tell."""
    kind = kind_of(code)
    try:
        if kind == CASSETTE:
            return _take_element_string(app, test, code)
        if kind == OPERATOR:
            return _take_operator(app, test, code)
        if kind == SPECIMEN:
            return _take_specimen(app, test, code)
    except packs.PackDamaged:
        return "pack bad"
    except lists.ListDamaged:
        return "list bad"
    return "no code"


def _take_operator(app, test, code):
    wall_ms = app.wall_ms()
    refused = lists.refused_badge(settings.ROOT, code, None if wall_ms is None else wall_ms // _DAY_MS)
    if refused is None:
        test.operator = code
    return refused


def _take_specimen(app, test, code):
    if test.assay is not None:
        refused = _quality(app, test.assay, test.lot)
        if refused:
            return refused
    test.take_specimen(code)
    return None


def _take_element_string(app, test, code):
    """A cassette, or control material in the place of a specimen: both have a GS1 code."""
    from reader import gs1

    today = app.clock.date()
    try:
        found = gs1.parse(code, today[0] if today else 2026)
    except gs1.Gs1Error:
        return "not clear"
    finally:
        del gs1
        memory.forget("gs1")
    gtin = found.gtin or ""
    assay: "Any" = packs.by_gtin(gtin)
    of_control: "Any" = None if assay else packs.by_control(gtin)
    if assay is None and of_control is None:
        return "unknown"
    if found.expiry is None:
        return "no expiry"
    if today is None:
        return "clock unset"
    if today > found.expiry:
        return "expired"
    if lists.recalled(settings.ROOT, gtin, found.lot):
        return "recalled"
    if assay is None:
        if test.assay is not None and test.assay.id != of_control.id:
            return "wrong control"
        test.take_control(of_control, of_control.control(gtin), found.lot)
        return None
    return _refused_cassette(app, test, assay, found) or _take_cassette(test, assay, found)


def _refused_cassette(app, test, assay, found):
    if test.control is not None and test.control_of != assay.id:
        return "wrong control"
    if assay.unit is not None and assay.calibration(found.lot) is None:
        return "no calibration"
    if found.serial is not None and cassettes.used(
        settings.ROOT, cassettes.key(found.gtin, found.lot or "", found.serial)
    ):
        return "used"
    refused = instrument(app, assay)
    if refused is None and test.control is None:
        refused = _quality(app, assay, found.lot)
    return refused


def _take_cassette(test, assay, found):
    test.take_assay(assay)
    test.gtin, test.lot, test.serial = found.gtin, found.lot, found.serial
    test.expiry = "%02d%02d%02d" % (found.expiry[0] % 100, found.expiry[1], found.expiry[2])


def badge_needed():
    """Whether a test needs an operator's badge: once a list of operators was received."""
    return lists.badge_needed(settings.ROOT)


def refused_start(app, test):
    """The key of why the test may not start after all, or None: hours may have passed since its codes were scanned."""
    try:
        if badge_needed():
            wall_ms = app.wall_ms()
            today = None if wall_ms is None else wall_ms // _DAY_MS
            refused = lists.refused_badge(settings.ROOT, test.operator or "", today)
            if refused:
                return refused
        if lists.recalled(settings.ROOT, test.gtin, test.lot):
            return "recalled"
    except lists.ListDamaged:
        return "list bad"
    if test.control is None:
        refused = _quality(app, test.assay, test.lot)
        if refused:
            return refused
    return instrument(app, test.assay)


def begin(test):
    """What must be on flash before the test goes on, after its note: the cassette is used, and quality control knows
    of it. Done anew for a test whose power went (`lost`), so that a cut between the two loses neither. OSError."""
    from reader import quality

    _mark(test)
    quality.Quality(settings.ROOT).begin(test)


def lost(test):
    """What `begin` may not have come to, of a test that outlived its note; before its record. OSError."""
    from reader import quality

    _mark(test)
    quality.Quality(settings.ROOT).lost(test)


def _mark(test):
    if test.serial is not None:
        key = cassettes.key(test.gtin, test.lot or "", test.serial)
        cassettes.mark(settings.ROOT, key)


def instrument(app, assay):
    """The key of why this reader cannot run that assay now, or None: its parts, its battery, the temperature.

    Asked at the scan and again at the start, for a person may take an hour between the two.
    """
    strip = assay.kind == _STRIP
    if strip:
        bad = checks.strip(app.parts) if app.parts.buttons.lid_closed else app.check_bits & checks.FOR_STRIP
    else:
        bad = checks.amplification(app.parts) | app.check_bits & checks.HEATER
    app.check_again(checks.FOR_STRIP if strip else checks.FOR_AMPLIFICATION, bad)
    if bad:
        return "light in" if bad == checks.ARRAY_DARK else "sensor bad"
    app.measure_battery()
    if app.parts.battery.percent < (power.NEEDED_STRIP if strip else power.NEEDED_AMPLIFICATION):
        return "battery low"
    cc = app.temperature()
    if cc is None:
        return "sensor bad"
    if cc > _HOT_CC:
        return "heater hot"
    if cc < assay.ambient_low_cc:
        return "too cold"
    if cc <= assay.ambient_high_cc:
        return None
    # The block of a run before is warmer than the room and cools by itself: no shade would help.
    return "heater hot" if app.parts.heater.cooling else "too hot"


def _quality(app, assay, lot):
    from reader import quality

    try:
        kept = quality.Quality(settings.ROOT)
        now_ms = app.wall_ms()
        if now_ms is not None:
            kept.clock_known(now_ms)
        return kept.due(assay, lot, now_ms)
    finally:
        del quality
        memory.forget("quality")
