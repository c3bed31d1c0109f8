"""Puts the pages into the application: static files, security headers and error pages."""

from zoneinfo import ZoneInfoNotFoundError

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from server.accounts import passwords
from server.settings import Settings, SettingsError
from server.web import assets, errors
from server.web.environment import zone_of
from server.web.headers import SecurityHeaders

_FOR_A_YEAR = "public, max-age=31536000, immutable"
_ASK_AGAIN = "public, no-cache"


class Files(StaticFiles):
    """Static files; one asked for by its content's mark never changes, any other is asked for again each time."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        marked = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = _FOR_A_YEAR if marked else _ASK_AGAIN
        return response


def install(app: FastAPI, settings: Settings) -> None:
    """Add static files, headers and error pages to `app`, after `problems.install`.

    Raises `AssetsMissingError`, and `SettingsError` for a time zone that does not exist.
    """
    assets.require()
    passwords.prepare()
    try:
        zone_of(settings)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError("DOORSTEP_TIME_ZONE must be a time zone such as Europe/London.") from None
    app.mount("/static", Files(directory=assets.STATIC), name="static")
    app.add_middleware(SecurityHeaders, https=settings.secure)
    errors.install(app)
