"""Reads a posted form within bounds, and refuses one that did not come from a page of ours."""

import hmac
from urllib.parse import parse_qs

from starlette.requests import Request

from server.problems import Problem

BODY_MAX = 16 * 1024
# A page of the worklist has fifty boxes to tick.
FIELDS_MAX = 64
_MEDIA_TYPE = "application/x-www-form-urlencoded"


class FormTooLarge(Problem):
    """More was sent than any form of ours holds."""

    status = 413
    code = "too-large"
    title = "The form is too large"


class FormRefused(Problem):
    """The body is not a form."""

    status = 415
    code = "unsupported-media-type"
    title = "The form could not be read"


class FormNotOurs(Problem):
    """The token that our page put into the form is missing or wrong (cross-site request forgery)."""

    status = 403
    code = "form-not-ours"
    title = "This form is out of date"


async def read(request: Request) -> dict[str, str]:
    """The fields of a posted form, the last of each name; at most `BODY_MAX` bytes are ever read."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise FormRefused(f"Send the form as {_MEDIA_TYPE}.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX:
            raise FormTooLarge(extra={"limit": BODY_MAX})
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        raise FormRefused("The form could not be read. Load the page again and send it once more.") from None
    return {name: values[-1] for name, values in fields.items()}


def check_token(given: str | None, expected: str) -> None:
    """`FormNotOurs` unless the token is the expected one; compared in constant time."""
    if not given or not hmac.compare_digest(given.encode(), expected.encode()):
        raise FormNotOurs("Load the page again and send the form once more.")


def local_path(wanted: str | None, otherwise: str = "/") -> str:
    """`wanted` when it is a path of this server, else `otherwise`: a sign-in must not lead to another site."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\")) or len(wanted) > 1024:
        return otherwise
    return wanted if wanted.isascii() and wanted.isprintable() and "\\" not in wanted else otherwise
