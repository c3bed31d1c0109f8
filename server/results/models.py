"""What was inside the records: results of tests and events of readers."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field

from server.database.columns import Table, document, moment, now, small
from server.results.recomputation import Recomputation

__all__ = ["ReaderEvent", "Recomputation", "Result", "TimeBasis"]


class TimeBasis(StrEnum):
    """What the test time rests on, best first."""

    ANCHOR = "anchor"
    """The reader's uptime, anchored to a hub's clock in the same boot, corrected by the server's clock."""
    READER_CLOCK = "reader-clock"
    """The reader's own wall clock, with the uncertainty it stated."""
    RECEIVED = "received"
    """Nothing but an upper bound: not later than the server received it. `tested_at` is null."""


class Result(Table, table=True):
    """One test. Outcomes and reasons are those of `reader.outcome`; analyte values are times 1000, as the reader wrote.

    `analytes` is a list of {name, outcome, reason, value, unit, error}. The trace is not kept twice: `results.service`
    opens the sealed record for it, whose being there is proved once a statement (migration 0002). Times in ms are the
    reader's uptime; temperatures hundredths of a degree Celsius.
    """

    __table_args__ = (
        UniqueConstraint("reader_id", "number"),
        Index("ix_result_worklist", "organisation_id", "outcome", "received_at"),
        Index("ix_result_assay", "organisation_id", "outcome", "assay", "received_at", "id"),
        Index("ix_result_received", "organisation_id", "received_at", "id"),
        Index("ix_result_specimen", "organisation_id", "specimen"),
        Index("ix_result_untimed", "reader_id", "boot_id", postgresql_where=text("time_basis <> 'anchor'")),
        Index(
            "ix_result_cassette",
            "organisation_id",
            "gtin",
            "lot",
            "serial",
            postgresql_where=text("serial IS NOT NULL"),
        ),
        Index("ix_result_recompute", "organisation_id", postgresql_where=text("recomputed_at IS NULL")),
    )

    id: UUID = Field(primary_key=True)
    organisation_id: UUID
    reader_id: bytes
    number: int = Field(sa_type=BigInteger)
    site_id: UUID
    hub_id: bytes
    received_at: datetime = moment(default_factory=now)

    specimen: str = Field(max_length=64)
    assay: str = Field(max_length=64)
    assay_version: int = Field(sa_type=BigInteger)
    lot: str | None = Field(default=None, max_length=64)
    serial: str | None = Field(default=None, max_length=64)
    operator: str | None = Field(default=None, max_length=64)
    gtin: str | None = Field(default=None, max_length=64)
    expiry: str | None = Field(default=None, max_length=64)
    calibration: str | None = Field(default=None, max_length=64)
    outcome: int = small()
    reason: int = small()
    algorithm: str = Field(max_length=64)
    firmware: str = Field(max_length=64)
    analytes: list[dict[str, Any]] = document()

    boot_id: bytes
    uptime_ms: int = Field(sa_type=BigInteger)
    wall_ms: int | None = Field(default=None, sa_type=BigInteger)
    clock_source: int = small()
    wall_uncertainty_ms: int | None = Field(default=None, sa_type=BigInteger)
    started_ms: int | None = Field(default=None, sa_type=BigInteger)
    due_ms: int | None = Field(default=None, sa_type=BigInteger)
    read_ms: int | None = Field(default=None, sa_type=BigInteger)
    tested_at: datetime | None = moment(default=None, nullable=True)
    tested_uncertainty_ms: int | None = Field(default=None, sa_type=BigInteger)
    time_basis: str = Field(default=TimeBasis.RECEIVED, max_length=20)

    ambient_cc: int | None = None
    lowest_cc: int | None = None
    highest_cc: int | None = None
    battery_mv: int | None = None
    checks: int = Field(default=0, sa_type=BigInteger)

    recomputed_at: datetime | None = moment(default=None, nullable=True)
    recomputation: str | None = Field(default=None, max_length=20)
    recomputed_outcome: int | None = small(default=None, nullable=True)
    recomputed_reason: int | None = small(default=None, nullable=True)


class ReaderEvent(Table, table=True):
    """Something that happened to a reader, as it journalled it. Codes are `wire.EVENT_*`."""

    __table_args__ = (
        Index("ix_reader_event_received", "organisation_id", "received_at"),
        Index("ix_reader_event_damaged", "reader_id", "number", postgresql_where=text("code = 6")),
        Index("ix_reader_event_updates", "reader_id", "number", postgresql_where=text("code IN (2, 8)")),
    )

    reader_id: bytes = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    organisation_id: UUID
    received_at: datetime = moment(default_factory=now)
    code: int = small()
    detail: str | None = Field(default=None, max_length=64)
    numbers: list[int] = document()
    firmware: str = Field(max_length=64)
    boot_id: bytes
    uptime_ms: int = Field(sa_type=BigInteger)
    wall_ms: int | None = Field(default=None, sa_type=BigInteger)
    clock_source: int = small()
    wall_uncertainty_ms: int | None = Field(default=None, sa_type=BigInteger)
