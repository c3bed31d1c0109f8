"""The page's static files and its Jinja environment. The front-end files lie beside it, so it needs no network."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, ChoiceLoader, Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse

STATIC = Path(__file__).parent / "static"
_NEEDED = ("vendor/nhsuk-frontend.min.css", "vendor/htmx.min.js", "vendor/sse.min.js", "vendor/nhsuk-frontend.min.js")


def are_there() -> bool:
    """Whether every file the page asks for is in place: in a source tree, `make setup` puts them there."""
    return all((STATIC / name).is_file() for name in _NEEDED)


@lru_cache(maxsize=16)
def address(name: str) -> str:
    """The address of a static file, with a mark of its content."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates of ours come before nhsuk-frontend's, which read attributes that may not be there."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("hub.page"), PackageLoader("nhsuk_frontend_jinja")]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    globals_: dict[str, Any] = made.globals  # pyright: ignore[reportUnknownMemberType]
    globals_["asset"] = address
    globals_["summary_of"] = _summary
    return made


def _summary(errors: dict[str, str]) -> list[dict[str, str]]:
    """The items of nhsuk's error summary; a date's error leads to its first part, as nhsuk names it."""
    return [
        {"text": sentence, "href": "#birth-day" if field == "birth" else f"#{field}"}
        for field, sentence in errors.items()
    ]


def rendered(template: str, status_code: int = 200, **context: Any) -> HTMLResponse:
    """A page of ours as an answer."""
    return HTMLResponse(environment().get_template(template).render(context), status_code)
