"""All SQL of providers and of the links to their subjects."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account, Role
from server.database import tenancy
from server.openid.models import OpenidLink, OpenidProvider

LISTED_MAX = 50


async def provider_named(session: AsyncSession, name: str) -> OpenidProvider | None:
    """The provider of that name, before an organisation is entered."""
    await tenancy.look_up(session, "openid", name)
    statement = select(OpenidProvider).where(col(OpenidProvider.name) == name)
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def listed(session: AsyncSession) -> Sequence[tuple[str, str]]:
    """(name, label) of every provider that the sign-in page shows, by label."""
    await tenancy.look_up(session, "openid-listed", "")
    statement = (
        select(col(OpenidProvider.name), col(OpenidProvider.label))
        .order_by(col(OpenidProvider.label))
        .limit(LISTED_MAX)
    )
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]


async def provider_of(session: AsyncSession) -> OpenidProvider | None:
    """The provider of the session's organisation."""
    return (await PlainSession.execute(session, select(OpenidProvider))).scalar_one_or_none()


async def take_provider(session: AsyncSession) -> OpenidProvider | None:
    """As `provider_of`, held for this transaction: nobody signs in with a password meanwhile."""
    return (await PlainSession.execute(session, select(OpenidProvider).with_for_update())).scalar_one_or_none()


async def instead_of_passwords(session: AsyncSession) -> tuple[str, str] | None:
    """(name, label) of the provider by which alone people sign in; None where passwords are on.

    It stays so for this transaction, in which a session is opened or not.
    """
    statement = select(OpenidProvider).with_for_update(read=True)
    found = (await PlainSession.execute(session, statement)).scalar_one_or_none()
    return None if found is None or found.passwords_off_at is None else (found.name, found.label)


async def proved(session: AsyncSession, issuer: str) -> bool:
    """Whether an administrator whose account is open has come in by that issuer."""
    statement = (
        select(col(Account.id))
        .join(OpenidLink, col(OpenidLink.account_id) == col(Account.id))
        .where(col(OpenidLink.issuer) == issuer, col(Account.role) == Role.ADMINISTRATOR, col(Account.active))
        .limit(1)
    )
    return (await PlainSession.execute(session, statement)).first() is not None


async def set_passwords_off(session: AsyncSession, at: datetime | None) -> None:
    """Nobody signs in with a password from then on; None lets them again."""
    await PlainSession.execute(session, update(OpenidProvider).values(passwords_off_at=at))


async def keep_provider(session: AsyncSession, organisation_id: UUID, values: dict[str, Any]) -> None:
    """Set the organisation's provider, in the place of an earlier one. An integrity error when the name is taken.

    Passwords stay off only where the issuer is the same: nobody has shown yet that another one lets them in.
    """
    statement = insert(OpenidProvider).values(organisation_id=organisation_id, **values)
    same = col(OpenidProvider.issuer) == statement.excluded.issuer
    kept = {"passwords_off_at": case((same, col(OpenidProvider.passwords_off_at)))}
    statement = statement.on_conflict_do_update(
        index_elements=[col(OpenidProvider.organisation_id)], set_={**values, **kept}
    )
    await PlainSession.execute(session, statement)


async def remove_provider(session: AsyncSession) -> bool:
    """Remove the provider of the session's organisation; False when there was none. Links stay, for its return."""
    statement = delete(OpenidProvider).returning(col(OpenidProvider.organisation_id))
    return (await PlainSession.execute(session, statement)).first() is not None


async def account_linked(session: AsyncSession, issuer: str, subject: str) -> UUID | None:
    """The account that the subject is, in the session's organisation."""
    statement = select(col(OpenidLink.account_id)).where(
        col(OpenidLink.issuer) == issuer, col(OpenidLink.subject) == subject
    )
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def account_of_email(session: AsyncSession, email: str) -> UUID | None:
    """The open account of that address (lower case), of the session's organisation only."""
    statement = select(col(Account.id)).where(col(Account.email) == email, col(Account.active))
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def link(
    session: AsyncSession, organisation_id: UUID, issuer: str, subject: str, account_id: UUID, at: datetime
) -> bool:
    """Link a subject to an account; False when either is linked at that issuer already."""
    statement = (
        insert(OpenidLink)
        .values(organisation_id=organisation_id, issuer=issuer, subject=subject, account_id=account_id, linked_at=at)
        .on_conflict_do_nothing()
        .returning(col(OpenidLink.subject))
    )
    return (await PlainSession.execute(session, statement)).first() is not None


async def unlink(session: AsyncSession, account_id: UUID) -> bool:
    """Forget every subject that is that account; False when there was none."""
    statement = delete(OpenidLink).where(col(OpenidLink.account_id) == account_id).returning(col(OpenidLink.subject))
    return (await PlainSession.execute(session, statement)).first() is not None
