"""All SQL of webhooks and their deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.notices.models import Webhook, WebhookDelivery

_WAITING = (col(WebhookDelivery.sent_at).is_(None), col(WebhookDelivery.given_up_at).is_(None))


async def find(session: AsyncSession) -> Webhook | None:
    """The organisation's webhook, whether it is on or not."""
    return (await PlainSession.execute(session, select(Webhook))).scalar_one_or_none()


async def put(session: AsyncSession, organisation_id: UUID, url: str, secret: bytes, at: datetime) -> None:
    """Tell that address from now on."""
    values: dict[str, Any] = {
        "organisation_id": organisation_id, "url": url, "secret": secret, "active": True, "changed_at": at,
        "delivered_at": None, "failed_at": None, "failure": "",
    }  # fmt: skip
    statement = insert(Webhook).values(values)
    statement = statement.on_conflict_do_update(index_elements=["organisation_id"], set_=values)
    await PlainSession.execute(session, statement)


async def note(session: AsyncSession, tried: Webhook, failure: str, at: datetime) -> None:
    """Write what came of a try, empty `failure` where it was taken; nothing where the webhook was changed meanwhile."""
    values = {"failed_at": at, "failure": failure} if failure else {"delivered_at": at}
    statement = update(Webhook).where(col(Webhook.changed_at) == tried.changed_at).values(values)
    await PlainSession.execute(session, statement)


async def switch_off(session: AsyncSession, at: datetime) -> None:
    """Tell nobody any more; what waits is given up."""
    await PlainSession.execute(session, update(Webhook).values(active=False, changed_at=at))
    await PlainSession.execute(
        session, update(WebhookDelivery).where(*_WAITING).values(given_up_at=at, failure="switched off")
    )


async def add(session: AsyncSession, deliveries: Sequence[dict[str, Any]]) -> None:
    """Add deliveries where the organisation has a webhook that is on; one that is there already stays as it is."""
    found = await find(session)
    if deliveries and found is not None and found.active:
        statement = insert(WebhookDelivery).on_conflict_do_nothing()
        await PlainSession.execute(session, statement, [dict(one) for one in deliveries])


async def take(session: AsyncSession, at: datetime) -> WebhookDelivery | None:
    """The delivery that is due longest and nobody else is just at, held for this transaction."""
    statement = (
        select(WebhookDelivery)
        .where(*_WAITING, col(WebhookDelivery.retry_at) <= at)
        .order_by(col(WebhookDelivery.retry_at), col(WebhookDelivery.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def save(session: AsyncSession, delivery: WebhookDelivery) -> None:
    """Write what came of a try."""
    session.add(delivery)
    await session.flush()


async def standing(session: AsyncSession) -> tuple[int, int, int, str]:
    """(delivered, waiting, given up, why the last that failed did)."""
    counts = select(
        func.count(col(WebhookDelivery.sent_at)),
        func.count().filter(*_WAITING),
        func.count(col(WebhookDelivery.given_up_at)),
    )
    row = (await PlainSession.execute(session, counts)).one()
    last = (
        select(col(WebhookDelivery.failure))
        .where(col(WebhookDelivery.failure) != "")
        .order_by(col(WebhookDelivery.retry_at).desc())
        .limit(1)
    )
    return row[0], row[1], row[2], (await PlainSession.execute(session, last)).scalar() or ""
