"""What people were registered with in the field, and the keys that it was sealed to."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import Index, text
from sqlmodel import Field

from server.database.columns import Table, document, moment, now


class Standing(StrEnum):
    """Where a registration stands."""

    QUARANTINED = "quarantined"
    """It did not open, or is not understood: its sealed bytes are kept."""
    WAITING = "waiting"
    """Opened, and about to be matched."""
    UNDECIDED = "undecided"
    """A person must say whose it is."""
    SETTLED = "settled"
    """It is a person's, and its specimen too."""
    CLOSED = "closed"
    """Somebody has put it aside and said why."""


class RegistrationKey(Table, table=True):
    """An X25519 key pair of one organisation; `encrypted` is its private half under the master key.

    `key_id` is the first 8 bytes of SHA-256 of the public half. The one that is not retired is what hubs are told.
    """

    __table_args__ = (
        Index(
            "ix_registration_key_current",
            "organisation_id",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )

    key_id: bytes = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    public_key: bytes
    encrypted: bytes
    created_at: datetime = moment(default_factory=now)
    retired_at: datetime | None = moment(default=None, nullable=True)


class Registration(Table, table=True):
    """One registration. `sealed` is there while it is in quarantine, `content` (its plaintext) until it is settled.

    `hub_id` carried it and `maker` is the hub that it names. `registration_id` is unique among those that opened.
    """

    __table_args__ = (
        Index(
            "ix_registration_registration_id",
            "organisation_id",
            "registration_id",
            unique=True,
            postgresql_where=text("state <> 'quarantined'"),
        ),
        Index(
            "ix_registration_digest",
            "organisation_id",
            "digest",
            unique=True,
            postgresql_where=text("state = 'quarantined'"),
        ),
        Index("ix_registration_state", "organisation_id", "state", "received_at"),
        Index("ix_registration_patient", "patient_id"),
        Index("ix_registration_specimen", "organisation_id", "specimen"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    registration_id: bytes | None = None
    maker: bytes | None = None
    hub_id: bytes = Field(foreign_key="hub.hub_id")
    digest: bytes
    state: str = Field(max_length=20)
    code: str = Field(default="", max_length=40)
    sentence: str = Field(default="", max_length=400)
    sealed: bytes = b""
    content: bytes = b""
    specimen: str = Field(default="", max_length=64)
    received_at: datetime = moment(default_factory=now)
    made_at: datetime | None = moment(default=None, nullable=True)
    consent_asked: str = Field(default="", max_length=200)
    consent_by: str = Field(default="", max_length=100)
    consent_at: datetime | None = moment(default=None, nullable=True)
    local_identifiers: list[str] = document(default_factory=list)
    patient_id: UUID | None = Field(default=None, foreign_key="patient.id")
    settled_at: datetime | None = moment(default=None, nullable=True)
    settled_by: UUID | None = Field(default=None, foreign_key="account.id")
    why: str = Field(default="", max_length=400)
    attempts: int = 0
    tried_at: datetime | None = moment(default=None, nullable=True)
