"""Organisations and the sites where their readers are used."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from server.database.columns import Table, moment, now


class Organisation(Table, table=True):
    """Whose data it is: nothing crosses from one to another."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True, max_length=120)
    created_at: datetime = moment(default_factory=now)


class Site(Table, table=True):
    """A place of an organisation: a clinic, a village."""

    __table_args__ = (UniqueConstraint("organisation_id", "name"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    name: str = Field(max_length=120)
    created_at: datetime = moment(default_factory=now)
