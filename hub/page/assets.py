"""The page's static files and its Jinja environment. The front-end files lie beside it, so it needs no network."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, ChoiceLoader, Environment, PackageLoader, select_autoescape

STATIC = Path(__file__).parent / "static"
_NEEDED = ("vendor/nhsuk-frontend.min.css", "vendor/htmx.min.js", "vendor/sse.min.js", "hub.css")


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
    return made
