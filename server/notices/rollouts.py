"""Tells leads that a rollout of an update was paused by its own limits: why, and where to see it."""

from email.message import EmailMessage

from server.notices import mail
from server.notices.telling import Kind
from server.settings import Settings
from server.updates import notice_repository as repository
from server.updates.notice_repository import Waiting


def compose(settings: Settings, waiting: Waiting) -> EmailMessage:
    """The message of one pause to one lead."""
    notice = waiting.notice
    about = notice.rollout_id.bytes + notice.paused_at.isoformat().encode() + notice.account_id.bytes
    lines = [
        f"Release {waiting.release} ({waiting.version}) is sent to no further reader for now.", waiting.why, "",
        "Look at the readers, then resume the rollout or stop it:",
        f"{settings.origin}/updates/{notice.rollout_id}",
    ]  # fmt: skip
    subject = f"The rollout of release {waiting.release} is paused"
    return mail.message(settings, waiting.name, waiting.email, subject, about, lines)


send_waiting = Kind("a notice of a paused rollout", repository.untold, repository.take, compose).send_waiting
