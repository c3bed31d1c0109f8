"""Who was told of what."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from server.database.columns import Table, moment, now, small


class Notice(Table, table=True):
    """One person is to be told that one follow-up was not acted on in time: once a level of each opening of it."""

    __table_args__ = (
        UniqueConstraint("result_id", "opened_at", "due_at", "level", "recipient_id"),
        Index("ix_notice_unsent", "organisation_id", "recipient_id", postgresql_where=text("sent_at IS NULL")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    result_id: UUID = Field(foreign_key="follow_up.result_id")
    opened_at: datetime = moment()
    due_at: datetime = moment()
    level: int = small()
    urgency: int = small()
    recipient_id: UUID = Field(foreign_key="account.id")
    created_at: datetime = moment(default_factory=now)
    sent_at: datetime | None = moment(default=None, nullable=True)
    tries: int = 0
    retry_at: datetime = moment(default_factory=now)


class Webhook(Table, table=True):
    """Where an organisation wants to be told of escalations, besides the mail to people.

    `secret` is encrypted under the master key and bound to the organisation. `delivered_at`, `failed_at` and `failure`
    are of this address since it was set, tests included; `failure` is as in `WebhookDelivery`.
    """

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    url: str = Field(max_length=500)
    secret: bytes
    active: bool = True
    changed_at: datetime = moment(default_factory=now)
    delivered_at: datetime | None = moment(default=None, nullable=True)
    failed_at: datetime | None = moment(default=None, nullable=True)
    failure: str = Field(default="", max_length=60, sa_column_kwargs={"server_default": ""})


class WebhookDelivery(Table, table=True):
    """One escalation to be told of, once: by references only. `id` is what the receiver knows a repeat by.

    `failure` is a word or two of why the last try failed, never anything that the receiver said.
    """

    __table_args__ = (
        UniqueConstraint("result_id", "opened_at", "due_at", "level"),
        Index(
            "ix_webhook_delivery_waiting",
            "organisation_id",
            "retry_at",
            postgresql_where=text("sent_at IS NULL AND given_up_at IS NULL"),
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    result_id: UUID
    opened_at: datetime = moment()
    due_at: datetime = moment()
    level: int = small()
    urgency: int = small()
    created_at: datetime = moment(default_factory=now)
    sent_at: datetime | None = moment(default=None, nullable=True)
    given_up_at: datetime | None = moment(default=None, nullable=True)
    tries: int = 0
    retry_at: datetime = moment(default_factory=now)
    failure: str = Field(default="", max_length=60)
