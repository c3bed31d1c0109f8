"""Releases of the readers' application, rollouts of one to an organisation's readers, and how each reader stands."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from server.database.columns import Table, document, moment, now, small


class FirmwareRelease(Table, table=True):
    """An image as it was added, whole and for all organisations of the installation. Never changed.

    `image_id` is the first 16 bytes of `manifest_hash`; `digest` is SHA-256 of `content`. `follows` is the least
    release that it may follow. `bill` is its software bill of materials, CycloneDX as JSON.
    """

    __table_args__ = (UniqueConstraint("model", "release"),)

    image_id: bytes = Field(primary_key=True)
    model: str = Field(max_length=160)
    version: str = Field(max_length=32)
    release: int = Field(sa_type=BigInteger)
    follows: int = Field(sa_type=BigInteger)
    manifest_bytes: int
    manifest_hash: bytes
    size: int
    digest: bytes
    content: bytes
    bill: bytes | None = None
    added_at: datetime = moment(default_factory=now)


class State(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    PAUSED = "paused"
    """No further reader is sent it, and hubs are given no image, until somebody resumes or stops it."""
    STOPPED = "stopped"
    """Readers that have not begun to run it are told to forget it."""
    DONE = "done"


class Stage(StrEnum):
    """How far a reader is with the update of a rollout: what it journalled last of it."""

    WAITING = "waiting"
    """Its wave has not been opened."""
    SENT = "sent"
    """The command waits for a hub to bring it."""
    AWAITED = "awaited"
    WHOLE = "whole"
    STARTED = "started"
    CONFIRMED = "confirmed"
    WENT_BACK = "went-back"
    REFUSED = "refused"
    DROPPED = "dropped"


class Rollout(Table, table=True):
    """A release on its way to the readers of an organisation, a wave at a time; at most one is under way.

    `shares` are the waves after the canary: how many of all readers, in per cent, have been sent it with each. `wave`
    is the one opened last, counted from 0, the canary; `settled_at` is when nobody held it up any more.
    """

    __table_args__ = (
        Index(
            "ix_rollout_under_way",
            "organisation_id",
            unique=True,
            postgresql_where=text("state IN ('running', 'paused')"),
        ),
        Index("ix_rollout_started", "organisation_id", "started_at", "id"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    image_id: bytes = Field(foreign_key="firmware_release.image_id")
    state: str = Field(default=State.RUNNING, max_length=10)
    why: str = Field(default="", max_length=400)
    canary: int
    shares: list[int] = document()
    soak_hours: int
    limit_percent: int
    wave: int = small(default=0)
    settled_at: datetime | None = moment(default=None, nullable=True)
    started_at: datetime = moment(default_factory=now)
    changed_at: datetime = moment(default_factory=now)
    actor_kind: str = Field(max_length=20)
    actor: str = Field(max_length=120)


class RolloutReader(Table, table=True):
    """A reader of a rollout: its wave, chosen once, and how far it is.

    `number` is the command that tells it to await the image, `stop_number` the one that tells it to forget it. Stages
    follow from records beyond `after_record`, the highest number that was known when the command was made; `record` is
    the one that the stage is from, `trial_record` the first that says it runs the release. What it journalled up to
    `excused_record` was looked at, and counts against no limit any more. `active` while the rollout is under way: a
    reader is in one such at most.
    """

    __table_args__ = (
        ForeignKeyConstraint(["reader_id", "number"], ["command.reader_id", "command.number"]),
        Index("ix_rollout_reader_active", "reader_id", unique=True, postgresql_where=text("active")),
        Index("ix_rollout_reader_stage", "rollout_id", "stage", "reader_id"),
        Index("ix_rollout_reader_reader", "reader_id"),
    )

    rollout_id: UUID = Field(primary_key=True, foreign_key="rollout.id")
    reader_id: bytes = Field(primary_key=True, foreign_key="reader.reader_id")
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    wave: int = small()
    stage: str = Field(default=Stage.WAITING, max_length=10)
    changed_at: datetime = moment(default_factory=now)
    number: int | None = Field(default=None, sa_type=BigInteger)
    stop_number: int | None = Field(default=None, sa_type=BigInteger)
    after_record: int | None = Field(default=None, sa_type=BigInteger)
    record: int | None = Field(default=None, sa_type=BigInteger)
    trial_record: int | None = Field(default=None, sa_type=BigInteger)
    detail: str = Field(default="", max_length=64)
    excused_record: int | None = Field(default=None, sa_type=BigInteger)
    active: bool = True


class RolloutNotice(Table, table=True):
    """Somebody who is to be told that a rollout was paused by its own limits: once a pause."""

    __table_args__ = (Index("ix_rollout_notice_unsent", "organisation_id", postgresql_where=text("sent_at IS NULL")),)

    rollout_id: UUID = Field(primary_key=True, foreign_key="rollout.id")
    paused_at: datetime = moment(primary_key=True)
    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    organisation_id: UUID = Field(foreign_key="organisation.id")
    sent_at: datetime | None = moment(default=None, nullable=True)
    tries: int = 0
    retry_at: datetime = moment(default_factory=now)
