"""Signs in whoever an organisation's provider vouches for, if an administrator has made an account for them.

Whom the provider vouches for is told by issuer and subject. The first time, when those are not known yet, the account
is the one of the e-mail address that the provider verified; from then on the address no longer counts, so that one that
is given to somebody else opens nothing of the one who had it. No account is ever made here.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import factor_repository
from server.accounts import repository as accounts
from server.accounts import service as sign_ins
from server.accounts.service import Opened
from server.audit import service as audit
from server.audit.service import Actor
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.hubs.throttle import TooMany, network
from server.openid import attempts, id_token, repository, secrecy
from server.openid.attempts import Attempt
from server.openid.id_token import Identity, NotBelieved
from server.openid.models import OpenidProvider
from server.openid.provider import (
    Client,
    CodeSpent,
    Metadata,
    Providers,
    ProviderWrong,
    Tokens,
    authorization_address,
    usable_address,
)
from server.organisations.models import Organisation
from server.organisations.service import usable_name
from server.problems import NotFound, Problem
from server.settings import Settings

log = logging.getLogger("doorstep.openid")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,38}[a-z0-9]")
_TEXT_MAX = 255
_CODE_MAX = 2048


class ProviderRefused(Problem):
    """What was given cannot be a provider; the sentence says what to give."""

    status = 422
    code = "provider-refused"
    title = "That cannot be a provider"


class AttemptStale(Problem):
    """The answer does not belong to an attempt of this browser, or comes too late."""

    status = 401
    code = "attempt-stale"
    title = "This sign-in did not begin in this browser, or began too long ago"

    def __init__(self) -> None:
        super().__init__("Start again from the sign-in page, in one browser, with cookies allowed.")


class NotCompleted(Problem):
    """The provider says that nobody signed in."""

    status = 401
    code = "not-completed"
    title = "You were not signed in by your organisation"

    def __init__(self) -> None:
        super().__init__("Start again from the sign-in page, or sign in with your email address and password.")


class NotKnownHere(Problem):
    """No open account here is that person's; which reason it is stands in the audit log, for an administrator."""

    status = 403
    code = "not-known-here"
    title = "There is no account here for you"

    def __init__(self) -> None:
        super().__init__(
            "Your organisation knows you, but nobody has made an account here with your email address, it is closed,"
            " or it belongs to another sign-in. Ask an administrator where you work."
        )


class EmailNotVerified(Problem):
    """The provider vouches for no e-mail address, and the person is not linked yet."""

    status = 403
    code = "email-not-verified"
    title = "Your organisation has not verified your email address"

    def __init__(self) -> None:
        super().__init__("Have it verified where you sign in, then start again from the sign-in page.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser brings back from the provider; empty where it brings nothing."""

    state: str
    code: str
    error: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A provider as it is to be set; the secret in the clear."""

    name: str
    label: str
    issuer: str
    client_id: str
    client_secret: str
    acr: Sequence[str] = ()
    amr: Sequence[str] = ()
    listed: bool = True


async def set_provider(
    session: AsyncSession, settings: Settings, organisation: Organisation, wanted: Wanted, actor: Actor
) -> None:
    """Set the organisation's provider, in the place of an earlier one. Raises `ProviderRefused`, `NameUnusable`."""
    label = usable_name(wanted.label, 120)
    if not _NAME.fullmatch(wanted.name):
        raise ProviderRefused("Its name is 2 to 40 small letters, digits and hyphens; it stands in an address.")
    if not usable_address(wanted.issuer) or "?" in wanted.issuer or len(wanted.issuer) > 400:
        raise ProviderRefused("Its issuer is an https address without question mark or fragment.")
    texts = (wanted.client_id, wanted.client_secret, *wanted.acr, *wanted.amr)
    if not all(0 < len(one) <= _TEXT_MAX and one.isascii() and one.isprintable() for one in texts):
        raise ProviderRefused(f"Client id, secret and accepted values are 1 to {_TEXT_MAX} printable characters.")
    detail = {"issuer": wanted.issuer, "acr": list(wanted.acr), "amr": list(wanted.amr), "listed": wanted.listed}
    await _note(session, organisation.id, actor, "openid.set", "organisation", str(organisation.id), detail)
    sealed = secrecy.encrypted(settings.master_key_bytes(), organisation.id, wanted.issuer, wanted.client_secret)
    values = {
        "name": wanted.name, "label": label, "listed": wanted.listed, "issuer": wanted.issuer,
        "client_id": wanted.client_id, "client_secret": sealed, "acr": list(wanted.acr), "amr": list(wanted.amr),
        "set_at": now(),
    }  # fmt: skip
    try:
        async with session.begin_nested():
            await repository.keep_provider(session, organisation.id, values)
    except IntegrityError as error:
        if "uq_openid_provider_name" not in str(error.orig):
            raise
        raise ProviderRefused("Another organisation’s provider has that name. Choose another.") from None


async def remove_provider(session: AsyncSession, organisation: Organisation, actor: Actor) -> bool:
    """Let nobody sign in by it any more; False when there was none."""
    await _note(session, organisation.id, actor, "openid.remove", "organisation", str(organisation.id), {})
    return await repository.remove_provider(session)


async def begin(sessions: Sessions, providers: Providers, settings: Settings, name: str, browser: str) -> str:
    """Where the browser whose cookie holds `browser` goes to sign in. Raises `NotFound` and the provider's problems."""
    provider = await _provider(sessions, name)
    metadata = await _metadata(providers, provider)
    attempt = attempts.begin(settings.session_secret_bytes(), browser, name, time.time())
    return authorization_address(metadata, _client(settings, provider), attempt, provider.acr)


async def take(
    sessions: Sessions,
    providers: Providers,
    settings: Settings,
    name: str,
    browser: str | None,
    answer: Answer,
    address: str | None,
) -> Opened:
    """Open a session for whom the provider vouches, pending where the local second factor is still to come.

    `address` is the network address that asks. Raises `NotFound`, `AttemptStale`, `NotCompleted`, `CodeSpent`,
    `NotKnownHere`, `EmailNotVerified`, `TooMany` and the provider's problems.
    """
    provider = await _provider(sessions, name)
    attempt = _attempt(settings, name, browser, answer)
    if wait_s := providers.failures.wait_s(network(address)):
        raise TooMany(wait_s)
    try:
        if answer.error or not 0 < len(answer.code) <= _CODE_MAX:
            raise NotCompleted
        identity = await _vouched(providers, settings, provider, attempt, answer)
    except (NotCompleted, CodeSpent, ProviderWrong) as refused:
        providers.failures.spend(network(address))
        if isinstance(refused, ProviderWrong):
            log.warning("the provider %s is not believed: %s", name, refused.why)
        raise
    return await _open(sessions, settings, provider, identity)


def redirect_uri(settings: Settings, name: str) -> str:
    """Where the provider sends the browser back: one address a provider, so that no two can be mixed up (RFC 9700)."""
    return f"{settings.origin}/sign-in/with/{name}/return"


def _attempt(settings: Settings, name: str, browser: str | None, answer: Answer) -> Attempt:
    secret = settings.session_secret_bytes()
    attempt = attempts.resume(secret, browser, name, answer.state, time.time()) if browser else None
    if attempt is None:
        raise AttemptStale
    return attempt


async def _provider(sessions: Sessions, name: str) -> OpenidProvider:
    async with tenancy.transaction(sessions) as session:
        found = await repository.provider_named(session, name) if _NAME.fullmatch(name) else None
    if found is None:
        raise NotFound("No organisation signs in by that address. Start again from the sign-in page.")
    return found


async def _metadata(providers: Providers, provider: OpenidProvider) -> Metadata:
    try:
        return await providers.metadata(provider.issuer)
    except ProviderWrong as wrong:
        log.warning("the provider %s is not believed: %s", provider.name, wrong.why)
        raise


def _client(settings: Settings, provider: OpenidProvider) -> Client:
    secret = secrecy.decrypted(
        settings.master_key_bytes(), provider.organisation_id, provider.issuer, provider.client_secret
    )
    return Client(provider.client_id, secret, redirect_uri(settings, provider.name))


async def _vouched(
    providers: Providers, settings: Settings, provider: OpenidProvider, attempt: Attempt, answer: Answer
) -> Identity:
    """Whom the provider vouches for. No database connection is held while it is asked."""
    metadata = await _metadata(providers, provider)
    if (answer.issuer or metadata.names_itself) and answer.issuer != metadata.issuer:
        raise ProviderWrong("its answer is of another issuer")
    tokens = await providers.tokens(metadata, _client(settings, provider), answer.code, attempt.verifier)
    try:
        header = id_token.header(tokens.id_token)
        key = await providers.key(metadata, header.algorithm, header.key_id)
        identity = id_token.verified(
            tokens.id_token, key, metadata.issuer, provider.client_id, attempt.nonce, tokens.access_token
        )
        return await _with_email(providers, metadata, tokens, identity)
    except NotBelieved as error:
        raise ProviderWrong(str(error)) from None


async def _with_email(providers: Providers, metadata: Metadata, tokens: Tokens, identity: Identity) -> Identity:
    """Many providers tell the address at their userinfo endpoint only; what it says counts for the same subject."""
    if identity.email or tokens.access_token is None or metadata.userinfo_endpoint is None:
        return identity
    told = id_token.identity(await providers.userinfo(metadata, tokens.access_token))
    if told.subject != identity.subject:
        raise NotBelieved("its userinfo is of somebody else")
    return Identity(identity.subject, told.email, identity.acr, identity.amr)


async def _open(sessions: Sessions, settings: Settings, provider: OpenidProvider, identity: Identity) -> Opened:
    async with tenancy.transaction(sessions, provider.organisation_id) as session:
        matched = await _match(session, provider, identity)
        if isinstance(matched, UUID):
            return await _session(session, settings, provider, identity, matched)
        # Kept, though nobody is let in: an administrator who is asked why finds it there.
        actor = Actor("provider", provider.name)
        await _note(session, provider.organisation_id, actor, "sign-in.refused", "sign-in", matched.code, {})
    raise matched


async def _match(session: AsyncSession, provider: OpenidProvider, identity: Identity) -> UUID | Problem:
    """The open account of the identity, linked now if it was not; or why there is none."""
    linked = await repository.account_linked(session, provider.issuer, identity.subject)
    if linked is not None:
        return linked if await accounts.person(session, linked) is not None else NotKnownHere()
    if not identity.email:
        return EmailNotVerified()
    account_id = await repository.account_of_email(session, identity.email)
    if account_id is None:
        return NotKnownHere()
    if not await repository.link(
        session, provider.organisation_id, provider.issuer, identity.subject, account_id, now()
    ):
        return NotKnownHere()
    actor = Actor("account", str(account_id))
    detail = {"issuer": provider.issuer}
    await _note(session, provider.organisation_id, actor, "openid.link", "account", str(account_id), detail)
    return account_id


async def _session(
    session: AsyncSession, settings: Settings, provider: OpenidProvider, identity: Identity, account_id: UUID
) -> Opened:
    met = identity.acr in provider.acr or not identity.amr.isdisjoint(provider.amr)
    pending = not met and await factor_repository.confirmed(session, account_id) is not None
    await accounts.end_expired(session, account_id, now())
    action = "sign-in.provider" if pending else "sign-in"
    detail = {"by": provider.name, "second_factor": "provider" if met else None}
    actor = Actor("account", str(account_id))
    await _note(session, provider.organisation_id, actor, action, "account", str(account_id), detail)
    lifetime = timedelta(hours=settings.session_hours)
    return sign_ins.open_session(
        session, account_id, provider.organisation_id, lifetime, pending=pending, by_provider=True, factor_met=met
    )


async def _note(
    session: AsyncSession,
    organisation_id: UUID,
    actor: Actor,
    action: str,
    kind: str,
    subject: str,
    detail: Mapping[str, object],
) -> None:
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action=action,
        subject_kind=kind,
        subject=subject,
        detail=dict(detail),
    )
