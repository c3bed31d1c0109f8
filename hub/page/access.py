"""Who may see the page: browsers of this machine that were let in by a link made here, once.

The page listens on 127.0.0.1 only, but any program and any web site open in a browser of this machine can speak to
that. So a browser gets in by a key that `doorstep hub open` leaves in the hub's private folder, good once and for two
minutes; what it says of host and origin must be this page's own (DNS rebinding, cross-site requests).
"""

import hashlib
import hmac
import json
import os
import secrets
import time
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers

ADDRESS_FILE = "page.json"
KEY_FILE = "page-key"
KEY_S = 120.0
_SESSIONS_MAX = 8
_KEY_CHARACTERS = 43  # 32 bytes in base64url


class Access:
    """The sessions of one run of the hub; they end with it. `port` is the page's."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.host = f"127.0.0.1:{port}"
        self.origin = f"http://{self.host}"
        self.cookie = f"doorstep-hub-{port}"
        self._sessions: OrderedDict[bytes, None] = OrderedDict()

    def announce(self) -> None:
        """Leave the page's address for `doorstep hub open`. Raises OSError."""
        _write_private(self._folder / ADDRESS_FILE, json.dumps({"address": self.origin}))

    def withdraw(self) -> None:
        """The page is there no longer."""
        for name in (ADDRESS_FILE, KEY_FILE):
            (self._folder / name).unlink(missing_ok=True)

    def open(self, key: str) -> str | None:
        """The secret of a new session for the right key, which is spent by this; None for any other."""
        file = self._folder / KEY_FILE
        try:
            age_s = time.time() - file.stat().st_mtime
            wanted = file.read_text("ascii")
        except (OSError, ValueError):
            return None
        if not hmac.compare_digest(wanted.encode(), key.encode()[: 2 * _KEY_CHARACTERS]):
            return None
        file.unlink(missing_ok=True)
        if not 0 <= age_s <= KEY_S:
            return None
        secret = secrets.token_urlsafe(32)
        self._sessions[_digest(secret)] = None
        while len(self._sessions) > _SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return secret

    def is_in(self, headers: Headers) -> bool:
        """Whether a request carries the cookie of a session."""
        try:
            morsel = SimpleCookie(headers.get("cookie", "")[:4096]).get(self.cookie)
        except CookieError:
            return False
        return morsel is not None and _digest(morsel.value) in self._sessions

    def is_own(self, headers: Headers, changes: bool) -> bool:
        """Whether host and origin are the page's; a request that changes something must name its origin."""
        origin = headers.get("origin")
        if headers.get("host") != self.host or (origin is None and changes):
            return False
        return origin in (None, self.origin) and headers.get("sec-fetch-site") not in ("cross-site", "same-site")


def new_link(folder: Path) -> str | None:
    """A link that opens the page of the hub that runs with `folder`, once; None where no page is. Raises OSError."""
    try:
        address = json.loads((folder / ADDRESS_FILE).read_text("ascii"))["address"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    key = secrets.token_urlsafe(32)
    _write_private(folder / KEY_FILE, key)
    return f"{address}/open?key={key}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _write_private(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
    new.replace(path)
