"""Custody: sealed records as they came, how far each reader's chain is held, what is quarantined, what goes down."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, SmallInteger, UniqueConstraint, text
from sqlmodel import Field

from server.database.columns import Table, moment, now


class SealedRecord(Table, table=True):
    """An authentic record at its place, raw. One reader and number holds one record for ever.

    That its reader is there and of its organisation is proved once a statement, by a trigger (migration 0002): a
    foreign key would look it up once a record.
    """

    reader_id: bytes = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    organisation_id: UUID
    generation: int
    previous: bytes
    chain_hash: bytes
    sealed: bytes
    hub_id: bytes
    received_at: datetime = moment(default_factory=now)


class Custody(Table, table=True):
    """How far a reader's chain is held. Its row is locked while records of the reader are accepted.

    1 … `held_to` are all held and chained; `held_hash` is the chain hash there. `issued_to` is the highest number of
    any authentic record of the reader, so that `issued_to - held_to` are missing or wait for one that is. `released_to`
    is how far hubs say that the reader has let go, never beyond what is held. `heard_at` is when a new authentic record
    last came, and `down_to` the highest command that the reader itself says it took: a hub's word moves none of these.
    """

    reader_id: bytes = Field(primary_key=True, foreign_key="reader.reader_id")
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    held_to: int = Field(default=0, sa_type=BigInteger)
    held_hash: bytes
    issued_to: int = Field(default=0, sa_type=BigInteger)
    released_to: int = Field(default=0, sa_type=BigInteger)
    forked_at: datetime | None = moment(default=None, nullable=True)
    heard_at: datetime | None = moment(default=None, nullable=True)
    down_to: int = Field(default=0, sa_type=BigInteger)


class QuarantineStatus(StrEnum):
    """Where a quarantined item stands."""

    OPEN = "open"
    PROCESSED = "processed"


class Quarantine(Table, table=True):
    """What could not be accepted or understood, with its bytes. `code` is stable (docs/protocol.md section 5).

    Code "conflict" is another authentic record at a number that is taken. `digest` is the SHA-256 of `content`: the
    same bytes offered again for the same problem are one row.
    """

    __table_args__ = (
        UniqueConstraint("organisation_id", "digest", "code"),
        Index("ix_quarantine_open", "organisation_id", "code", postgresql_where=text("status = 'open'")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id")
    hub_id: bytes = Field(foreign_key="hub.hub_id")
    reader_id: bytes | None = Field(default=None, index=True)
    number: int | None = Field(default=None, sa_type=BigInteger)
    code: str = Field(max_length=40)
    sentence: str
    content: bytes
    digest: bytes
    received_at: datetime = moment(default_factory=now)
    status: str = Field(default=QuarantineStatus.OPEN, max_length=20)
    processed_at: datetime | None = moment(default=None, nullable=True)


class QuarantineAttempt(Table, table=True):
    """One time that a quarantined item was processed again: who had it done and what came of it. Never changed.

    `code` is "processed", or the problem that stays.
    """

    __table_args__ = (Index("ix_quarantine_attempt_of", "quarantine_id", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    quarantine_id: int = Field(foreign_key="quarantine.id", sa_type=BigInteger)
    at: datetime = moment(default_factory=now)
    actor_kind: str = Field(max_length=20)
    actor: str = Field(max_length=120)
    code: str = Field(max_length=40)
    sentence: str


class AlertKind(StrEnum):
    """What a custody alert is about."""

    GAP = "gap"
    """A later record is held and an earlier one is not."""
    FORK = "fork"
    """Two authentic records claim one place: two readers may share a key."""
    SILENT = "silent"
    """No new record has come from the reader for longer than the organisation's policy allows."""


class CustodyAlert(Table, table=True):
    """Something wrong with a reader's custody, from when it was found until what resolves it was seen.

    `number` is the first record in question; `since` when the trouble itself began, as far as is known.
    """

    __table_args__ = (
        Index(
            "ix_custody_alert_open",
            "organisation_id",
            "reader_id",
            "kind",
            unique=True,
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id")
    reader_id: bytes = Field(foreign_key="reader.reader_id")
    kind: str = Field(max_length=20)
    number: int | None = Field(default=None, sa_type=BigInteger)
    since: datetime = moment()
    raised_at: datetime = moment(default_factory=now)
    cleared_at: datetime | None = moment(default=None, nullable=True)


class CustodyPolicy(Table, table=True):
    """How long a reader of an organisation may be silent before it is alarmed; without a row, the default."""

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    silent_hours: int
    changed_at: datetime = moment(default_factory=now)


class Sighting(Table, table=True):
    """What a hub saw of a reader at one visit: the anchor between the reader's uptime and the hub's clock.

    `hub_ms` is the hub's clock at the visit, `hub_posted_ms` the same clock when it posted and `received_at` the
    server's clock then; the two together correct the hub's clock.
    """

    __table_args__ = (
        UniqueConstraint("reader_id", "hub_id", "boot_id", "uptime_ms"),
        Index("ix_sighting_anchor", "reader_id", "boot_id", "uptime_ms"),
        Index("ix_sighting_next", "reader_id", "next_number"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    reader_id: bytes = Field(foreign_key="reader.reader_id")
    hub_id: bytes = Field(foreign_key="hub.hub_id")
    boot_id: bytes
    uptime_ms: int = Field(sa_type=BigInteger)
    hub_ms: int = Field(sa_type=BigInteger)
    uncertainty_ms: int = Field(sa_type=BigInteger)
    hub_posted_ms: int = Field(sa_type=BigInteger)
    received_at: datetime = moment(default_factory=now)
    first_number: int = Field(sa_type=BigInteger)
    next_number: int = Field(sa_type=BigInteger)
    released_to: int = Field(sa_type=BigInteger)
    down_number: int = Field(sa_type=BigInteger)
    battery_percent: int = Field(sa_type=SmallInteger)
    flags: int = Field(sa_type=BigInteger)
    firmware: str = Field(max_length=64)
    generation: int


class Command(Table, table=True):
    """A numbered downlink message that waits for a reader, sealed when it was made.

    `refusal` is the protocol's error where the reader spent the number and did not follow the command.
    """

    __table_args__ = (Index("ix_command_waiting", "reader_id", "number", postgresql_where=text("taken_at IS NULL")),)

    reader_id: bytes = Field(primary_key=True, foreign_key="reader.reader_id")
    number: int = Field(primary_key=True, sa_type=BigInteger)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    kind: int = Field(sa_type=SmallInteger)
    sealed: bytes
    generation: int
    created_at: datetime = moment(default_factory=now)
    taken_at: datetime | None = moment(default=None, nullable=True)
    refusal: int | None = Field(default=None, sa_type=SmallInteger)


class ServerEpoch(Table, table=True):
    """The server's history, by name: 8 random bytes, made anew whenever that history may have gone back."""

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    epoch: bytes
    why: str
    began_at: datetime = moment(default_factory=now)
