"""Columns of a batch as PostgreSQL's binary arrays (src/backend/utils/adt/arrayfuncs.c, `array_recv`).

psycopg writes a list element by element, as text unless told otherwise; for the thirty columns of a batch of 500 that
took longer than PostgreSQL takes to store them. Here a column becomes its array in one or two calls of C.
"""

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from psycopg import BaseConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = struct.Struct("!iiIii")
_LENGTH = struct.Struct("!i").pack
_NULL = _LENGTH(-1)
_EIGHT_BYTES = struct.Struct("!q").pack
# The lengths of nearly everything there is, packed once: a record is at most 4,096 bytes.
_LENGTHS = [_LENGTH(length) for length in range(4_097)]
# PostgreSQL counts microseconds from here.
_MOMENT_ZERO = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Array(bytes):
    """A whole array in binary form; each subclass is of one element type and carries the array type's oid."""

    array_oid: int
    element_oid: int


class Bigints(Array):
    array_oid, element_oid = 1016, 20


class Integers(Array):
    array_oid, element_oid = 1007, 23


class Smallints(Array):
    array_oid, element_oid = 1005, 21


class Booleans(Array):
    array_oid, element_oid = 1000, 16


class Byteas(Array):
    array_oid, element_oid = 1001, 17


class Texts(Array):
    array_oid, element_oid = 1009, 25


class Uuids(Array):
    array_oid, element_oid = 2951, 2950


class Moments(Array):
    array_oid, element_oid = 1185, 1184


class Documents(Array):
    array_oid, element_oid = 3807, 3802


def bigints(values: Sequence[int | None]) -> Bigints:
    """bigint[]"""
    return Bigints(_numbers(Bigints, values, "q", 8))


def integers(values: Sequence[int | None]) -> Integers:
    """integer[]"""
    return Integers(_numbers(Integers, values, "i", 4))


def smallints(values: Sequence[int | None]) -> Smallints:
    """smallint[]"""
    return Smallints(_numbers(Smallints, values, "h", 2))


def booleans(values: Sequence[bool]) -> Booleans:
    """boolean[]"""
    return Booleans(_strings(Booleans, [b"\x01" if value else b"\x00" for value in values]))


def byteas(values: Sequence[bytes | None]) -> Byteas:
    """bytea[]"""
    return Byteas(_strings(Byteas, values))


def texts(values: Iterable[str | None]) -> Texts:
    """text[]"""
    return Texts(_strings(Texts, [None if value is None else value.encode() for value in values]))


def uuids(values: Sequence[UUID | None]) -> Uuids:
    """uuid[]"""
    return Uuids(_strings(Uuids, [None if value is None else value.bytes for value in values]))


def moments(values: Sequence[datetime | None]) -> Moments:
    """timestamptz[]"""
    return Moments(
        _numbers(Moments, [None if at is None else (at - _MOMENT_ZERO) // _MICROSECOND for at in values], "q", 8)
    )


def moment(at: datetime) -> bytes:
    """One timestamptz as PostgreSQL takes it in binary. `at` has a time zone."""
    return _EIGHT_BYTES((at - _MOMENT_ZERO) // _MICROSECOND)


def documents(values: Iterable[str]) -> Documents:
    """jsonb[] of JSON texts; the first byte of each is the format's version."""
    return Documents(_strings(Documents, [b"\x01" + value.encode() for value in values]))


def register(connection: BaseConnection[object]) -> None:
    """Let the connection take these as parameters."""
    for kind, dumper in _DUMPERS:
        connection.adapters.register_dumper(kind, dumper)


def _numbers(kind: type[Array], values: Sequence[int | None], code: str, width: int) -> bytes:
    count = len(values)
    if None in values:
        packed = struct.Struct(f"!{code}").pack
        return _strings(kind, [None if value is None else packed(value) for value in values])
    flat: list[int | None] = [width] * (2 * count)
    flat[1::2] = values
    return _head(kind, count, nulls=False) + struct.pack("!" + f"i{code}" * count, *flat)


def _strings(kind: type[Array], values: Sequence[bytes | None]) -> bytes:
    nulls = None in values
    parts = [b""] * (2 * len(values) + 1)
    parts[0] = _head(kind, len(values), nulls=nulls)
    parts[1::2] = [_NULL if value is None else _length(value) for value in values]
    parts[2::2] = [b"" if value is None else value for value in values]
    return b"".join(parts)


def _length(value: bytes) -> bytes:
    length = len(value)
    return _LENGTHS[length] if length <= 4_096 else _LENGTH(length)


def _head(kind: type[Array], count: int, *, nulls: bool) -> bytes:
    head = _HEADER.pack(1 if count else 0, nulls, kind.element_oid, count, 1)
    # An empty array has no dimension, and so neither length nor lower bound.
    return head if count else head[:12]


class _Dumper(Dumper):
    """Hands an array on as it is."""

    format = Format.BINARY

    def dump(self, obj: object) -> Buffer | None:
        assert isinstance(obj, bytes)
        return obj


_DUMPERS = [
    (kind, type(f"{kind.__name__}Dumper", (_Dumper,), {"oid": kind.array_oid})) for kind in Array.__subclasses__()
]
