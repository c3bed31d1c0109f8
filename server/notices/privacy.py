"""Tells the privacy lead of each use of emergency access: when, and where to review it; no patient, no reason."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
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
            await repository.put_off(session, ids, at + mail.wait(waiting[0].tries))
            return False
        await repository.told(session, ids, at)
        return True


def compose(settings: Settings, name: str, address: str, uses: Sequence[EmergencyAccess]) -> EmailMessage:
    """One message about all of `uses`, oldest first."""
    once = len(uses) == 1
    zone = ZoneInfo(settings.time_zone)
    ids = b"".join(sorted(one.id.bytes for one in uses))
    subject = "Emergency access was used" + ("" if once else f" {len(uses)} times")
    lines = ["Somebody read patients' data beyond their role. Sign in to see who, why and what, and to review it.", ""]
    lines += [
        f"{formatting.date_and_time(one.began_at, zone)}: {settings.origin}/emergency/uses/{one.id}" for one in uses
    ]
    return mail.message(settings, name, address, subject, ids, lines)
