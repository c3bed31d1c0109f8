"""Composes and sends a message: a count, how urgent, and links that only somebody signed in can follow."""

import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from datetime import timedelta
from email.message import EmailMessage
from email.utils import formataddr, formatdate
from urllib.parse import urlsplit

from server.followup.policy import Urgency
from server.notices.models import Notice
from server.settings import Settings

_TIMEOUT_S = 20
_RETRY_FIRST, _RETRY_LONGEST = timedelta(minutes=1), timedelta(hours=1)
_NOTHING_OF_A_PERSON = "This message says nothing about a person, and should not be answered with anything that does."


class NotSent(Exception):
    """The message was not taken; the text says why and holds neither address nor password."""


def compose(settings: Settings, name: str, address: str, notices: Sequence[Notice]) -> EmailMessage:
    """One message about all of `notices`, oldest first."""
    urgent = sum(one.urgency == Urgency.NOW for one in notices)
    count = "One result is" if len(notices) == 1 else f"{len(notices)} results are"
    subject = f"{count} overdue" + (f", {urgent} urgent" if urgent else "")
    lines = [f"{count} waiting for you or your team past the time agreed. Sign in to see what is to be done.", ""]
    lines += [f"{settings.origin}/results/{one.result_id}{_how_urgent(one)}" for one in notices]
    lines += ["", f"Everything that is overdue: {settings.origin}/?view=overdue"]
    return message(settings, name, address, subject, b"".join(sorted(one.id.bytes for one in notices)), lines)


def message(
    settings: Settings, name: str, address: str, subject: str, about: bytes, lines: Sequence[str]
) -> EmailMessage:
    """A message of ours to one person.

    Its Message-ID is made of `about`: should it go out twice, because the server died between the sending and the
    noting of it, mail programs show it once.
    """
    made = EmailMessage()
    made["Subject"] = subject
    made["From"] = settings.mail_from
    made["To"] = formataddr((name, address))
    made["Date"] = formatdate()
    made["Message-ID"] = f"<{hashlib.sha256(about).hexdigest()[:32]}@{urlsplit(settings.origin).hostname}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's absence note shall answer
    made.set_content("\n".join([*lines, "", _NOTHING_OF_A_PERSON]))
    return made


def wait(tries: int) -> timedelta:
    """How long until what was tried so often before is tried again."""
    return min(_RETRY_LONGEST, _RETRY_FIRST * 2 ** min(tries, 6))


def _how_urgent(notice: Notice) -> str:
    again = f", told {notice.level} times" if notice.level > 1 else ""
    return (" (act now" if notice.urgency == Urgency.NOW else " (overdue") + again + ")"


def send(settings: Settings, message: EmailMessage) -> None:
    """Hand the message to the mail server that the settings name. Blocks. Raises `NotSent`."""
    assert settings.smtp_host is not None
    context = ssl.create_default_context()
    try:
        if settings.smtp_security == "tls":
            connection = smtplib.SMTP_SSL(settings.smtp_host, settings.smtp_port, timeout=_TIMEOUT_S, context=context)
        else:
            connection = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=_TIMEOUT_S)
        with connection:
            if settings.smtp_security == "starttls":
                connection.starttls(context=context)
            if settings.smtp_user and settings.smtp_password:
                connection.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            connection.send_message(message)
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"the mail server did not take it ({type(error).__name__})") from None
