"""Hubs: their public keys, the codes that enrol them, the assertions they have spent, the tickets they were given."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index
from sqlmodel import Field

from server.database.columns import Table, document, moment, now


class Hub(Table, table=True):
    """An enrolled hub. `hub_id` is 8 bytes; `public_key` a JWK (RFC 7517) of an ES384 key, public members only."""

    hub_id: bytes = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    site_id: UUID | None = Field(default=None, foreign_key="site.id", index=True)
    name: str = Field(max_length=64)
    public_key: dict[str, Any] = document()
    enrolled_at: datetime = moment(default_factory=now)
    revoked_at: datetime | None = moment(default=None, nullable=True)
    seen_at: datetime | None = moment(default=None, nullable=True)
    software: str | None = Field(default=None, max_length=64)


class EnrolmentCode(Table, table=True):
    """A code that enrols one hub, once. Only its SHA-256 is kept."""

    code_hash: bytes = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    site_id: UUID | None = Field(default=None, foreign_key="site.id")
    created_at: datetime = moment(default_factory=now)
    expires_at: datetime = moment()
    used_at: datetime | None = moment(default=None, nullable=True)
    hub_id: bytes | None = None


class SpentAssertion(Table, table=True):
    """An assertion's `jti` that was used; the primary key is what makes a second use fail."""

    hub_id: bytes = Field(primary_key=True, foreign_key="hub.hub_id")
    jti_hash: bytes = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    expires_at: datetime = moment(index=True)


class TicketIssue(Table, table=True):
    """That a hub was given a ticket for a reader, and until when; the secret itself is derived, never stored."""

    __table_args__ = (Index("ix_ticket_issue_latest", "hub_id", "reader_id", "expires_at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    hub_id: bytes = Field(foreign_key="hub.hub_id")
    reader_id: bytes = Field(foreign_key="reader.reader_id")
    generation: int
    expires_at: datetime = moment()
    issued_at: datetime = moment(default_factory=now)
