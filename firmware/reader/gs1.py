"""GS1 element strings of cassettes and kits: trade item, lot, expiry and serial, from a scanner's text.

Understands what QR and DataMatrix engines send, plain or with the symbology prefix (]d2, ]Q3 …) and FNC1 sent as GS
(0x1D), and the bracketed form that people type: (01)…(17)…(10)…. Source: GS1 General Specifications, release 24,
sections 3 (application identifiers), 7.8 (processing) and 7.9 (check digit).
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


LONGEST = const(128)  # characters: four elements and their separators need 86
_GS = "\x1d"

EMPTY = const(1)
TOO_LONG = const(2)
NOT_GS1 = const(3)
BAD_CHARACTER = const(4)
BAD_LENGTH = const(5)
BAD_CHECK_DIGIT = const(6)
BAD_DATE = const(7)
REPEATED = const(8)
NO_GTIN = const(9)

_SENTENCES = {
    EMPTY: "The code is empty: scan it again.",
    TOO_LONG: "The code is too long for a cassette: scan the cassette's own code.",
    NOT_GS1: "This is not a cassette code: scan the square code on the pouch.",
    BAD_CHARACTER: "The code holds a character that it may not: scan it again.",
    BAD_LENGTH: "The code is incomplete: scan it again.",
    BAD_CHECK_DIGIT: "The product number was misread: scan it again.",
    BAD_DATE: "The expiry date in the code does not exist: use another cassette.",
    REPEATED: "The code says the same thing twice and differs: use another cassette.",
    NO_GTIN: "The code names no product: scan the square code on the pouch.",
}

# Element: (attribute, fixed length or 0, longest)
_ELEMENTS = {
    "01": ("gtin", 14, 14),
    "10": ("lot", 0, 20),
    "17": ("expiry", 6, 6),
    "21": ("serial", 0, 20),
}
# AI prefixes whose elements have a fixed length in characters, AI included (figure 7.8.5-2): they need no separator.
_FIXED = {
    "00": 20, "01": 16, "02": 16, "03": 16, "04": 18, "11": 8, "12": 8, "13": 8, "14": 8, "15": 8, "16": 8, "17": 8,
    "18": 8, "19": 8, "20": 4, "31": 10, "32": 10, "33": 10, "34": 10, "35": 10, "36": 10, "41": 16,
}  # fmt: skip
# GS1 character set 82 (figure 7.11-1).
_PUNCTUATION = "!\"%&'()*+,-./_:;<=>?"


class Gs1Error(ValueError):
    """A code that cannot be used: `code` is one of this module's constants, the text tells a person what to do."""

    def __init__(self, code: int):
        super().__init__(_SENTENCES[code])
        self.code = code
        self.sentence = _SENTENCES[code]


class Elements:
    """What a cassette's code says. gtin: 14 digits; lot, serial: text or None; expiry: (year, month, day) or None."""

    __slots__ = ("expiry", "gtin", "lot", "serial")

    def __init__(self):
        self.gtin: "str | None" = None
        self.lot: "str | None" = None
        self.expiry: "tuple[int, int, int] | None" = None
        self.serial: "str | None" = None


def parse(text: str, year: int = 2026) -> Elements:
    """The `Elements` of a scanned code; raises `Gs1Error`.

    text: str, at most LONGEST characters. year: this year, which settles the century of the expiry (GS1 7.12: 51 years
    ahead belong to the century before, 50 years back to the next). Elements of other kinds are passed over.
    """
    text = text.strip(" \r\n\t")
    if not text:
        raise Gs1Error(EMPTY)
    if len(text) > LONGEST:
        raise Gs1Error(TOO_LONG)
    if text[0] == "]" and len(text) > 3:
        text = text[3:]
    found = Elements()
    if text[0] == "(":
        _bracketed(text, found, year)
    else:
        _concatenated(text, found, year)
    if found.gtin is None:
        raise Gs1Error(NO_GTIN)
    return found


def check_digit(digits: str) -> int:
    """The GS1 check digit of a string of digits that lacks it: weights 3 and 1 from the right."""
    total = 0
    for i in range(len(digits)):
        total += int(digits[-1 - i]) * (1 if i % 2 else 3)
    return -total % 10


def _digits(text):
    for character in text:
        if not "0" <= character <= "9":
            return False
    return bool(text)


def _concatenated(text, found, year):
    at = 0
    while at < len(text):
        if text[at] == _GS:  # a leading FNC1, or one more than needed
            at += 1
            continue
        ai = text[at : at + 2]
        if len(ai) < 2 or not _digits(ai):
            raise Gs1Error(NOT_GS1)
        separator = text.find(_GS, at)
        end = len(text) if separator < 0 else separator
        if ai in _FIXED:
            if at + _FIXED[ai] > end:
                raise Gs1Error(BAD_LENGTH)
            end = at + _FIXED[ai]
        _take(ai, text[at + 2 : end], found, year)
        at = end


def _bracketed(text, found, year):
    at = 0
    while at < len(text):
        close = text.find(")", at)
        if text[at] != "(" or not 3 <= close - at <= 5 or not _digits(text[at + 1 : close]):
            raise Gs1Error(NOT_GS1)
        end = _next_bracket(text, close + 1)
        _take(text[at + 1 : close], text[close + 1 : end].rstrip(" " + _GS), found, year)
        at = end


def _next_bracket(text, at):
    """Where the next "(digits)" begins: a lot may itself hold brackets, but not around two to four digits alone."""
    while True:
        at = text.find("(", at)
        if at < 0:
            return len(text)
        close = text.find(")", at)
        if 3 <= close - at <= 5 and _digits(text[at + 1 : close]):
            return at
        at += 1


def _take(ai, value, found, year):
    if ai not in _ELEMENTS:
        return
    name, fixed, longest = _ELEMENTS[ai]
    if not value or len(value) > longest or (fixed and len(value) != fixed):
        raise Gs1Error(BAD_LENGTH)
    for character in value:
        letter = "0" <= character <= "9" or "A" <= character <= "Z" or "a" <= character <= "z"
        if not letter and character not in _PUNCTUATION:
            raise Gs1Error(BAD_CHARACTER)
    if fixed and not _digits(value):
        raise Gs1Error(BAD_CHARACTER)
    if ai == "01" and check_digit(value[:13]) != int(value[13]):
        raise Gs1Error(BAD_CHECK_DIGIT)
    if ai == "17":
        value = _date(value, year)
    if getattr(found, name) not in (None, value):
        raise Gs1Error(REPEATED)
    setattr(found, name, value)


def _date(value, this_year):
    """(year, month, day) of YYMMDD; day 00 is the last of the month (GS1 3.4.7)."""
    year = this_year - this_year % 100 + int(value[0:2])
    if year - this_year >= 51:
        year -= 100
    elif year - this_year <= -50:
        year += 100
    month, day = int(value[2:4]), int(value[4:6])
    if not 1 <= month <= 12:
        raise Gs1Error(BAD_DATE)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = 28 + leap if month == 2 else (30 if month in (4, 6, 9, 11) else 31)
    if day > last:
        raise Gs1Error(BAD_DATE)
    return year, month, day or last
