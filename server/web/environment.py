"""The Jinja environment of the pages, and how a page becomes a response."""

import dataclasses
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import ChainableUndefined, ChoiceLoader, Environment, PackageLoader, UndefinedError, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from server.settings import Settings
from server.web import assets, formatting


class Missing(ChainableUndefined):
    """Chainable, as nhsuk-frontend's templates need it, but never silent about what a page of ours should hold.

    A misspelt field of a view must stop the page: printed as nothing it could hide an outcome.
    """

    def __init__(self, hint: str | None = None, obj: Any = None, name: str | None = None, *rest: Any) -> None:
        if dataclasses.is_dataclass(obj):
            raise UndefinedError(f"{type(obj).__name__} has no {name}")
        super().__init__(hint, obj, name, *rest)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one environment; templates of ours come before nhsuk-frontend's."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("server.web"), PackageLoader("nhsuk_frontend_jinja")]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=Missing,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    globals_: dict[str, Any] = made.globals  # pyright: ignore[reportUnknownMemberType]
    globals_["asset"] = assets.address
    globals_["count"] = formatting.count
    return made


def zone_of(settings: Settings) -> ZoneInfo:
    """The time zone in which people read times."""
    return ZoneInfo(settings.time_zone)


def page(
    request: Request, template: str, *, status: int = 200, headers: dict[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """Render `template` with the person behind the request, where there is one, as `viewer`; never to be cached."""
    settings: Settings = request.app.state.doorstep.settings
    context.setdefault("viewer", getattr(request.state, "viewer", None))
    context.setdefault("zone_name", zone_of(settings).key.rpartition("/")[2].replace("_", " "))
    viewer: Any = context["viewer"]
    emergency = viewer.emergency if viewer else None
    context.setdefault("emergency_until", formatting.time(emergency.until, zone_of(settings)) if emergency else "")
    body = environment().get_template(template).render(context)
    return HTMLResponse(body, status, {"Cache-Control": "no-store", "Vary": "Cookie, Accept", **(headers or {})})
