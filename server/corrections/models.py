"""The versions of a result after the reader's own, which is never edited."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Identity, SmallInteger, UniqueConstraint
from sqlmodel import Field

from server.database.columns import Table, moment, now


class Kind(StrEnum):
    """What a version says."""

    CORRECTED = "corrected"
    """The outcome is another than the reader said."""
    WITHDRAWN = "withdrawn"
    """Nothing may be concluded from it."""
    RESTORED = "restored"
    """It is what the reader said after all."""


class Correction(Table, table=True):
    """A version of a result, written once. `version` is 1 for the first after the reader's own.

    `hash` is the SHA-256 over `previous` and all that the version says (`service.hash_of`); `previous` is the hash of
    the version before, for the first the chain hash of the reader's sealed record.
    """

    __table_args__ = (UniqueConstraint("result_id", "version"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    result_id: UUID = Field(foreign_key="result.id")
    version: int
    kind: str = Field(max_length=20)
    outcome: int | None = Field(default=None, sa_type=SmallInteger)
    why: str = Field(max_length=2_000)
    at: datetime = moment(default_factory=now)
    account_id: UUID = Field(foreign_key="account.id")
    previous: bytes
    hash: bytes
