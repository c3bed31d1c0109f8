"""Recalls, and the results that each one marked."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Index, text
from sqlmodel import Field

from server.database.columns import Table, moment, now


class Recall(Table, table=True):
    """What must not be relied on: every result that fits all that is not null. At least one of lot, reader, firmware
    and algorithm is given; the span is of the test time, ends included.

    `looked_to` and `looked_id` say how far the results were looked through, in the order of their arrival; it goes on
    while the recall is in force, because a reader may deliver a test of a recalled lot weeks later. `whole_at` is when
    it first came to the end. A lifted recall stays, with who lifted it and why.
    """

    __table_args__ = (
        Index("ix_recall_made", "organisation_id", "made_at"),
        Index("ix_recall_in_force", "organisation_id", postgresql_where=text("lifted_at IS NULL")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    lot: str | None = Field(default=None, max_length=64)
    reader_id: bytes | None = None
    firmware: str | None = Field(default=None, max_length=64)
    algorithm: str | None = Field(default=None, max_length=64)
    tested_from: datetime | None = moment(default=None, nullable=True)
    tested_to: datetime | None = moment(default=None, nullable=True)
    reason: str = Field(max_length=2_000)
    made_at: datetime = moment(default_factory=now)
    made_by: UUID = Field(foreign_key="account.id")
    lifted_at: datetime | None = moment(default=None, nullable=True)
    lifted_by: UUID | None = Field(default=None, foreign_key="account.id")
    why_lifted: str = Field(default="", max_length=2_000)
    looked_to: datetime | None = moment(default=None, nullable=True)
    looked_id: UUID | None = None
    whole_at: datetime | None = moment(default=None, nullable=True)


class RecalledResult(Table, table=True):
    """A result that a recall marked, once, and what that did: *opened*, *reopened*, *open* (it was), *marked* (it was
    never relied on: invalid or error).
    """

    __table_args__ = (Index("ix_recalled_result", "result_id"),)

    recall_id: UUID = Field(primary_key=True, foreign_key="recall.id")
    result_id: UUID = Field(primary_key=True, foreign_key="result.id")
    organisation_id: UUID = Field(foreign_key="organisation.id")
    marked_at: datetime = moment(default_factory=now)
    did: str = Field(max_length=10)
