"""Quality-control tests as the readers recorded them, apart from results: nothing can show one as a person's."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, text
from sqlmodel import Field

from server.database.columns import Table, document, moment, now, small


class QualityTest(Table, table=True):
    """One quality-control test. `passed` is the reader's verdict on `level` of the control `material` (a GTIN).

    The rest is as in a `Result`. What a later record says of the same reader and assay replaces what this one says:
    numbers of a reader are in the order of its tests, whatever its clock.
    """

    __table_args__ = (
        ForeignKeyConstraint(["reader_id", "number"], ["sealed_record.reader_id", "sealed_record.number"]),
        Index("ix_quality_test_state", "organisation_id", "reader_id", "assay", "number"),
        Index("ix_quality_test_received", "organisation_id", "received_at"),
        Index("ix_quality_test_recompute", "organisation_id", postgresql_where=text("recomputed_at IS NULL")),
        Index(
            "ix_quality_test_cassette",
            "organisation_id",
            "gtin",
            "lot",
            "serial",
            postgresql_where=text("serial IS NOT NULL"),
        ),
    )

    reader_id: bytes = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    organisation_id: UUID
    site_id: UUID
    hub_id: bytes
    received_at: datetime = moment(default_factory=now)

    material: str = Field(max_length=64)
    material_lot: str | None = Field(default=None, max_length=64)
    level: str = Field(max_length=64)
    passed: bool

    assay: str = Field(max_length=64)
    assay_version: int = Field(sa_type=BigInteger)
    lot: str | None = Field(default=None, max_length=64)
    serial: str | None = Field(default=None, max_length=64)
    operator: str | None = Field(default=None, max_length=64)
    gtin: str | None = Field(default=None, max_length=64)
    outcome: int = small()
    reason: int = small()
    algorithm: str = Field(max_length=64)
    firmware: str = Field(max_length=64)
    analytes: list[dict[str, Any]] = document()
    tested_at: datetime | None = moment(default=None, nullable=True)
    tested_uncertainty_ms: int | None = Field(default=None, sa_type=BigInteger)
    time_basis: str = Field(max_length=20)
    checks: int = Field(default=0, sa_type=BigInteger)
    recomputed_at: datetime | None = moment(default=None, nullable=True)
    recomputation: str | None = Field(default=None, max_length=20)
    recomputed_outcome: int | None = small(default=None, nullable=True)
    recomputed_reason: int | None = small(default=None, nullable=True)
