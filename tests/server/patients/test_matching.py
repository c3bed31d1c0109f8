"""Who somebody may be: ranked on several identifiers, never decided by one."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.patients import matching, nhs_number
from server.patients.matching import Details, Known, Likeness
from server.patients.nhs_number import NHSNumberRefused

HER = Details("Zoë", "O'Neill-Smith", date(1980, 3, 7), "9990000018", "07700 900123", "LS1 4AP")
ONE = UUID(int=1)

details = st.builds(
    Details,
    given=st.sampled_from(["", "Zoë", "Ann"]),
    family=st.sampled_from(["", "O'Neill-Smith", "Jones"]),
    birth_date=st.sampled_from([None, date(1980, 3, 7), date(1980, 7, 3), date(1951, 1, 1)]),
    nhs_number=st.sampled_from(["", "9990000018", "9990000026"]),
    phone=st.sampled_from(["", "07700 900123", "07700 900999"]),
    postcode=st.sampled_from(["", "LS1 4AP"]),
)


def likeness(wanted: Details, known: Details = HER) -> Likeness:
    return matching.compare(wanted, Known(ONE, known)).likeness


@given(details, details)
def test_one_identifier_alone_never_makes_more_than_a_possibility(wanted: Details, known: Details) -> None:
    found = matching.compare(wanted, Known(ONE, known))
    if len(found.agrees) < 2:
        assert found.likeness <= Likeness.POSSIBLE
    if not found.agrees:
        assert found.likeness is Likeness.UNLIKELY


@given(details, details)
def test_comparing_is_the_same_from_either_side(one: Details, other: Details) -> None:
    assert likeness(one, other) == likeness(other, one)


def test_the_same_person_written_otherwise_is_the_same() -> None:
    again = Details("zoe", "O NEILL SMITH", date(1980, 3, 7), "9990000018", "+44 7700 900123", "ls14ap")
    assert likeness(again) is Likeness.SAME


def test_first_and_last_name_that_changed_places_still_agree() -> None:
    found = matching.compare(Details("O'Neill-Smith", "Zoë", date(1980, 3, 7)), Known(ONE, HER))
    assert {"given name", "family name"} <= set(found.agrees)
    assert found.likeness is Likeness.LIKELY


def test_a_slip_in_the_birth_date_is_told_and_never_the_same_person_by_itself() -> None:
    for slip in (date(1980, 7, 3), date(1981, 3, 7)):
        wanted = Details("Zoë", "O'Neill-Smith", slip, "9990000018")
        found = matching.compare(wanted, Known(ONE, HER))
        assert "birth date, by a slip" in found.differs
        assert found.likeness is Likeness.LIKELY


def test_a_shared_nhs_number_with_another_birth_date_is_not_likely() -> None:
    assert likeness(Details("Ann", "Jones", date(1951, 1, 1), "9990000018")) <= Likeness.POSSIBLE


def test_the_likeliest_comes_first_and_who_is_nothing_like_is_left_out() -> None:
    twin = Known(UUID(int=2), Details("Ann", "O'Neill-Smith", date(1980, 3, 7)))
    stranger = Known(UUID(int=3), Details("Ann", "Jones", date(1951, 1, 1), "9990000026"))
    found = matching.ranked(HER, [stranger, twin, Known(ONE, HER)])
    assert [one.id for one in found] == [ONE, twin.id]


@given(st.integers(0, 999_999_999))
def test_a_check_digit_finds_every_single_wrong_digit(nine: int) -> None:
    text = f"{nine:09}"
    digit = nhs_number.check_digit(text)
    if digit is None:
        return
    whole = text + str(digit)
    if len(set(whole)) > 1:
        assert nhs_number.normalised(nhs_number.shown(whole)) == whole
    for place in range(10):
        wrong = whole[:place] + str((int(whole[place]) + 1) % 10) + whole[place + 1 :]
        with pytest.raises(NHSNumberRefused):
            nhs_number.normalised(wrong)


@pytest.mark.parametrize("text", ["", "999 000 001", "99900000180", "999000001X", "٩٩٩٠٠٠٠٠١٨", "0000000000"])
def test_what_is_no_nhs_number_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(NHSNumberRefused) as refused:
        nhs_number.normalised(text)
    assert "Check it and type it again" in str(refused.value.detail)
