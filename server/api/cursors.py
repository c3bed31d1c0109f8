"""Places in a list, as a caller carries them from page to page: opaque, and signed for that list of that organisation.

What is carried is the key of the last row (keyset pagination), so that a page costs the same at any depth and rows that
arrive meanwhile neither repeat nor hide one. A cursor of one list, filter or organisation is refused by another.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from server.accounts.service import Viewer
from server.problems import Problem
from server.state import state_of

_TAG_BYTES = 16


class CursorRefused(Problem):
    """The cursor was not made by this server for this list."""

    status = 422
    code = "cursor-refused"
    title = "The cursor is not one of this list"

    def __init__(self) -> None:
        super().__init__("Send next_cursor of the page before unchanged, with the same filters; or begin without one.")


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one list: `name` says which, with its filters."""

    secret: bytes
    organisation_id: UUID
    name: str

    def write(self, place: str) -> str:
        """The cursor of a place."""
        return base64.urlsafe_b64encode(self._tag(place) + place.encode()).decode().rstrip("=")

    def read(self, cursor: str | None) -> str | None:
        """The place of a cursor, None without one. Raises `CursorRefused`."""
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            place = raw[_TAG_BYTES:].decode()
        except (ValueError, binascii.Error):
            raise CursorRefused from None
        # Written anew, so that a cursor has one form only.
        if not hmac.compare_digest(cursor.encode(), self.write(place).encode()):
            raise CursorRefused
        return place

    def _tag(self, place: str) -> bytes:
        message = "\n".join(("cursor", self.organisation_id.hex, self.name, place))
        return hmac.digest(self.secret, message.encode(), "sha256")[:_TAG_BYTES]


def of(request: Request, viewer: Viewer, *filters: object) -> Cursors:
    """The cursors of the list that is asked for, with what it is narrowed to."""
    name = "\n".join((request.url.path, *(repr(one) for one in filters)))
    return Cursors(state_of(request).settings.session_secret_bytes(), viewer.organisation_id, name)
