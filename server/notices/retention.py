"""Tells administrators of the monthly look at what is due for erasure: counts, and where to see and confirm it."""

from email.message import EmailMessage
from zoneinfo import ZoneInfo

from server.notices import mail
from server.notices.telling import Kind
from server.retention import monthly_repository as repository
from server.retention import views
from server.retention.monthly_repository import Waiting
from server.settings import Settings


def compose(settings: Settings, waiting: Waiting) -> EmailMessage:
    """The message of one look to one administrator."""
    look = waiting.look
    subject = "Something is due for erasure" if views.any_due(look) else "Nothing is due for erasure"
    lines = [f"Looked at {views.looked(look, ZoneInfo(settings.time_zone))}, by the rules of retention:", ""]
    lines += [f"{what}: {said}" for what, said in views.due_lines(look)]
    lines += ["", "Nothing is erased until somebody has seen it and confirms it:", f"{settings.origin}/retention"]
    about = look.id.bytes + waiting.notice.account_id.bytes
    return mail.message(settings, waiting.name, waiting.email, subject, about, lines)


send_waiting = Kind("a notice of what is due for erasure", repository.untold, repository.take, compose).send_waiting
