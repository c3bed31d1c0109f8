"""Tells the privacy lead of each use of emergency access: when, and where to review it; no patient, no reason."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formataddr, formatdate
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from server.database import tenancy
from server.database.engine import Sessions
from server.emergency import repository
from server.emergency.models import EmergencyAccess
from server.notices import mail
from server.settings import Settings
from server.web import formatting

log = logging.getLogger("doorstep.notices")

_RETRY_FIRST, _RETRY_LONGEST = timedelta(minutes=1), timedelta(hours=1)


async def send_waiting(sessions: Sessions, settings: Settings, organisation_id: UUID, at: datetime) -> bool:
    """Send the privacy lead one message about every use they were not told of; whether one went out.

    Nothing is sent without a mail server: the page of the uses shows them all the same.
    """
    if settings.smtp_host is None:
        return False
    async with tenancy.transaction(sessions, organisation_id) as session:
        waiting = await repository.untold(session, at)
        lead = await repository.privacy_lead(session)
        if not waiting or lead is None or not lead.active:
            return False
        ids = [one.id for one in waiting]
        try:
            await asyncio.to_thread(mail.send, settings, compose(settings, lead.name, lead.email, waiting))
        except mail.NotSent as error:
            log.warning("a notice to a privacy lead waits: %s", error)
            wait = min(_RETRY_LONGEST, _RETRY_FIRST * 2 ** min(waiting[0].tries, 6))
            await repository.put_off(session, ids, at + wait)
            return False
        await repository.told(session, ids, at)
        return True


def compose(settings: Settings, name: str, address: str, uses: Sequence[EmergencyAccess]) -> EmailMessage:
    """One message about all of `uses`, oldest first; shown once by mail programs, should it go out twice."""
    once = len(uses) == 1
    zone = ZoneInfo(settings.time_zone)
    ids = b"".join(sorted(one.id.bytes for one in uses))
    message = EmailMessage()
    message["Subject"] = "Emergency access was used" + ("" if once else f" {len(uses)} times")
    message["From"] = settings.mail_from
    message["To"] = formataddr((name, address))
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{hashlib.sha256(ids).hexdigest()[:32]}@{urlsplit(settings.origin).hostname}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's absence note shall answer
    lines = ["Somebody read patients' data beyond their role. Sign in to see who, why and what, and to review it.", ""]
    lines += [
        f"{formatting.date_and_time(one.began_at, zone)}: {settings.origin}/emergency/uses/{one.id}" for one in uses
    ]
    lines += ["", "This message says nothing about a person, and should not be answered with anything that does."]
    message.set_content("\n".join(lines))
    return message
