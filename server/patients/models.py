"""People, which specimens are theirs, and the history of both."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Identity, Index, text
from sqlmodel import Field

from server.database.columns import Table, document, moment, now


class Patient(Table, table=True):
    """One person as this organisation knows them. `merged_into` names the person that this one turned out to be.

    `nhs_status` is *not-given* or *given* (told by the person, not traced). `search` holds the plain forms of name and
    telephone that a search begins with.
    """

    __table_args__ = (
        Index(
            "ix_patient_nhs_number",
            "organisation_id",
            "nhs_number",
            unique=True,
            postgresql_where=text("nhs_number IS NOT NULL AND merged_into IS NULL"),
        ),
        Index("ix_patient_birth_date", "organisation_id", "birth_date"),
        Index("ix_patient_family", "organisation_id", "family_plain"),
        Index("ix_patient_phone", "organisation_id", "phone_plain", postgresql_where=text("phone_plain <> ''")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    given: str = Field(max_length=100)
    family: str = Field(max_length=100)
    family_plain: str = Field(max_length=100)
    birth_date: date | None = None
    nhs_number: str | None = Field(default=None, max_length=10)
    nhs_status: str = Field(default="not-given", max_length=20)
    phone: str = Field(default="", max_length=40)
    phone_plain: str = Field(default="", max_length=9)
    email: str = Field(default="", max_length=254)
    address: str = Field(default="", max_length=400)
    postcode: str = Field(default="", max_length=12)
    language: str = Field(default="", max_length=60)
    safe_contact: str = Field(default="", max_length=400)
    merged_into: UUID | None = Field(default=None, foreign_key="patient.id")
    version: int = 0
    created_at: datetime = moment(default_factory=now)


class PatientChange(Table, table=True):
    """What was done to a person's entry, never altered: *registered*, *changed*, *merged*, *unmerged*.

    By somebody (`account_id`), or by a registration that a hub sealed (`hub_id`).
    `before` holds what a change replaced, so that nothing is lost by one.
    """

    __table_args__ = (Index("ix_patient_change", "patient_id", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id")
    patient_id: UUID = Field(foreign_key="patient.id")
    at: datetime = moment(default_factory=now)
    account_id: UUID | None = Field(default=None, foreign_key="account.id")
    hub_id: bytes | None = Field(default=None, foreign_key="hub.hub_id")
    what: str = Field(max_length=20)
    other_id: UUID | None = Field(default=None, foreign_key="patient.id")
    before: dict[str, Any] = document(default_factory=dict)


class SpecimenLink(Table, table=True):
    """A specimen code is a person's, from `linked_at` until `ended_at`. An ended link stays, with why it was ended.

    Linked by somebody (`linked_by`), or by a registration that a hub sealed (`hub_id`).
    """

    __table_args__ = (
        Index(
            "ix_specimen_link_current",
            "organisation_id",
            "specimen",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_specimen_link_patient", "patient_id"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    specimen: str = Field(max_length=64)
    patient_id: UUID = Field(foreign_key="patient.id")
    linked_at: datetime = moment(default_factory=now)
    linked_by: UUID | None = Field(default=None, foreign_key="account.id")
    hub_id: bytes | None = Field(default=None, foreign_key="hub.hub_id")
    ended_at: datetime | None = moment(default=None, nullable=True)
    ended_by: UUID | None = Field(default=None, foreign_key="account.id")
    why_ended: str = Field(default="", max_length=400)
