"""A cursor reads back as what was written, by whoever wrote it, and by nobody else."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api.cursors import CursorRefused, Cursors

OURS = Cursors(b"s" * 32, UUID(int=1), "/results")


@given(st.text())
def test_a_place_reads_back(place: str) -> None:
    assert OURS.read(OURS.write(place)) == place


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1))
def test_what_was_not_written_is_refused(cursor: str) -> None:
    with pytest.raises(CursorRefused):
        OURS.read(cursor)


@pytest.mark.parametrize(
    "other",
    [
        Cursors(b"t" * 32, UUID(int=1), "/results"),
        Cursors(b"s" * 32, UUID(int=2), "/results"),
        Cursors(b"s" * 32, UUID(int=1), "/follow-ups"),
    ],
)
def test_the_cursor_of_another_server_organisation_or_list_is_refused(other: Cursors) -> None:
    with pytest.raises(CursorRefused):
        OURS.read(other.write("1"))


def test_without_a_cursor_a_list_begins() -> None:
    assert OURS.read(None) is None
