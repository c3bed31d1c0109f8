"""All SQL of people, their sessions and the sign-in throttle."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel import select as select_one
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import token_repository
from server.accounts.models import Account, SecondFactor, SecondFactorRule, SignIn, SignInThrottle
from server.database import tenancy
from server.emergency.models import EmergencyAccess, PrivacyLead
from server.organisations.models import Organisation

FREE_FAILURES = 3
LONGEST_WAIT_S = 300
FORGOTTEN_AFTER = timedelta(hours=1)

# One statement, so that a hundred attempts at once count as a hundred: an attempt is counted as failed before the
# password is looked at, and an attempt while a wait runs changes nothing, so that nobody can make the wait longer by
# asking.
_WAIT_S = f"""CASE WHEN t.failures < {FREE_FAILURES} THEN 0
    ELSE least({LONGEST_WAIT_S}, power(2, least(t.failures - {FREE_FAILURES}, 16))) END"""
_ATTEMPT = text(f"""
    INSERT INTO sign_in_throttle AS t (key, failures, failed_at) VALUES (:key, 1, :now)
    ON CONFLICT (key) DO UPDATE SET
        failures = CASE WHEN t.failed_at < :forgotten THEN 1 ELSE t.failures + 1 END,
        failed_at = :now
    WHERE t.failed_at + make_interval(secs => {_WAIT_S}) <= :now
    RETURNING t.failures
""")  # noqa: S608 - constants only
_REMAINING = text(f"""
    SELECT extract(epoch FROM t.failed_at + make_interval(secs => {_WAIT_S}) - :now)::float8
    FROM sign_in_throttle AS t WHERE key = :key
""")  # noqa: S608 - constants only


async def count_attempt(session: AsyncSession, key: bytes, now: datetime) -> float | None:
    """Count an attempt as failed: None when it may go on, else the seconds to wait. One that waits is not counted."""
    attempt = await (await session.connection()).execute(
        _ATTEMPT, {"key": key, "now": now, "forgotten": now - FORGOTTEN_AFTER}
    )
    if attempt.first() is not None:
        return None
    remaining = (await (await session.connection()).execute(_REMAINING, {"key": key, "now": now})).scalar_one_or_none()
    return max(1.0, float(remaining or 0))


async def forget_attempts(session: AsyncSession, key: bytes, now: datetime) -> None:
    """Clear the account of `key` and whatever is long past."""
    await (await session.connection()).execute(
        delete(SignInThrottle).where(
            (col(SignInThrottle.key) == key) | (col(SignInThrottle.failed_at) < now - 2 * FORGOTTEN_AFTER)
        )
    )


async def account_by_email(session: AsyncSession, email: str) -> Account | None:
    """The account of that address (lower case) in any organisation."""
    await tenancy.look_up(session, "account", email)
    return (await session.exec(select_one(Account).where(Account.email == email))).one_or_none()


async def sign_in_by_hash(session: AsyncSession, id_hash: bytes) -> SignIn | None:
    """The session whose secret id has that SHA-256, in any organisation."""
    await tenancy.look_up(session, "sign-in", id_hash.hex())
    return (await session.exec(select_one(SignIn).where(SignIn.id_hash == id_hash))).one_or_none()


@dataclass(frozen=True, slots=True)
class Person:
    """An account that may sign in, its organisation's name, and how it stands with its second factor."""

    account: Account
    organisation: str
    has_factor: bool
    needs_factor: bool
    privacy_lead: bool
    emergency: "Emergency | None"


@dataclass(frozen=True, slots=True)
class Emergency:
    """Emergency access that a session has at this moment."""

    id: UUID
    until: datetime


def emergency_purpose(access_id: UUID) -> str:
    """Why something is read by that emergency access, as the audit log has it: by this the reads of a use are found."""
    return f"emergency access {access_id}"


async def person(session: AsyncSession, account_id: UUID, id_hash: bytes = b"") -> Person | None:
    """An account of the session's organisation that may sign in; None when it was closed.

    With the hash of their session, the emergency access that it has now too.
    """
    has = exists().where(col(SecondFactor.account_id) == col(Account.id), col(SecondFactor.confirmed_at).is_not(None))
    needs = exists().where(
        and_(
            col(SecondFactorRule.organisation_id) == col(Account.organisation_id),
            col(SecondFactorRule.role) == col(Account.role),
        )
    )
    leads = exists().where(col(PrivacyLead.account_id) == col(Account.id))
    open_now = and_(
        col(EmergencyAccess.sign_in) == id_hash,
        col(EmergencyAccess.account_id) == col(Account.id),
        col(EmergencyAccess.ended_at).is_(None),
        col(EmergencyAccess.ends_at) > func.now(),
    )
    statement = (
        select(
            Account, col(Organisation.name), has, needs, leads, col(EmergencyAccess.id), col(EmergencyAccess.ends_at)
        )
        .join(Organisation, col(Organisation.id) == col(Account.organisation_id))
        .outerjoin(EmergencyAccess, open_now)
        .where(col(Account.id) == account_id, col(Account.active))
    )
    row = (await PlainSession.execute(session, statement)).one_or_none()
    if row is None:
        return None
    return Person(row[0], row[1], row[2], row[3], row[4], Emergency(row[5], row[6]) if row[5] else None)


async def lock(session: AsyncSession, account_id: UUID) -> None:
    """Hold an account's row for this transaction, against others that hold it so."""
    statement = select(col(Account.id)).where(col(Account.id) == account_id).with_for_update(key_share=True)
    await PlainSession.execute(session, statement)


async def touch(session: AsyncSession, id_hash: bytes, now: datetime) -> None:
    """Note that the session's person was active."""
    await (await session.connection()).execute(update(SignIn).where(col(SignIn.id_hash) == id_hash).values(seen_at=now))


async def renew_password_hash(session: AsyncSession, account_id: UUID, stored: str) -> None:
    """Replace the stored form of a password that was just checked."""
    await (await session.connection()).execute(
        update(Account).where(col(Account.id) == account_id).values(password_hash=stored)
    )


async def end(session: AsyncSession, id_hash: bytes) -> None:
    """Remove one session, and end what emergency access it has."""
    await _end_emergency(session, col(EmergencyAccess.sign_in) == id_hash)
    await (await session.connection()).execute(delete(SignIn).where(col(SignIn.id_hash) == id_hash))


async def end_expired(session: AsyncSession, account_id: UUID, now: datetime) -> None:
    """Remove a person's sessions that have run out."""
    await (await session.connection()).execute(
        delete(SignIn).where(col(SignIn.account_id) == account_id, col(SignIn.expires_at) < now)
    )


async def take_pending(session: AsyncSession, id_hash: bytes, now: datetime) -> bool:
    """Remove a session that waits for its second factor; True for the one caller that did."""
    taken = await (await session.connection()).execute(
        delete(SignIn)
        .where(col(SignIn.id_hash) == id_hash, col(SignIn.pending), col(SignIn.expires_at) > now)
        .returning(col(SignIn.id_hash))
    )
    return taken.first() is not None


async def open_sessions(session: AsyncSession, account_id: UUID, now: datetime, idle: timedelta) -> Sequence[SignIn]:
    """A person's sessions that still open pages, the latest used first."""
    statement = (
        select_one(SignIn)
        .where(
            col(SignIn.account_id) == account_id,
            ~col(SignIn.pending),
            col(SignIn.expires_at) > now,
            col(SignIn.seen_at) > now - idle,
        )
        .order_by(col(SignIn.seen_at).desc(), col(SignIn.created_at).desc())
    )
    return (await session.exec(statement)).all()


async def end_sessions(
    session: AsyncSession, account_id: UUID, *, only: bytes | None = None, but: bytes | None = None
) -> int:
    """Remove a person's sessions: all, `only` that one, or all `but` that one; how many.

    The emergency access of each ends with it. Unless it is only one, every access token of theirs ends too: whoever
    signs out everywhere means everywhere.
    """
    if only is None:
        await token_repository.revoke_all(session, account_id)
    statement = delete(SignIn).where(col(SignIn.account_id) == account_id)
    ended = [col(EmergencyAccess.account_id) == account_id]
    if only is not None:
        statement = statement.where(col(SignIn.id_hash) == only)
        ended.append(col(EmergencyAccess.sign_in) == only)
    if but is not None:
        statement = statement.where(col(SignIn.id_hash) != but)
        ended.append(col(EmergencyAccess.sign_in) != but)
    await _end_emergency(session, *ended)
    return (await (await session.connection()).execute(statement)).rowcount


async def end_password_sessions(session: AsyncSession, but: bytes) -> int:
    """Remove every session of the organisation that a password began or is beginning, all `but` that one; how many.

    The emergency access of each ends with it. Access tokens go on.
    """
    these = (~col(SignIn.by_provider), col(SignIn.id_hash) != but)
    await _end_emergency(session, col(EmergencyAccess.sign_in).in_(select(col(SignIn.id_hash)).where(*these)))
    return (await (await session.connection()).execute(delete(SignIn).where(*these))).rowcount


async def set_password(session: AsyncSession, account_id: UUID, stored: str, *, must_change: bool) -> None:
    """Replace a password; `must_change` when somebody else chose it."""
    await (await session.connection()).execute(
        update(Account)
        .where(col(Account.id) == account_id)
        .values(password_hash=stored, must_change_password=must_change)
    )


async def _end_emergency(session: AsyncSession, *whose: ColumnElement[bool]) -> None:
    ended = func.least(col(EmergencyAccess.ends_at), func.now())
    statement = update(EmergencyAccess).where(col(EmergencyAccess.ended_at).is_(None), *whose).values(ended_at=ended)
    await (await session.connection()).execute(statement)
