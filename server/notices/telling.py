"""Tells each person who waits for a notice of one kind, in a message and a transaction of their own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.database import tenancy
from server.database.engine import Sessions
from server.notices import mail
from server.settings import Settings

log = logging.getLogger("doorstep.notices")


class Notice(Protocol):
    """Where it is kept that somebody is to be told, and was."""

    sent_at: datetime | None
    retry_at: datetime
    tries: int


class Waiting(Protocol):
    """Somebody who is to be told, with what of."""

    @property
    def notice(self) -> Notice: ...


K = TypeVar("K")
W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Kind(Generic[K, W]):
    """A kind of notice. `untold` gives the keys of those who are to be told at a moment; `take` holds one of them for
    the transaction, None where they were told or another is just telling them."""

    name: str
    untold: Callable[[AsyncSession, datetime], Awaitable[Sequence[K]]]
    take: Callable[[AsyncSession, K], Awaitable[W | None]]
    compose: Callable[[Settings, W], EmailMessage]

    async def send_waiting(self, sessions: Sessions, settings: Settings, organisation_id: UUID, at: datetime) -> int:
        """Tell everybody of an organisation who is to be told at `at`; how many.

        Nothing is sent without a mail server: a page shows it all the same.
        """
        if settings.smtp_host is None:
            return 0
        async with tenancy.transaction(sessions, organisation_id) as session:
            waiting = await self.untold(session, at)
        return sum([await self._tell(sessions, settings, organisation_id, one, at) for one in waiting])

    async def _tell(self, sessions: Sessions, settings: Settings, organisation_id: UUID, whom: K, at: datetime) -> bool:
        async with tenancy.transaction(sessions, organisation_id) as session:
            waiting = await self.take(session, whom)
            if waiting is None:
                return False
            notice = waiting.notice
            try:
                await asyncio.to_thread(mail.send, settings, self.compose(settings, waiting))
            except mail.NotSent as error:
                log.warning("%s waits: %s", self.name, error)
                notice.retry_at = at + mail.wait(notice.tries)
                notice.tries += 1
            else:
                notice.sent_at = at
            session.add(notice)
            await session.flush()
            return notice.sent_at is not None
