"""The provider of each organisation, and whose subject at it is which account here."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from server.database.columns import Table, document, moment, now


class OpenidProvider(Table, table=True):
    """Where the people of one organisation sign in. `name` stands in addresses, unique over the server.

    `client_secret` is encrypted under the master key. `acr` and `amr` are the values that an ID token must bear for its
    sign-in to count as one with a second factor; with neither, none does. Only a `listed` one is on the sign-in page.
    From `passwords_off_at` on no password opens a session of the organisation; null where passwords go on.
    """

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    name: str = Field(unique=True, max_length=40)
    label: str = Field(max_length=120)
    listed: bool = True
    issuer: str = Field(max_length=400)
    client_id: str = Field(max_length=255)
    client_secret: bytes
    acr: list[str] = document(default_factory=list)
    amr: list[str] = document(default_factory=list)
    set_at: datetime = moment(default_factory=now)
    passwords_off_at: datetime | None = moment(default=None, nullable=True)


class OpenidLink(Table, table=True):
    """One subject of one issuer is one account, for as long as the link stands, whatever its e-mail address becomes."""

    __table_args__ = (UniqueConstraint("organisation_id", "issuer", "account_id"),)

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    issuer: str = Field(primary_key=True, max_length=400)
    subject: str = Field(primary_key=True, max_length=255)
    account_id: UUID = Field(foreign_key="account.id", index=True)
    linked_at: datetime = moment(default_factory=now)
