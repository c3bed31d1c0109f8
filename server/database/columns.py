"""What every table shares: its name after its class, and column shapes, so that a moment is stored alike everywhere."""

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, SmallInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel

# Constraint names that migrations can rely on; set before the first table is defined, because every model imports this.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """Base of every table: `SealedRecord` is kept in `sealed_record`."""

    @declared_attr  # pyright: ignore[reportArgumentType] - as SQLModel's own, which this overrides
    def __tablename__(cls) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


def now() -> datetime:
    """This moment, in UTC with its zone."""
    return datetime.now(UTC)


def moment(**options: Any) -> Any:
    """A point in time with its zone; `default_factory=now` where the row's own time is meant."""
    return Field(sa_type=DateTime(timezone=True), **options)  # pyright: ignore[reportArgumentType]


def document(**options: Any) -> Any:
    """A JSON document, jsonb."""
    return Field(sa_type=JSONB, **options)


def small(**options: Any) -> Any:
    """A small integer, such as an outcome."""
    return Field(sa_type=SmallInteger, **options)
