"""The cookies of the pages: the session's secret id, the key of a sign-in form before there is a session, what an
answer of a sign-in provider is bound to, and who has signed in in this browser before.

All are HttpOnly and SameSite=Lax; over HTTPS they are Secure and carry the `__Host-` prefix, which keeps a
neighbouring host from setting them (RFC 6265bis section 4.1.3.2).
"""

import base64
import binascii
import hmac
import secrets
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from server.settings import Settings

_SESSION = "doorstep-session"
_FORM = "doorstep-form"
_PROVIDER = "doorstep-provider"
_BYTES = 32
_LENGTH_MAX = 64
_WANTED_MAX = 2048
_PROVIDER_S = 600
_DEVICE = "doorstep-device"
_DEVICE_S = 180 * 24 * 3600
_PEOPLE_MAX = 8


def session_secret(request: Request, settings: Settings) -> str | None:
    """The session's secret id that the browser sent, or None."""
    value = request.cookies.get(_name(_SESSION, settings))
    return value if value and len(value) <= _LENGTH_MAX and value.isascii() else None


def session_name(settings: Settings) -> str:
    """What the session's cookie is called."""
    return _name(_SESSION, settings)


def set_session(response: Response, settings: Settings, secret: str, lifetime: timedelta) -> None:
    _set(response, _name(_SESSION, settings), secret, settings, int(lifetime.total_seconds()))


def clear_session(response: Response, settings: Settings) -> None:
    response.delete_cookie(_name(_SESSION, settings), path="/", secure=settings.secure, httponly=True, samesite="lax")


def form_key(request: Request, settings: Settings) -> str | None:
    """The key of this browser's sign-in form, or None before it has one."""
    value = request.cookies.get(_name(_FORM, settings))
    return value if value and len(value) <= _LENGTH_MAX and value.isascii() else None


def new_form_key() -> str:
    return secrets.token_urlsafe(_BYTES)


def set_form_key(response: Response, settings: Settings, key: str) -> None:
    _set(response, _name(_FORM, settings), key, settings, None)


def form_token(key: str, settings: Settings) -> str:
    """What the form holds: a keyed hash of the cookie, which another site can neither read nor make."""
    return hmac.digest(settings.session_secret_bytes(), b"form\n" + key.encode(), "sha256").hex()


def provider_attempt(request: Request, settings: Settings) -> tuple[str, str] | None:
    """(what an answer of a sign-in provider is bound to, page that was wanted), or None before there is an attempt."""
    browser, _, packed = (request.cookies.get(_name(_PROVIDER, settings)) or "").partition(".")
    if not 0 < len(browser) <= _LENGTH_MAX or not browser.isascii() or len(packed) > _WANTED_MAX:
        return None
    try:
        return browser, base64.urlsafe_b64decode(packed).decode()
    except (binascii.Error, ValueError):
        return None


def set_provider_attempt(response: Response, settings: Settings, browser: str, wanted: str) -> None:
    packed = base64.urlsafe_b64encode(wanted.encode()).decode()
    _set(response, _name(_PROVIDER, settings), f"{browser}.{packed}", settings, _PROVIDER_S)


def clear_provider_attempt(response: Response, settings: Settings) -> None:
    response.delete_cookie(_name(_PROVIDER, settings), path="/", secure=settings.secure, httponly=True, samesite="lax")


def known_device(request: Request, settings: Settings, email: str) -> str | None:
    """This browser's own name, if the person of that address (lower case) has signed in in it before; else None."""
    device, *people = _device(request, settings)
    mark = _device_mark(settings, device, email)
    return device if any(hmac.compare_digest(mark, one) for one in people) else None


def set_device(response: Response, request: Request, settings: Settings, email: str) -> None:
    """Remember that the person of that address has signed in in this browser; it serves a few people, not one."""
    device, *people = _device(request, settings)
    mark = _device_mark(settings, device, email)
    kept = [mark, *(one for one in people if one != mark)][:_PEOPLE_MAX]
    _set(response, _name(_DEVICE, settings), ".".join((device, *kept)), settings, _DEVICE_S)


def _device(request: Request, settings: Settings) -> list[str]:
    """The browser's name and the marks of who signed in in it; a new name where it has none."""
    parts = (request.cookies.get(_name(_DEVICE, settings)) or "").split(".")
    usable = all(0 < len(part) <= _LENGTH_MAX and part.isascii() for part in parts) and len(parts) <= _PEOPLE_MAX + 1
    return parts if usable else [new_form_key()]


def _device_mark(settings: Settings, device: str, email: str) -> str:
    digest = hmac.digest(settings.session_secret_bytes(), f"device\n{device}\n{email}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _set(response: Response, name: str, value: str, settings: Settings, max_age_s: int | None) -> None:
    response.set_cookie(name, value, max_age=max_age_s, path="/", secure=settings.secure, httponly=True, samesite="lax")


def _name(name: str, settings: Settings) -> str:
    return f"__Host-{name}" if settings.secure else name
