"""Enrolling hubs, believing them, and letting go of them."""

import base64
import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import wire
from server.audit import service as audit
from server.audit.service import Actor
from server.database import direct, tenancy
from server.database.columns import now
from server.database.direct import Connection
from server.hubs import repository, tokens
from server.hubs.models import EnrolmentCode, Hub
from server.hubs.tokens import TokenHolder
from server.organisations.models import Organisation, Site
from server.organisations.service import usable_name
from server.problems import Problem

NAME_MAX = 64
_CODE_BYTES = 15  # 120 bits, 24 characters of base 32


class Unauthorised(Problem):
    """Token or assertion missing, wrong or expired, or the hub unknown or revoked: one answer for all."""

    status = 401
    code = "unauthorised"
    title = "The hub is not authorised"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"}, extra={"error": "invalid_client"})


class EnrolmentRefused(Problem):
    """The code is unknown, used or expired: one answer for all."""

    status = 403
    code = "enrolment-refused"
    title = "The enrolment is refused"

    def __init__(self) -> None:
        super().__init__("Check the code, or ask for a new one: doorstep server enrol-hub.")


class KeyRefused(Problem):
    """The public key is not a point of P-384."""

    status = 422
    code = "key-refused"
    title = "The public key cannot be used"


class HubUnknown(Problem):
    """The organisation has no such hub."""

    status = 404
    code = "hub-unknown"
    title = "There is no such hub"


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code just made: shown once."""

    code: str
    expires_at: datetime


async def make_code(
    session: AsyncSession, organisation: Organisation, site: Site | None, lifetime: timedelta, actor: Actor
) -> NewCode:
    """Make a code that enrols one hub once within `lifetime`."""
    text = base64.b32encode(os.urandom(_CODE_BYTES)).decode()
    made = NewCode("-".join(text[i : i + 6] for i in range(0, len(text), 6)), now() + lifetime)
    code = EnrolmentCode(
        code_hash=_code_hash(made.code),
        organisation_id=organisation.id,
        site_id=site.id if site else None,
        expires_at=made.expires_at,
    )
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action="hub.make-code",
        subject_kind="enrolment",
        subject=code.code_hash.hex()[:16],
        detail={"expires_at": made.expires_at.isoformat()},
    )
    await repository.add_code(session, code)
    return made


async def enrol(session: AsyncSession, code: str, name: str, key: dict[str, Any]) -> tuple[Hub, bytes]:
    """Enrol a hub with its public key (a JWK): the hub and the server's epoch.

    Raises `EnrolmentRefused`, `KeyRefused`, `NameUnusable`.
    """
    public_key = _checked_key(key)
    name = usable_name(name, NAME_MAX)
    code_hash = _code_hash(code)
    found = await repository.code_anywhere(session, code_hash)
    if found is None:
        raise EnrolmentRefused
    await tenancy.enter(session, found.organisation_id)
    hub = Hub(
        hub_id=os.urandom(wire.HUB_ID_BYTES),
        organisation_id=found.organisation_id,
        site_id=found.site_id,
        name=name,
        public_key=public_key,
    )
    if not await repository.use_code(session, code_hash, hub.hub_id, now()):
        raise EnrolmentRefused
    await audit.record(
        session,
        organisation_id=hub.organisation_id,
        actor=Actor("hub", hub.hub_id.hex()),
        action="hub.enrol",
        subject_kind="hub",
        subject=hub.hub_id.hex(),
        detail={"name": name},
    )
    await repository.add(session, hub)
    return hub, await repository.epoch(session)


def claimed_hub(assertion: str) -> bytes | None:
    """The hub id that an assertion claims, before anything is verified; None where it claims none."""
    try:
        return tokens.claimed_hub(assertion)
    except tokens.NotValid:
        return None


async def believe(session: AsyncSession, assertion: str, token_url: str) -> TokenHolder:
    """The hub that the assertion is of, which is spent by that. Raises `Unauthorised`, whatever is wrong."""
    try:
        hub = await repository.hub_anywhere(session, tokens.claimed_hub(assertion))
        claimed = tokens.verify_assertion(assertion, hub.public_key if hub else tokens.NOBODY, token_url)
    except tokens.NotValid:
        raise Unauthorised from None
    if hub is None or hub.revoked_at is not None or hub.hub_id != claimed.hub_id:
        raise Unauthorised
    await tenancy.enter(session, hub.organisation_id)
    # Past the leeway the expiry alone refuses the assertion, so its id need not be kept longer.
    forget_at = datetime.fromtimestamp(claimed.expires_s + tokens.CLOCK_LEEWAY_SECONDS, UTC)
    jti_hash = hashlib.sha256(claimed.jti.encode("utf-8", "surrogatepass")).digest()
    if not await repository.spend(session, hub.hub_id, jti_hash, hub.organisation_id, forget_at, now()):
        raise Unauthorised
    return TokenHolder(hub.hub_id, hub.organisation_id)


def holder(token: str, secret: bytes, audience: str) -> TokenHolder:
    """Whom a token was given to. Raises `Unauthorised`; a hub may be revoked since: see `require_known`."""
    try:
        return tokens.verify_token(token, secret, audience)
    except tokens.NotValid:
        raise Unauthorised from None


def require_known(connection: Connection, held_by: TokenHolder) -> None:
    """Raise `Unauthorised` for a hub that is unknown or was revoked since its token was given."""
    direct.enter(connection, held_by.organisation_id)
    if not repository.is_known(connection, held_by.hub_id):
        raise Unauthorised


async def revoke(session: AsyncSession, organisation: Organisation, hub_id: bytes, actor: Actor) -> bool:
    """Revoke a hub: it gets no answer from now on. False when it was revoked before. Raises `HubUnknown`."""
    if await session.get(Hub, hub_id) is None:
        raise HubUnknown(f"{organisation.name} has no hub {hub_id.hex()}.")
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action="hub.revoke",
        subject_kind="hub",
        subject=hub_id.hex(),
    )
    return await repository.revoke(session, hub_id, now())


def _code_hash(code: str) -> bytes:
    """SHA-256 of the code as typed, without case, dashes and space; its 120 random bits need no salt."""
    typed = "".join(code.split()).replace("-", "").upper()
    return hashlib.sha256(typed.encode()).digest()


def _checked_key(key: dict[str, Any]) -> dict[str, Any]:
    """The key's public members, once it is shown to be a point of the curve."""
    try:
        x, y = (int.from_bytes(base64.urlsafe_b64decode(key[name]), "big") for name in ("x", "y"))
        ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()
    except ValueError as error:
        raise KeyRefused("The key is not a point of P-384. Make the hub's key pair anew.") from error
    return {name: key[name] for name in ("kty", "crv", "x", "y")}
