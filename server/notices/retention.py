"""Tells administrators of the monthly look at what is due for erasure: counts, and where to see and confirm it."""

import asyncio
import hashlib
import logging
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formataddr, formatdate
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from server.database import tenancy
from server.database.engine import Sessions
from server.notices import mail
from server.retention import monthly_repository as repository
from server.retention import views
from server.retention.monthly_repository import Waiting
from server.settings import Settings

log = logging.getLogger("doorstep.notices")

_RETRY_FIRST, _RETRY_LONGEST = timedelta(minutes=1), timedelta(hours=1)


async def send_waiting(sessions: Sessions, settings: Settings, organisation_id: UUID, at: datetime) -> int:
    """Tell every administrator who is to be told, each in a message and a transaction of their own; how many.

    Nothing is sent without a mail server: the page of retention shows the look all the same.
    """
    if settings.smtp_host is None:
        return 0
    async with tenancy.transaction(sessions, organisation_id) as session:
        waiting = await repository.untold(session, at)
    return sum([await _tell(sessions, settings, organisation_id, one, at) for one in waiting])


async def _tell(
    sessions: Sessions, settings: Settings, organisation_id: UUID, whom: tuple[UUID, UUID], at: datetime
) -> bool:
    async with tenancy.transaction(sessions, organisation_id) as session:
        waiting = await repository.take(session, *whom)
        if waiting is None:
            return False
        notice = waiting.notice
        try:
            await asyncio.to_thread(mail.send, settings, compose(settings, waiting))
        except mail.NotSent as error:
            log.warning("a notice of what is due for erasure waits: %s", error)
            notice.retry_at = at + min(_RETRY_LONGEST, _RETRY_FIRST * 2 ** min(notice.tries, 6))
            notice.tries += 1
            await repository.save(session, notice)
            return False
        notice.sent_at = at
        await repository.save(session, notice)
        return True


def compose(settings: Settings, waiting: Waiting) -> EmailMessage:
    """The message of one look to one administrator; shown once by mail programs, should it go out twice."""
    look = waiting.look
    digest = hashlib.sha256(look.id.bytes + waiting.notice.account_id.bytes).hexdigest()[:32]
    message = EmailMessage()
    message["Subject"] = "Something is due for erasure" if views.any_due(look) else "Nothing is due for erasure"
    message["From"] = settings.mail_from
    message["To"] = formataddr((waiting.name, waiting.email))
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{digest}@{urlsplit(settings.origin).hostname}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's absence note shall answer
    lines = [f"Looked at {views.looked(look, ZoneInfo(settings.time_zone))}, by the rules of retention:", ""]
    lines += [f"{what}: {said}" for what, said in views.due_lines(look)]
    lines += ["", "Nothing is erased until somebody has seen it and confirms it:", f"{settings.origin}/retention", ""]
    lines.append("This message says nothing about a person, and should not be answered with anything that does.")
    message.set_content("\n".join(lines))
    return message
