"""An organisation's webhook: setting it, and delivering escalations to it, later and later, and with a last try."""

import base64
import os
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.notices import posting, signing, webhook_repository
from server.notices.models import Webhook, WebhookDelivery
from server.notices.posting import NotTaken
from server.problems import NotFound
from server.settings import Settings

SECRET_BYTES = 32
# Deliveries of one look; what is left comes a minute later.
AT_ONCE = 20
# Two days and a half of trying, the longest pause an hour.
TRIES_MAX = 64
_RETRY_FIRST, _RETRY_LONGEST = timedelta(minutes=1), timedelta(hours=1)
_NONCE_BYTES = 12
_LABEL = b"doorstep/1 webhook"


class SecretUnreadable(Exception):
    """The stored secret does not open: the master key is another one."""


async def put(session: AsyncSession, settings: Settings, actor: Actor, organisation_id: UUID, url: str) -> str:
    """Tell `url` of escalations from now on; its new secret in base64, shown now and never again.

    Raises `AddressRefused`.
    """
    posting.checked(url, private=settings.webhook_private)
    secret = os.urandom(SECRET_BYTES)
    await _audited(session, actor, organisation_id, "webhook.set")
    stored = encrypted(settings.master_key_bytes(), organisation_id, secret)
    await webhook_repository.put(session, organisation_id, url, stored, now())
    return base64.b64encode(secret).decode()


async def switch_off(session: AsyncSession, actor: Actor, organisation_id: UUID) -> None:
    """Tell nobody any more."""
    await _audited(session, actor, organisation_id, "webhook.off")
    await webhook_repository.switch_off(session, now())


async def send_test(sessions: Sessions, settings: Settings, actor: Actor, organisation_id: UUID) -> str:
    """Post a signed test once; why it was not taken, empty where it was. Raises `NotFound` without a webhook.

    No database connection is held while the receiver is waited for.
    """
    async with tenancy.transaction(sessions, organisation_id) as session:
        found = await webhook_repository.find(session)
        if found is None or not found.active:
            raise NotFound("Nobody is told yet. Set the address first.")
        await _audited(session, actor, organisation_id, "webhook.test")
    delivery_id = uuid4()
    failure = await _post(settings, found, signing.body_of_test(settings.origin, delivery_id), delivery_id)
    async with tenancy.transaction(sessions, organisation_id) as session:
        await webhook_repository.note(session, found, failure, now())
    return failure


async def _post(settings: Settings, webhook: Webhook, content: bytes, delivery_id: UUID) -> str:
    """Post once; why it was not taken, in at most 60 characters, empty where it was."""
    secret = decrypted(settings.master_key_bytes(), webhook.organisation_id, webhook.secret)
    try:
        headers = signing.headers(secret, content, delivery_id, now())
        await posting.post(webhook.url, content, headers, private=settings.webhook_private)
    except NotTaken as error:
        return str(error)[:60]
    except posting.AddressRefused:
        return "address not allowed"
    return ""


async def deliver_waiting(sessions: Sessions, settings: Settings, organisation_id: UUID, at: datetime) -> int:
    """Deliver what waits, at most `AT_ONCE`, until a try fails: a receiver that is down is not asked again at once.

    How many were taken. What was taken and not noted, because the server died in between, is sent again under the same
    id.
    """
    taken = 0
    while taken < AT_ONCE:
        async with tenancy.transaction(sessions, organisation_id) as session:
            if not await _deliver_one(session, settings, organisation_id, at):
                break
        taken += 1
    return taken


async def _deliver_one(session: AsyncSession, settings: Settings, organisation_id: UUID, at: datetime) -> bool:
    webhook = await webhook_repository.find(session)
    delivery = await webhook_repository.take(session, at) if webhook is not None and webhook.active else None
    if webhook is None or delivery is None:
        return False
    failure = await _post(settings, webhook, signing.body(settings.origin, delivery), delivery.id)
    if failure:
        _put_off(delivery, failure, at)
    else:
        delivery.sent_at, delivery.tries, delivery.failure = at, delivery.tries + 1, ""
    await webhook_repository.save(session, delivery)
    await webhook_repository.note(session, webhook, failure, at)
    return not failure


def _put_off(delivery: WebhookDelivery, why: str, at: datetime) -> None:
    delivery.tries += 1
    delivery.failure = why
    delivery.retry_at = at + min(_RETRY_LONGEST, _RETRY_FIRST * 2 ** min(delivery.tries - 1, 6))
    if delivery.tries >= TRIES_MAX:
        delivery.given_up_at = at


def encrypted(master_key: bytes, organisation_id: UUID, secret: bytes) -> bytes:
    """Nonce (12), ciphertext and tag of a secret, bound to its organisation."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(master_key).encrypt(nonce, secret, _LABEL + organisation_id.bytes)


def decrypted(master_key: bytes, organisation_id: UUID, stored: bytes) -> bytes:
    """The secret. Raises `SecretUnreadable` under another master key or for another organisation's."""
    try:
        return AESGCM(master_key).decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], _LABEL + organisation_id.bytes)
    except (InvalidTag, ValueError):
        raise SecretUnreadable("The webhook's secret opens under another master key. Set the webhook anew.") from None


async def _audited(session: AsyncSession, actor: Actor, organisation_id: UUID, action: str) -> None:
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action=action,
        subject_kind="organisation",
        subject=str(organisation_id),
    )
