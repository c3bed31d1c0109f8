"""Composes and sends a message: a count, how urgent, and links that only somebody signed in can follow."""

import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formataddr, formatdate
from urllib.parse import urlsplit
from uuid import UUID

from server.followup.policy import Urgency
from server.notices.models import Notice
from server.settings import Settings

_TIMEOUT_S = 20


class NotSent(Exception):
    """The message was not taken; the text says why and holds neither address nor password."""


def compose(settings: Settings, name: str, address: str, notices: Sequence[Notice]) -> EmailMessage:
    """One message about all of `notices`, oldest first.

    Its Message-ID is made of the notices' ids: should it go out twice, because the server died between the sending and
    the noting of it, mail programs show it once.
    """
    urgent = sum(one.urgency == Urgency.NOW for one in notices)
    count = "One result is" if len(notices) == 1 else f"{len(notices)} results are"
    message = EmailMessage()
    message["Subject"] = f"{count} overdue" + (f", {urgent} urgent" if urgent else "")
    message["From"] = settings.mail_from
    message["To"] = formataddr((name, address))
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{_digest([one.id for one in notices])}@{urlsplit(settings.origin).hostname}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's absence note shall answer
    lines = [f"{count} waiting for you or your team past the time agreed. Sign in to see what is to be done.", ""]
    lines += [f"{settings.origin}/results/{one.result_id}{_how_urgent(one)}" for one in notices]
    lines += ["", f"Everything that is overdue: {settings.origin}/?view=overdue", ""]
    lines.append("This message says nothing about a person, and should not be answered with anything that does.")
    message.set_content("\n".join(lines))
    return message


def _how_urgent(notice: Notice) -> str:
    again = f", told {notice.level} times" if notice.level > 1 else ""
    return (" (act now" if notice.urgency == Urgency.NOW else " (overdue") + again + ")"


def _digest(ids: Sequence[UUID]) -> str:
    return hashlib.sha256(b"".join(sorted(one.bytes for one in ids))).hexdigest()[:32]


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
