"""Who did what: `record` must succeed before patient data is read or anything that matters is changed."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import repository
from server.audit.models import AuditEntry
from server.database.direct import Connection


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `kind` is account, hub or command; `name` the account id, the hub id in hex or the command's name."""

    kind: str
    name: str


async def record(
    session: AsyncSession,
    *,
    organisation_id: UUID,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject: str,
    purpose: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one entry in the session's transaction; what follows in it is undone when this is.

    `action` is a verb and a noun such as "result.read"; `detail` holds no patient data. Raises the database's error
    when the entry cannot be written, and the request must then fail.
    """
    entry = AuditEntry(
        organisation_id=organisation_id,
        actor_kind=actor.kind,
        actor=actor.name,
        action=action,
        purpose=purpose,
        subject_kind=subject_kind,
        subject=subject,
        detail=detail or {},
    )
    await repository.add(session, entry)


def record_directly(
    connection: Connection,
    *,
    organisation_id: UUID,
    at: datetime,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject: str,
    detail: dict[str, Any],
) -> None:
    """As `record`, in the transaction of a connection of `server.database.direct`."""
    values = {
        "organisation_id": organisation_id,
        "at": at,
        "actor_kind": actor.kind,
        "actor": actor.name,
        "action": action,
        "purpose": None,
        "subject_kind": subject_kind,
        "subject": subject,
        "detail": json.dumps(detail),
    }
    repository.add_directly(connection, values)
