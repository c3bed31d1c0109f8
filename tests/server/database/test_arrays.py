"""Columns sent as binary arrays arrive as they were, beside psycopg's own way of sending them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.database import arrays
from tests.server.conftest import Database

BIG = st.integers(-(2**63), 2**63 - 1)
WORDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))

CASES = [
    ("bigint", arrays.bigints, st.none() | BIG),
    ("bigint", arrays.bigints, BIG),
    ("integer", arrays.integers, st.none() | st.integers(-(2**31), 2**31 - 1)),
    ("smallint", arrays.smallints, st.none() | st.integers(-(2**15), 2**15 - 1)),
    ("boolean", arrays.booleans, st.booleans()),
    ("bytea", arrays.byteas, st.none() | st.binary(max_size=40)),
    ("text", arrays.texts, st.none() | WORDS),
    ("uuid", arrays.uuids, st.uuids()),
    ("timestamptz", arrays.moments, st.none() | MOMENTS),
]


@pytest.fixture(scope="module")
def link(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.app, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        arrays.register(connection)
        yield connection


@pytest.mark.parametrize(("kind", "column", "values"), CASES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_column_arrives_as_it_was(link: Any, kind: str, column: Any, values: Any, data: st.DataObject) -> None:
    sent = data.draw(st.lists(values, max_size=20))
    row = link.execute(
        f"SELECT %(packed)s, pg_typeof(%(packed)s)::text, %(packed)s IS NOT DISTINCT FROM %(plain)s::{kind}[]",
        {"packed": column(sent), "plain": sent},
        binary=True,
    ).fetchone()
    assert (row[0], row[2]) == (sent, True)
    assert row[1].startswith({"timestamptz": "timestamp with time zone"}.get(kind, kind))


def test_documents_arrive_as_json(link: Any) -> None:
    sent = ['{"a": [1, null]}', "[]", '"\\u00e9"']
    [row] = link.execute("SELECT %s", (arrays.documents(sent),)).fetchall()
    assert row[0] == [{"a": [1, None]}, [], "é"]


def test_strings_of_any_length_arrive(link: Any) -> None:
    sent = [b"x" * length for length in (0, 1, 4_095, 4_096, 4_097, 70_000)]
    [row] = link.execute("SELECT %s", (arrays.byteas(sent),), binary=True).fetchall()
    assert row[0] == sent


def test_moments_keep_their_microseconds(link: Any) -> None:
    at = datetime(2026, 11, 22, 0, 30, 0, 123_456, tzinfo=UTC)
    sent = [at, at - timedelta(days=20_000), None]
    [row] = link.execute("SELECT %s", (arrays.moments(sent),), binary=True).fetchall()
    assert row[0] == sent


def test_a_text_that_the_database_cannot_hold_is_refused_by_it(link: Any) -> None:
    with pytest.raises(psycopg.DataError):
        link.execute("SELECT %s", (arrays.texts(["a\0b"]),))


def test_an_id_is_sixteen_bytes(link: Any) -> None:
    one = UUID(int=1)
    assert link.execute("SELECT (%s)[1]::text", (arrays.uuids([one]),)).fetchone() == (str(one),)
