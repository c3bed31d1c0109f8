"""The audit log: one row for each read or change that matters, never altered, never removed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, text
from sqlmodel import Field

from server.database.columns import Table, document, moment, now


class AuditEntry(Table, table=True):
    """Who did what to what, and why. `actor` is an account id, a hub id in hex or the name of a command.

    `epoch` (of the server) and `xact` (the transaction that wrote it) are set by the database: what is sealed together
    is told by them, see `server.audit.sealing`.
    """

    __table_args__ = (
        Index("ix_audit_subject", "organisation_id", "subject_kind", "subject"),
        Index("ix_audit_unsealed", "organisation_id", "epoch", "xact"),
        Index("ix_audit_at", "organisation_id", "at"),
        Index("ix_audit_action", "organisation_id", "action", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id")
    at: datetime = moment(default_factory=now)
    actor_kind: str = Field(max_length=20)
    actor: str = Field(max_length=120)
    action: str = Field(max_length=60)
    purpose: str | None = Field(default=None, max_length=200)
    subject_kind: str = Field(max_length=30)
    subject: str = Field(max_length=120)
    detail: dict[str, Any] = document(default_factory=dict)
    epoch: int | None = Field(
        default=None,
        sa_type=BigInteger,
        nullable=False,
        sa_column_kwargs={"server_default": text("doorstep_epoch()")},
    )
    xact: int | None = Field(
        default=None,
        sa_type=BigInteger,
        nullable=False,
        sa_column_kwargs={"server_default": text("(pg_current_xact_id()::text)::bigint")},
    )


class AuditSeal(Table, table=True):
    """The entries of one organisation and epoch whose `xact` is from `from_xact` to below `to_xact`, and their digest.

    `digest` is SHA-256 (32 bytes) over the digest of the seal before and every entry in the order of ids.
    """

    __table_args__ = (Index("ix_audit_seal_organisation", "organisation_id", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id")
    at: datetime = moment(default_factory=now)
    epoch: int = Field(sa_type=BigInteger)
    from_xact: int = Field(sa_type=BigInteger)
    to_xact: int = Field(sa_type=BigInteger)
    entries: int
    digest: bytes
