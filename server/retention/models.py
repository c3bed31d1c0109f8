"""Rules of retention, the monthly look at what is due, erasures and what each destroyed, by reference only.

A finished erasure is its certificate.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from server.database.columns import Table, document, moment, now


class Kind(StrEnum):
    """What a rule is for."""

    RESULTS = "results"
    """A result, so long after it came and its follow-up ended, whoever it is of."""
    PEOPLE = "people"
    """A person with all that is theirs, so long after the last result, follow-up or change of theirs."""
    SET_ASIDE = "set-aside"
    """Bytes that were in quarantine, so long after they were dealt with."""


class Because(StrEnum):
    """Why something was erased: one of these and never free words, because a certificate outlives the person."""

    RULE = "rule"
    ASKED = "asked"
    ORDERED = "ordered"
    MISTAKE = "mistake"
    AGAIN = "again"
    """It was erased before, and a restored backup had brought it back."""


class RetentionRule(Table, table=True):
    """An organisation keeps that kind for `months`; None, or no row: for ever."""

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    kind: str = Field(primary_key=True, max_length=20)
    months: int | None = None
    changed_at: datetime = moment(default_factory=now)


class Erasure(Table, table=True):
    """An erasure under way, or done: then nothing of it changes, and `digest` is the SHA-256 of its certificate.

    `cutoffs` are the moments before which each kind goes, by kind; `named` what is erased besides, by reference.
    `held_back` counts what was due and stays, because somebody is waited for or its bytes are not proved.
    """

    __table_args__ = (Index("ix_erasure_made", "organisation_id", "made_at"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    made_at: datetime = moment(default_factory=now)
    actor_kind: str = Field(max_length=20)
    actor: str = Field(max_length=120)
    because: str = Field(max_length=20)
    cutoffs: dict[str, Any] = document(default_factory=dict)
    named: dict[str, Any] = document(default_factory=dict)
    results: int = 0
    people: int = 0
    bytes_set_aside: int = 0
    held_back: int = 0
    finished_at: datetime | None = moment(default=None, nullable=True)
    digest: bytes | None = None


class ErasedRecord(Table, table=True):
    """The bytes of this record were destroyed. Its place, and the hash by which the chain goes on, stay."""

    __table_args__ = (
        ForeignKeyConstraint(["reader_id", "number"], ["sealed_record.reader_id", "sealed_record.number"]),
        Index("ix_erased_record_erasure", "erasure_id"),
        Index("ix_erased_record_result", "result_id"),
    )

    reader_id: bytes = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    erasure_id: UUID = Field(foreign_key="erasure.id")
    result_id: UUID
    chain_hash: bytes
    at: datetime = moment(default_factory=now)


class ErasedPerson(Table, table=True):
    """There was an entry of this id, which now names nobody."""

    __table_args__ = (Index("ix_erased_person_erasure", "erasure_id"),)

    patient_id: UUID = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    erasure_id: UUID = Field(foreign_key="erasure.id")
    at: datetime = moment(default_factory=now)


class RetentionMonthly(Table, table=True):
    """The organisation wants a dry run each month; no row, none."""

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    since: datetime = moment(default_factory=now)


class RetentionLook(Table, table=True):
    """The dry run of a month, made once; `month` is its first day where the server is.

    `due` has `erased` and `held_back` of each kind that has a rule, by kind.
    """

    __table_args__ = (UniqueConstraint("organisation_id", "month"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    month: date
    made_at: datetime = moment(default_factory=now)
    due: dict[str, Any] = document(default_factory=dict)


class RetentionNotice(Table, table=True):
    """One administrator is to be told of one look, once."""

    __table_args__ = (Index("ix_retention_notice_unsent", "organisation_id", postgresql_where=text("sent_at IS NULL")),)

    look_id: UUID = Field(primary_key=True, foreign_key="retention_look.id")
    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    organisation_id: UUID = Field(foreign_key="organisation.id")
    sent_at: datetime | None = moment(default=None, nullable=True)
    tries: int = 0
    retry_at: datetime = moment(default_factory=now)
