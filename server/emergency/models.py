"""Each use of emergency access, and who of an organisation watches over them."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Index, text
from sqlmodel import Field

from server.database.columns import Table, moment, now


class EmergencyAccess(Table, table=True):
    """One use: who, in which session, why, and until when. All of that is never altered; how it went on is.

    `sign_in` is the hash of the session that it was given to, and to no other of the same person. `told_at` is when the
    privacy lead was told. A use is reviewed once, by somebody else.
    """

    __table_args__ = (
        Index("ix_emergency_access_began", "organisation_id", "began_at"),
        # One at a time a session; one that has run out is ended before another begins.
        Index(
            "ix_emergency_access_open",
            "sign_in",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    account_id: UUID = Field(foreign_key="account.id")
    sign_in: bytes
    role: str = Field(max_length=20)
    reason: str = Field(max_length=1_000)
    began_at: datetime = moment(default_factory=now)
    ends_at: datetime = moment()
    ended_at: datetime | None = moment(default=None, nullable=True)
    told_at: datetime | None = moment(default=None, nullable=True)
    tries: int = 0
    retry_at: datetime = moment(default_factory=now)
    reviewed_at: datetime | None = moment(default=None, nullable=True)
    reviewed_by: UUID | None = Field(default=None, foreign_key="account.id", nullable=True)
    review_note: str = Field(default="", max_length=2_000)


class PrivacyLead(Table, table=True):
    """Who is told of each use of emergency access, and reviews it. Without one nobody gets any."""

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    account_id: UUID = Field(foreign_key="account.id")
    set_at: datetime = moment(default_factory=now)
    set_by: UUID = Field(foreign_key="account.id")
