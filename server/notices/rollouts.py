"""Tells leads that a rollout of an update was paused by its own limits: why, and where to see it."""

import asyncio
import hashlib
import logging
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formataddr, formatdate
from urllib.parse import urlsplit
from uuid import UUID

from server.database import tenancy
from server.database.engine import Sessions
from server.notices import mail
from server.settings import Settings
from server.updates import notice_repository as repository
from server.updates.notice_repository import Key, Waiting

log = logging.getLogger("doorstep.notices")

_RETRY_FIRST, _RETRY_LONGEST = timedelta(minutes=1), timedelta(hours=1)


async def send_waiting(sessions: Sessions, settings: Settings, organisation_id: UUID, at: datetime) -> int:
    """Tell every lead who is to be told, each in a message and a transaction of their own; how many.

    Nothing is sent without a mail server: the page of updates shows it all the same.
    """
    if settings.smtp_host is None:
        return 0
    async with tenancy.transaction(sessions, organisation_id) as session:
        waiting = await repository.untold(session, at)
    return sum([await _tell(sessions, settings, organisation_id, one, at) for one in waiting])


async def _tell(sessions: Sessions, settings: Settings, organisation_id: UUID, whom: Key, at: datetime) -> bool:
    async with tenancy.transaction(sessions, organisation_id) as session:
        waiting = await repository.take(session, whom)
        if waiting is None:
            return False
        notice = waiting.notice
        try:
            await asyncio.to_thread(mail.send, settings, compose(settings, waiting))
        except mail.NotSent as error:
            log.warning("a notice of a paused rollout waits: %s", error)
            notice.retry_at = at + min(_RETRY_LONGEST, _RETRY_FIRST * 2 ** min(notice.tries, 6))
            notice.tries += 1
            await repository.save(session, notice)
            return False
        notice.sent_at = at
        await repository.save(session, notice)
        return True


def compose(settings: Settings, waiting: Waiting) -> EmailMessage:
    """The message of one pause to one lead; shown once by mail programs, should it go out twice."""
    notice = waiting.notice
    parts = (notice.rollout_id.bytes, notice.paused_at.isoformat().encode(), notice.account_id.bytes)
    message = EmailMessage()
    message["Subject"] = f"The rollout of release {waiting.release} is paused"
    message["From"] = settings.mail_from
    message["To"] = formataddr((waiting.name, waiting.email))
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{hashlib.sha256(b''.join(parts)).hexdigest()[:32]}@{urlsplit(settings.origin).hostname}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's absence note shall answer
    lines = [
        f"Release {waiting.release} ({waiting.version}) is sent to no further reader for now.", waiting.why, "",
        "Look at the readers, then resume the rollout or stop it:",
        f"{settings.origin}/updates/{notice.rollout_id}", "",
        "This message says nothing about a person, and should not be answered with anything that does.",
    ]  # fmt: skip
    message.set_content("\n".join(lines))
    return message
