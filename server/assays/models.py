"""Assay packs that an organisation loaded beside those of the release, and which was sent to which reader."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index
from sqlmodel import Field

from server.database.columns import Table, moment, now


class AssayPack(Table, table=True):
    """One version of an assay as it was loaded. Never changed; `digest` is the SHA-256 of `pack` in hexadecimal."""

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    assay: str = Field(primary_key=True, max_length=20)
    version: int = Field(primary_key=True)
    pack: bytes
    digest: str = Field(max_length=64)
    loaded_at: datetime = moment(default_factory=now)
    actor_kind: str = Field(max_length=20)
    actor: str = Field(max_length=120)


class AssaySending(Table, table=True):
    """Which pack a reader's command carries; whether it was taken is the command's own."""

    __table_args__ = (
        ForeignKeyConstraint(["reader_id", "number"], ["command.reader_id", "command.number"]),
        Index("ix_assay_sending_newest", "organisation_id", "assay", "reader_id", "number"),
    )

    reader_id: bytes = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    assay: str = Field(max_length=20)
    version: int
    digest: str = Field(max_length=64)
