"""Acts that were done under an Idempotency-Key."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from server.database.columns import Table, moment, now


class RepeatableAct(Table, table=True):
    """What a person's program did under a key of its own, and to what: a retry is answered from it and does nothing.

    Hashes are SHA-256, 32 bytes. `subject` is what the act made or changed; the answer itself, which may speak of a
    patient, is not kept a second time.
    """

    __table_args__ = (Index("ix_repeatable_act_at", "account_id", "at"),)

    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    key_hash: bytes = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    request_hash: bytes
    subject: UUID | None = None
    at: datetime = moment(default_factory=now)
