"""Who may sign in, who is signed in, and until when.

A session's secret id is known to the browser alone; the database holds its SHA-256. A session ends after `IDLE` without
activity, at the latest after the setting `session_hours`. Signing in is slowed, never locked: the wait counts for one
account from one network address, so that a stranger elsewhere cannot keep a person out, and it is never longer than
five minutes. A browser in which the person has signed in before counts for itself, so that nobody of the same network,
and nobody who stole the password and tries codes, keeps them out of it either. With a second factor the password opens
a session that waits for the code, for `CODE_WITHIN`, and opens nothing else.
"""

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import factor_repository, landing, passwords, repository
from server.accounts.models import Account, Role, SignIn
from server.accounts.permissions import EMERGENCY, May
from server.audit import service as audit
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.openid import repository as openid
from server.organisations.service import NAME_MAX, usable_name
from server.problems import Problem

IDLE = timedelta(hours=1)
CODE_WITHIN = timedelta(minutes=10)
NOTED_EVERY = timedelta(minutes=1)
_SECRET_BYTES = 32
EMAIL_MAX = 254


class EmailRefused(Problem):
    """What was given is not an e-mail address that this server can use."""

    status = 422
    code = "email-refused"
    title = "That is not an email address"


class EmailTaken(Problem):
    """There is an account of that address."""

    status = 409
    code = "email-taken"
    title = "There is an account with that email address"


class RoleUnknown(Problem):
    """The role is not one of `Role`."""

    status = 422
    code = "role-unknown"
    title = "There is no such role"


class SignInRefused(Problem):
    """Unknown address, wrong password or closed account: one answer for all three."""

    status = 401
    code = "sign-in-refused"
    title = "The email address or the password is not right"


class PasswordsOff(Problem):
    """The password is right, and the organisation signs in by its provider only: its `name` and `label`."""

    status = 403
    code = "passwords-off"
    title = "Your organisation does not sign in with passwords"

    def __init__(self, name: str, label: str) -> None:
        super().__init__(f"Sign in with {label}.", extra={"sign_in": f"/sign-in/with/{name}"})
        self.name, self.label = name, label


class TooSoon(Problem):
    """This account was tried too often from this address; `retry_after_s` says how long to wait."""

    status = 429
    code = "too-soon"
    title = "Too many tries"

    def __init__(self, retry_after_s: int) -> None:
        unit = "second" if retry_after_s == 1 else "seconds"
        super().__init__(f"Wait {retry_after_s} {unit}, then try again.", headers={"Retry-After": str(retry_after_s)})
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person behind a request, and the session they came with."""

    account_id: UUID
    organisation_id: UUID
    organisation: str
    name: str
    email: str
    role: str
    csrf: str
    sign_in: bytes
    first: str = ""
    """The page they must deal with before any other; empty when there is none."""
    privacy_lead: bool = False
    """They are told of each use of emergency access, and review it."""
    emergency: repository.Emergency | None = None
    """The emergency access of this session, while it lasts."""
    acts: frozenset[str] | None = None
    """What an access token was narrowed to; None for a session, and for a token with all that the role may do."""

    @property
    def granted(self) -> frozenset[May]:
        """What they may do beyond their role."""
        reviewing = frozenset({May.REVIEW_EMERGENCY}) if self.privacy_lead else frozenset[May]()
        return reviewing | EMERGENCY if self.emergency else reviewing

    @property
    def purpose(self) -> str:
        """Why they read patient data, as the audit log has it."""
        return repository.emergency_purpose(self.emergency.id) if self.emergency else "care"

    @property
    def links(self) -> tuple[landing.Link, ...]:
        """The pages that the head of a page leads to."""
        return () if self.first else landing.links(self)

    @property
    def start(self) -> landing.Link:
        """Where they begin."""
        return landing.start(self)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just opened: `secret` goes to the browser and is kept nowhere else."""

    secret: str
    account_id: UUID
    organisation_id: UUID
    lifetime: timedelta
    pending: bool = False
    """It waits for the second factor."""


async def create_user(
    session: AsyncSession,
    email: str,
    name: str,
    role: str,
    password: str | None,
    organisation_id: UUID,
    *,
    must_change_password: bool = False,
) -> Account:
    """Make an account in the session's transaction, which the caller commits.

    `must_change_password` where the person did not choose it: no page opens until they did. Without a password nobody
    knows it: the person comes by the organisation's sign-in provider, or an administrator gives them one.
    Raises `EmailRefused`, `EmailTaken`, `NameUnusable`, `RoleUnknown` or `passwords.WeakPassword`, each with a sentence
    for the person who typed it.
    """
    address = normalised_email(email)
    if role not in set(Role):
        raise RoleUnknown(f"Choose one of {', '.join(sorted(Role))}.")
    person = usable_name(name, NAME_MAX)
    if password is None:
        password = secrets.token_urlsafe(_SECRET_BYTES)
    else:
        passwords.check_strength(password, address)
    account = Account(
        organisation_id=organisation_id,
        email=address,
        name=person,
        role=role,
        password_hash=await passwords.hashed(password),
        must_change_password=must_change_password,
    )
    await tenancy.enter(session, organisation_id)
    try:
        async with session.begin_nested():
            session.add(account)
    except IntegrityError as error:
        if "uq_account_email" not in str(error.orig):
            raise
        raise EmailTaken("Choose another address, or ask for the password of that account to be changed.") from None
    return account


def normalised_email(email: str) -> str:
    """The address as it is stored: trimmed, lower case. `EmailRefused` for what cannot be one."""
    address = email.strip().lower()
    local, at, domain = address.rpartition("@")
    printable = address.isprintable() and not any(character.isspace() for character in address)
    if not (local and at and "." in domain.strip(".") and printable and len(address) <= EMAIL_MAX):
        raise EmailRefused("Give an address such as name@example.org.")
    return address


async def sign_in(
    sessions: Sessions,
    email: str,
    password: str,
    address: str | None,
    secret: bytes,
    lifetime: timedelta,
    device: str | None = None,
) -> Opened:
    """Open a session for the person with that address and password; raises `SignInRefused`, `TooSoon`, `PasswordsOff`.

    `address` is the network address that asks, `secret` the server's session secret, `device` the name of a browser in
    which this very person has signed in before. No database connection is held
    while the password is checked, and the same work is done whether or not the account exists.
    """
    moment = now()
    try:
        wanted = normalised_email(email)
    except EmailRefused:
        wanted = ""
    key = _throttle_key(wanted, f"device {device}" if device else address, secret)
    async with tenancy.transaction(sessions) as session:
        wait_s = await repository.count_attempt(session, key, moment)
        account = await repository.account_by_email(session, wanted) if wait_s is None else None
    if wait_s is not None:
        raise TooSoon(ceil(wait_s))
    right, renewed = await passwords.verified(password, account.password_hash if account else None)
    if account is None or not right or not account.active:
        raise SignInRefused("Check both and try again.")
    async with tenancy.transaction(sessions, account.organisation_id) as session:
        await repository.forget_attempts(session, key, moment)
        await repository.end_expired(session, account.id, moment)
        if renewed:
            await repository.renew_password_hash(session, account.id, renewed)
        instead = await openid.instead_of_passwords(session)
        if instead is None:
            pending = await factor_repository.confirmed(session, account.id) is not None
            await _note(session, account.organisation_id, account.id, "sign-in.password" if pending else "sign-in")
            return open_session(session, account.id, account.organisation_id, lifetime, pending=pending)
        # Kept, though nobody is let in: somebody knows the password.
        await _note(session, account.organisation_id, account.id, "sign-in.passwords-off")
    raise PasswordsOff(*instead)


def open_session(
    session: AsyncSession,
    account_id: UUID,
    organisation_id: UUID,
    lifetime: timedelta,
    *,
    pending: bool = False,
    by_provider: bool = False,
    factor_met: bool = False,
) -> Opened:
    """A new session in the transaction, which the caller commits; the caller has checked who it is."""
    moment = now()
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    lasts = CODE_WITHIN if pending else lifetime
    session.add(
        SignIn(
            id_hash=_id_hash(secret),
            organisation_id=organisation_id,
            account_id=account_id,
            csrf=secrets.token_urlsafe(_SECRET_BYTES),
            created_at=moment,
            expires_at=moment + lasts,
            seen_at=moment,
            pending=pending,
            by_provider=by_provider,
            factor_met=factor_met,
        )
    )
    return Opened(secret, account_id, organisation_id, lasts, pending)


async def waiting(sessions: Sessions, session_secret: str) -> SignIn | None:
    """The session with that secret id while it waits for its second factor."""
    async with tenancy.transaction(sessions) as session:
        found = await repository.sign_in_by_hash(session, _id_hash(session_secret))
    return found if found and found.pending and found.expires_at > now() else None


async def email_of(sessions: Sessions, waiting: SignIn) -> str:
    """The address of whoever is half signed in; empty when the account was closed."""
    async with tenancy.transaction(sessions, waiting.organisation_id) as session:
        person = await repository.person(session, waiting.account_id)
    return person.account.email if person else ""


async def viewer(sessions: Sessions, session_secret: str, *, active: bool) -> Viewer | None:
    """The person whose session has that secret id, or None when it is unknown, has ended, or its account was closed.

    `active` says that a person did something, which puts off the end of an idle session; a page that refreshes itself
    does not.
    """
    moment = now()
    id_hash = _id_hash(session_secret)
    async with tenancy.transaction(sessions) as session:
        opened = await repository.sign_in_by_hash(session, id_hash)
        if opened is None or opened.pending or opened.expires_at <= moment or opened.seen_at + IDLE <= moment:
            return None
        await tenancy.enter(session, opened.organisation_id)
        person = await repository.person(session, opened.account_id, id_hash)
        if person is None:
            return None
        if active and opened.seen_at + NOTED_EVERY <= moment:
            await repository.touch(session, id_hash, moment)
    account = person.account
    return Viewer(
        account_id=account.id,
        organisation_id=account.organisation_id,
        organisation=person.organisation,
        name=account.name,
        email=account.email,
        role=account.role,
        csrf=opened.csrf,
        sign_in=id_hash,
        first=first_page(person, opened),
        privacy_lead=person.privacy_lead,
        emergency=person.emergency,
    )


def first_page(person: repository.Person, opened: SignIn | None = None) -> str:
    """The page that the person must deal with before any other; empty when there is none. `opened` is their session,
    None for who comes by an access token."""
    by_provider = opened is not None and opened.by_provider
    # Whoever came by a provider never typed the password that waits to be changed; it waits for whoever types it.
    if person.account.must_change_password and not by_provider:
        return "/account/password"
    lacks = person.needs_factor and not person.has_factor and not (opened is not None and opened.factor_met)
    return "/account/second-factor" if lacks else ""


async def sign_out(sessions: Sessions, person: Viewer) -> None:
    """End the session that the person came with."""
    async with tenancy.transaction(sessions, person.organisation_id) as session:
        await repository.end(session, person.sign_in)
        await _note(session, person.organisation_id, person.account_id, "sign-out")


async def _note(session: AsyncSession, organisation_id: UUID, account_id: UUID, action: str) -> None:
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=audit.Actor("account", str(account_id)),
        action=action,
        subject_kind="account",
        subject=str(account_id),
    )


def _id_hash(session_secret: str) -> bytes:
    return hashlib.sha256(session_secret.encode()).digest()


def account_key(account_id: UUID, secret: bytes, device: str | None = None) -> bytes:
    """The throttle's key of what only somebody with the password, or in a session of theirs, can try: codes.

    For one account wherever it is tried from: six digits are few enough to be guessed from many addresses at once. A
    `device` in which the person has signed in before counts for itself: who stole the password does not slow it down.
    """
    told = b"throttle-account\n" + account_id.bytes + (f"\ndevice {device}".encode() if device else b"")
    return hmac.digest(secret, told, "sha256")


def _throttle_key(email: str, address: str | None, secret: bytes) -> bytes:
    """A keyed hash of account and network; an IPv6 network is a /64, which is what one subscriber is given."""
    network = address or "unknown"
    try:
        parsed = ipaddress.ip_address(network)
    except ValueError:
        pass
    else:
        if parsed.version == 6:
            network = str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return hmac.digest(secret, f"throttle\n{email}\n{network}".encode(), "sha256")
