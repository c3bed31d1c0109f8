"""Readers: who they belong to, their keys (encrypted), what they last said of themselves."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field

from server.database.columns import Table, moment, now


class Reader(Table, table=True):
    """An enrolled reader. `reader_id` is 8 bytes. The state is that of the latest sighting, null before the first."""

    # What a record's foreign key points at, so that a record cannot belong to another organisation than its reader.
    __table_args__ = (UniqueConstraint("organisation_id", "reader_id"),)

    reader_id: bytes = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    site_id: UUID = Field(foreign_key="site.id", index=True)
    name: str = Field(max_length=64)
    generation: int = 0
    enrolled_at: datetime = moment(default_factory=now)
    revoked_at: datetime | None = moment(default=None, nullable=True)

    seen_at: datetime | None = moment(default=None, nullable=True)
    firmware: str | None = Field(default=None, max_length=64)
    battery_percent: int | None = None
    flags: int | None = Field(default=None, sa_type=BigInteger)
    down_number: int = Field(default=0, sa_type=BigInteger)


class ReaderKey(Table, table=True):
    """One generation of a reader's key, encrypted under the master key and bound to reader id and generation."""

    reader_id: bytes = Field(primary_key=True, foreign_key="reader.reader_id")
    generation: int = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    encrypted: bytes
    created_at: datetime = moment(default_factory=now)
