"""GS1 element strings as scanners and people give them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader import gs1

GTIN = "02000000000015"
GS = "\x1d"
CHARACTERS = string.ascii_letters + string.digits + "!\"%&'()*+,-./_:;<=>?"
LOTS = st.text(CHARACTERS, min_size=1, max_size=20)


@pytest.mark.parametrize(
    "text",
    [
        f"01{GTIN}1727123110LOT7{GS}21SER9",
        f"]d2{GS}01{GTIN}21SER9{GS}10LOT7{GS}17271231",
        f"]Q301{GTIN}10LOT7{GS}1727123121SER9{GS}\r\n",
        f"(01){GTIN}(17)271231(10)LOT7(21)SER9",
        f"(17)271231 (10)LOT7 (21)SER9 (01){GTIN}",
        f"01{GTIN}11250101{GS}1727123110LOT7{GS}240EXTRA{GS}21SER9",
    ],
)
def test_the_same_elements_are_read_however_the_code_is_written(text: str):
    found = gs1.parse(text)
    assert (found.gtin, found.lot, found.expiry, found.serial) == (GTIN, "LOT7", (2027, 12, 31), "SER9")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", gs1.EMPTY),
        (" \r\n", gs1.EMPTY),
        ("01" + GTIN + "10" + "x" * 200, gs1.TOO_LONG),
        ("hello", gs1.NOT_GS1),
        ("https://example.org/01/02000000000015", gs1.NOT_GS1),
        ("(xx)" + GTIN, gs1.NOT_GS1),
        ("(01" + GTIN, gs1.NOT_GS1),
        ("0102000000000016", gs1.BAD_CHECK_DIGIT),
        ("01" + GTIN + "17271331", gs1.BAD_DATE),
        ("01" + GTIN + "17270230", gs1.BAD_DATE),
        ("01" + GTIN + "172712", gs1.BAD_LENGTH),
        ("01" + GTIN[:9], gs1.BAD_LENGTH),
        ("01" + GTIN + "10", gs1.BAD_LENGTH),
        ("01" + GTIN + "10" + "L" * 21, gs1.BAD_LENGTH),
        ("01" + GTIN + "10lot\x00", gs1.BAD_CHARACTER),
        ("01" + GTIN + "10lot~", gs1.BAD_CHARACTER),
        ("010200000000001x", gs1.BAD_CHARACTER),
        ("01" + GTIN + "10A" + GS + "10B", gs1.REPEATED),
        ("10LOT", gs1.NO_GTIN),
    ],
)
def test_each_fault_has_its_code_and_a_sentence_that_says_what_to_do(text: str, code: int):
    with pytest.raises(gs1.Gs1Error) as refused:
        gs1.parse(text)
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")


@pytest.mark.parametrize(
    ("value", "date"),
    [("270200", (2027, 2, 28)), ("280200", (2028, 2, 29)), ("270400", (2027, 4, 30)), ("271200", (2027, 12, 31))],
)
def test_day_zero_is_the_last_of_the_month(value: str, date: tuple[int, int, int]):
    assert gs1.parse(f"01{GTIN}17{value}").expiry == date


@pytest.mark.parametrize(("now", "value", "year"), [(2026, "76", 2076), (2026, "77", 1977), (2075, "24", 2124)])
def test_the_century_is_the_one_nearest_to_this_year(now: int, value: str, year: int):
    assert gs1.parse(f"01{GTIN}17{value}0101", year=now).expiry == (year, 1, 1)


@given(st.text("0123456789", min_size=13, max_size=13), LOTS, LOTS)
def test_what_is_written_is_read_back(digits: str, lot: str, serial: str):
    gtin = digits + str(gs1.check_digit(digits))
    found = gs1.parse(f"01{gtin}17271231" + f"10{lot}{GS}21{serial}")
    assert (found.gtin, found.lot, found.serial) == (gtin, lot, serial)


@given(st.text("0123456789", min_size=13, max_size=13), st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_in_the_product_number_is_always_caught(digits: str, place: int, more: int):
    wrong = digits[:place] + str((int(digits[place]) + more) % 10) + digits[place + 1 :]
    with pytest.raises(gs1.Gs1Error) as refused:
        gs1.parse("01" + wrong + str(gs1.check_digit(digits)))
    assert refused.value.code == gs1.BAD_CHECK_DIGIT


@given(st.text(max_size=140) | st.text("0123456789()[]dQ1GS\x1dABC", max_size=140))
def test_any_text_is_read_or_refused_with_a_code(text: str):
    try:
        found = gs1.parse(text)
    except gs1.Gs1Error as refused:
        found, sentence = None, refused.sentence
    assert found.gtin.isdigit() if found else sentence
