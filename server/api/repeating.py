"""Idempotency-Key: an act that is asked for again under the same key is done once, and answered alike.

The key is kept in the transaction that does the act: a second request waits for the first, an act that failed leaves
its key free. What is kept is which request it was and what it was done to, for a day; the answer to a retry is read
anew, so that nothing about a patient is stored a second time.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Header
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.service import Viewer
from server.api import repository
from server.api.models import RepeatableAct
from server.database.columns import now
from server.problems import Problem

REMEMBERED = timedelta(days=1)
_PRINTED = r"^[!-~]{1,200}$"

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A name of your own for this act, such as a UUID: asked for again under it, it is not done again.",
        pattern=_PRINTED,
    ),
]
NeededKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        description="A name of your own for this act, such as a UUID. Needed, because each one makes something new.",
        pattern=_PRINTED,
    ),
]


class KeyReused(Problem):
    """The key was used for something else."""

    status = 422
    code = "idempotency-key-reused"
    title = "That key was used for another request"

    def __init__(self) -> None:
        super().__init__(
            "Take a new Idempotency-Key for each act, and the same one only to ask for the same act again."
        )


async def once(
    session: AsyncSession,
    viewer: Viewer,
    key: str | None,
    what: str,
    asked: BaseModel | None,
    act: Callable[[], Awaitable[UUID]],
) -> UUID:
    """Do `act` unless it was done under that key; what it made or changed, then and now. Raises `KeyReused`.

    `what` names the act and its subject, `asked` is the body. Without a key it is done.
    """
    if key is None:
        return await act()
    request_hash = _hash(what, asked.model_dump_json() if asked else "")
    row = RepeatableAct(
        account_id=viewer.account_id,
        key_hash=_hash(key),
        organisation_id=viewer.organisation_id,
        request_hash=request_hash,
    )
    await repository.forget(session, viewer.account_id, now() - REMEMBERED)
    if not await repository.begin(session, row):
        done = await repository.find(session, row.account_id, row.key_hash)
        if done is None or done.request_hash != request_hash or done.subject is None:
            raise KeyReused
        return done.subject
    subject = await act()
    await repository.finish(session, row, subject)
    return subject


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\n".join(parts).encode()).digest()
