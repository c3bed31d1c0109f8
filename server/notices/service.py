"""Sends the notices that wait, those of one person together."""

import asyncio
import logging
from datetime import datetime, timedelta
from uuid import UUID

from server.database import tenancy
from server.database.engine import Sessions
from server.notices import mail, repository
from server.settings import Settings

log = logging.getLogger("doorstep.notices")

# What is not urgent comes together, at most once in this time.
GATHER = timedelta(hours=1)


async def send_waiting(sessions: Sessions, settings: Settings, organisation_id: UUID, at: datetime) -> int:
    """Tell everybody of an organisation who is to be told at `at`; how many messages went out.

    Nothing is sent without a mail server: the pages show what is overdue all the same.
    """
    if settings.smtp_host is None:
        return 0
    async with tenancy.transaction(sessions, organisation_id) as session:
        recipients = await repository.recipients(session, at, GATHER)
    return sum([await _tell(sessions, settings, organisation_id, recipient, at) for recipient in recipients])


async def _tell(sessions: Sessions, settings: Settings, organisation_id: UUID, recipient: UUID, at: datetime) -> bool:
    async with tenancy.transaction(sessions, organisation_id) as session:
        notices = await repository.take(session, recipient, at)
        person = await repository.address(session, recipient)
        if not notices or person is None:
            return False
        ids = [one.id for one in notices]
        try:
            await asyncio.to_thread(mail.send, settings, mail.compose(settings, *person, notices))
        except mail.NotSent as error:
            log.warning("a notice waits: %s", error)
            await repository.put_off(session, ids, at + mail.wait(notices[0].tries))
            return False
        await repository.sent(session, ids, at)
        return True
