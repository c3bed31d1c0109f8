"""All SQL of the people of an organisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account, SecondFactor
from server.followup.models import FollowUp
from server.followup.states import OPEN
from server.openid.models import OpenidLink

STAFF_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Member:
    """One account with what an administrator decides on: its second factor and the open follow-ups it owns."""

    account: Account
    has_factor: bool
    owned: int
    linked: bool = False
    """A subject of the organisation's sign-in provider is this person."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of everybody: behind the account of that id, which was open to sign in or not."""

    account_id: UUID
    active: bool

    def text(self) -> str:
        return f"{int(self.active)} {self.account_id}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """What `text` wrote."""
        active, _, account_id = text.partition(" ")
        return cls(UUID(account_id), active == "1")

    @classmethod
    def of(cls, account: Account) -> "Place":
        return cls(account.id, account.active)


async def members(
    session: AsyncSession, account_id: UUID | None = None, *, after: Place | None = None, most: int = STAFF_MAX
) -> Sequence[Member]:
    """Everybody of the session's organisation, or that one: those who may sign in first, by name; at most so many."""
    has = exists().where(col(SecondFactor.account_id) == col(Account.id), col(SecondFactor.confirmed_at).is_not(None))
    owned = (
        select(func.count())
        .where(col(FollowUp.owner_id) == col(Account.id), col(FollowUp.state).in_([int(state) for state in OPEN]))
        .scalar_subquery()
    )
    linked = exists().where(col(OpenidLink.account_id) == col(Account.id))
    statement = (
        select(Account, has, owned, linked)
        .order_by(col(Account.active).desc(), func.lower(col(Account.name)), col(Account.id))
        .limit(most)
    )
    if account_id is not None:
        statement = statement.where(col(Account.id) == account_id)
    if after is not None:
        # An account is never removed; its name as it is now is where the list goes on.
        there = aliased(Account)
        name = select(func.lower(col(there.name))).where(col(there.id) == after.account_id).scalar_subquery()
        behind = tuple_(func.lower(col(Account.name)), col(Account.id)) > tuple_(name, literal(after.account_id))
        statement = statement.where(
            or_(and_(col(Account.active) == after.active, behind), and_(~col(Account.active), literal(after.active)))
        )
    return [Member(row[0], row[1], row[2], row[3]) for row in (await PlainSession.execute(session, statement)).all()]


async def lock(session: AsyncSession, account_id: UUID) -> Account | None:
    """An account of the session's organisation, held for this transaction: nothing new becomes theirs meanwhile.

    FOR UPDATE, which waits for whoever has just named the account as an owner, and makes whoever would wait.
    """
    statement = select(Account).where(col(Account.id) == account_id).with_for_update()
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()
