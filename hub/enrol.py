"""Enrolling this laptop: it makes its own key pair, and trades a one-time code for a place with the server."""

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from hub import credentials, web
from hub.credentials import Enrolment
from hub.database import private_folder
from hub.errors import HubError, NotEnrolled, UsageError
from hub.lock import FolderLock

ENROL_PATH = "/hub/v1/enrol"
_NAME_MAX = 64


class EnrolmentFailed(HubError):
    code = "enrolment-failed"


def enrol(folder: Path, code: str, server: str, name: str, again: bool = False) -> Enrolment:
    """Enrol with `server` and store the identity in `folder`. Nothing is stored unless the server's answer is whole.

    Raises UsageError for what was typed, EnrolmentFailed for what the server said, AlreadyRunning beside a running hub.
    """
    parts = urlsplit(credentials.checked_url(server.strip()))
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    code, name = code.strip(), name.strip()
    if not re.fullmatch(r"[\x21-\x7e]{4,64}", code):
        raise UsageError(
            "The code is 4 to 64 letters, digits or signs, without spaces. Copy it as the programme gave it."
        )
    if not 1 <= len(name) <= _NAME_MAX or not name.isprintable():
        raise UsageError(f"The name is 1 to {_NAME_MAX} printable characters, such as 'Village hall laptop'.")
    with FolderLock(private_folder(folder)):
        if not again and _is_enrolled(folder):
            raise UsageError("This laptop is enrolled already. To give it a new identity, add --again.")
        key = credentials.new_key()
        body = json.dumps({"code": code, "name": name, "key": credentials.public_jwk(key)}).encode()
        answer = asyncio.run(_post(base + ENROL_PATH, body))
        enrolment = _read(answer, name, base)
        credentials.save(folder, enrolment, key)
    return enrolment


async def _post(url: str, body: bytes) -> web.Answer:
    async with web.client() as http:
        try:
            return await web.post(http, url, body, {"Content-Type": "application/json"}, 64 * 1024)
        except web.Unreachable as error:
            raise EnrolmentFailed(
                f"The server did not answer ({error}). Check the address and the network, and try again.", error.code
            ) from error


def _read(answer: web.Answer, name: str, server: str) -> Enrolment:
    if answer.status == 403:
        raise EnrolmentFailed(
            "The server refused the code: it is unknown, used or expired. Ask the programme for a new one.",
            "enrolment-refused",
        )
    value = answer.json()
    if answer.status not in (200, 201) or answer.media != "application/json" or value is None:
        code = answer.problem_code()
        said = f" ({code})" if code else ""
        raise EnrolmentFailed(
            f"This address did not answer as a Doorstep server: status {answer.status}{said}. Check the address."
        )
    try:
        enrolment = Enrolment(
            hub_id=bytes.fromhex(value["hub_id"]).hex(),
            name=name,
            server=server,
            token_url=credentials.checked_url(value["token_url"]),
            exchange_url=credentials.checked_url(value["exchange_url"]),
        )
        if len(enrolment.hub_id) != 16 or len(bytes.fromhex(value["epoch"])) != 8:
            raise ValueError("length")
    except (KeyError, ValueError, TypeError, AttributeError, UsageError) as error:
        raise EnrolmentFailed(
            "The server's answer was not understood. Nothing was stored. Update Doorstep on this laptop and try again."
        ) from error
    return enrolment


def _is_enrolled(folder: Path) -> bool:
    try:
        credentials.load(folder)
    except NotEnrolled:
        return False
    return True
