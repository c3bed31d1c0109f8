"""A trace is carried exactly, and nothing else is taken for one."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader import delta

SAMPLES = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=300)


@given(SAMPLES)
def test_a_trace_comes_back_as_it_was(samples: list[int]) -> None:
    data = delta.encode(samples)
    assert list(delta.decode(data, len(samples))) == samples
    assert delta.encode(array("i", samples)) == data


@given(SAMPLES, st.integers(0, 400))
def test_another_count_is_refused(samples: list[int], count: int) -> None:
    data = delta.encode(samples)
    if count != len(samples):
        with pytest.raises(delta.DeltaError):
            delta.decode(data, count)


@given(st.binary(max_size=400), st.integers(0, 100))
def test_any_bytes_are_a_trace_with_one_encoding_or_refused(data: bytes, count: int) -> None:
    try:
        samples = delta.decode(data, count)
    except delta.DeltaError:
        return
    assert len(samples) == count
    assert delta.encode(samples) == data


def test_a_count_that_the_bytes_cannot_hold_is_refused_before_anything_is_made_of_it() -> None:
    with pytest.raises(delta.DeltaError):
        delta.decode(b"\x00", 2**40)
