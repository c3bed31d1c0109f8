"""People who sign in, their sessions, their second factors and the tokens of their programs."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Index, String, false
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from server.database.columns import Table, moment, now


class Role(StrEnum):
    """What a person may do; stored as text."""

    CLINICIAN = "clinician"
    LEAD = "lead"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Account(Table, table=True):
    """A person of one organisation. `email` is lower case and unique over the whole server."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    email: str = Field(unique=True, max_length=254)
    name: str = Field(max_length=120)
    role: str = Field(max_length=20)
    password_hash: str
    active: bool = True
    created_at: datetime = moment(default_factory=now)
    must_change_password: bool = Field(default=False, sa_column_kwargs={"server_default": false()})

    @property
    def granted(self) -> frozenset[str]:
        """Nothing: an account by itself has what its role allows; see `service.Viewer`."""
        return frozenset()


class SignIn(Table, table=True):
    """A session of a person. Only the SHA-256 of its secret id is kept, 32 bytes.

    While `pending`, the password was right and the second factor is still to come: it opens no page but that one.
    `by_provider`: an organisation's own provider vouched for the person, and `factor_met`, for a second factor too.
    """

    id_hash: bytes = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    account_id: UUID = Field(foreign_key="account.id", index=True)
    csrf: str = Field(max_length=64)
    created_at: datetime = moment(default_factory=now)
    expires_at: datetime = moment()
    seen_at: datetime = moment(default_factory=now)
    pending: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    by_provider: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    factor_met: bool = Field(default=False, sa_column_kwargs={"server_default": false()})


class SecondFactor(Table, table=True):
    """What makes a person's codes (RFC 6238): the secret, encrypted under the master key and bound to the account.

    Not asked for until `confirmed_at`, when a code was shown that it makes. `last_step` is the time step of the last
    code taken: that one and all before it are refused from then on.
    """

    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    organisation_id: UUID = Field(foreign_key="organisation.id")
    secret: bytes
    last_step: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime = moment(default_factory=now)
    confirmed_at: datetime | None = moment(default=None, nullable=True)


class RecoveryCode(Table, table=True):
    """One of the codes that stand in for a lost second factor, each for once. Only its SHA-256 is kept, 32 bytes."""

    code_hash: bytes = Field(primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    account_id: UUID = Field(foreign_key="account.id", index=True)
    used_at: datetime | None = moment(default=None, nullable=True)


class SecondFactorRule(Table, table=True):
    """A role that needs a second factor in an organisation; no row, no need."""

    organisation_id: UUID = Field(primary_key=True, foreign_key="organisation.id")
    role: str = Field(primary_key=True, max_length=20)


class AccessToken(Table, table=True):
    """What lets a program of a person's own call the interface in their name, within their role.

    Only the SHA-256 of its secret is kept, 32 bytes. `acts` narrows what it may do (`permissions.May`); null does not.
    """

    __table_args__ = (Index("ix_access_token_account", "account_id", "created_at"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    account_id: UUID = Field(foreign_key="account.id")
    secret_hash: bytes = Field(unique=True)
    name: str = Field(max_length=60)
    acts: list[str] | None = Field(default=None, sa_type=ARRAY(String(30)), nullable=True)  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownVariableType]
    created_at: datetime = moment(default_factory=now)
    expires_at: datetime = moment()
    used_at: datetime | None = moment(default=None, nullable=True)
    revoked_at: datetime | None = moment(default=None, nullable=True)


class SignInThrottle(Table, table=True):
    """How often signing in to one account from one address has failed: of no organisation, since none is known yet.

    `key` is a keyed hash of e-mail address and network address, 32 bytes, so that the table names neither.
    """

    key: bytes = Field(primary_key=True)
    failures: int
    failed_at: datetime = moment(default_factory=now, index=True)
