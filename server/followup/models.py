"""Follow-ups, what was done with each, and the policies they are opened under."""

from datetime import datetime, time
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Identity, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from server.database.columns import Table, document, moment, now, small
from server.followup.states import State


class FollowUp(Table, table=True):
    """What is owed to the person behind one result. Opened in the transaction that keeps the result.

    `due_at` is when the next act is due, null once an outcome is recorded; `remind_at` when somebody is told next, null
    with it; `escalation` how often that was done since it was last taken over. `version` counts acts, so that two
    people who act at once are told. `rule` is the policy's version at the opening, 0 for one that was built in.
    """

    __table_args__ = (
        Index("ix_follow_up_due", "organisation_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index(
            "ix_follow_up_waiting",
            "organisation_id",
            "urgency",
            "due_at",
            "result_id",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_follow_up_remind", "organisation_id", "remind_at", postgresql_where=text("remind_at IS NOT NULL")),
        Index("ix_follow_up_owner", "organisation_id", "owner_id", "state"),
        Index("ix_follow_up_opened", "organisation_id", "opened_at"),
    )

    result_id: UUID = Field(primary_key=True, foreign_key="result.id")
    organisation_id: UUID = Field(foreign_key="organisation.id")
    site_id: UUID = Field(foreign_key="site.id")
    assay: str = Field(max_length=64)
    outcome: int = small()
    urgency: int = small()
    state: int = small(default=State.NEW)
    owner_id: UUID | None = Field(default=None, foreign_key="account.id")
    rule: int = 0
    opened_at: datetime = moment(default_factory=now)
    opened_for: str = Field(default="result", max_length=20)
    acknowledge_by: datetime = moment()
    act_by: datetime = moment()
    due_at: datetime | None = moment(default=None, nullable=True)
    remind_at: datetime | None = moment(default=None, nullable=True)
    acknowledged_at: datetime | None = moment(default=None, nullable=True)
    contacted_at: datetime | None = moment(default=None, nullable=True)
    ended_at: datetime | None = moment(default=None, nullable=True)
    ending: str | None = Field(default=None, max_length=30)
    tries: int = small(default=0)
    tries_needed: int = small(default=3)
    escalation: int = small(default=0)
    version: int = 0


class FollowUpEvent(Table, table=True):
    """One act, never altered, never removed. `account_id` is null where the server itself acted."""

    __table_args__ = (UniqueConstraint("result_id", "version"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id")
    result_id: UUID = Field(foreign_key="follow_up.result_id")
    version: int
    at: datetime = moment(default_factory=now)
    account_id: UUID | None = Field(default=None, foreign_key="account.id")
    act: str = Field(max_length=20)
    state: int = small()
    note: str = Field(default="", max_length=2_000)
    detail: dict[str, Any] = document(default_factory=dict)


class FollowUpPolicy(Table, table=True):
    """A version of the policy for one outcome of one assay ("*": every assay without its own)."""

    __table_args__ = (
        UniqueConstraint("organisation_id", "assay", "outcome", "version"),
        Index(
            "ix_follow_up_policy_current",
            "organisation_id",
            "assay",
            "outcome",
            unique=True,
            postgresql_where=text("current"),
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    assay: str = Field(max_length=64)
    outcome: int = small()
    version: int
    current: bool = True
    urgency: int = small()
    acknowledge_min: int
    act_min: int
    working_hours: bool
    tries: int = small()
    owner_id: UUID | None = Field(default=None, foreign_key="account.id")
    deputy_id: UUID | None = Field(default=None, foreign_key="account.id")
    lead_id: UUID | None = Field(default=None, foreign_key="account.id")
    made_at: datetime = moment(default_factory=now)
    made_by: UUID | None = Field(default=None, foreign_key="account.id")


class WorkingHours(Table, table=True):
    """When an organisation is at work, and who is on call when it is not. One row an organisation, or none."""

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    zone: str = Field(max_length=60)
    days: list[int] = Field(sa_type=ARRAY(SmallInteger))  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownVariableType]
    opens: time
    closes: time
    on_call_id: UUID | None = Field(default=None, foreign_key="account.id")


class Acknowledgement(Table, table=True):
    """Somebody has seen a plain negative, which needs nothing more. Never altered."""

    result_id: UUID = Field(primary_key=True, foreign_key="result.id")
    organisation_id: UUID = Field(foreign_key="organisation.id")
    account_id: UUID = Field(foreign_key="account.id")
    at: datetime = moment(default_factory=now)
