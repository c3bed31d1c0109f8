"""Copies the front-end files that the pages need from node_modules into static/vendor, without fonts or foreign hosts.

Run as `python -m server.web.assets [FOLDER ...]` after `npm ci`. nhsuk-frontend's style sheet asks a foreign host for a
typeface that only the National Health Service may use; both the request and the name are taken out here, so that Arial
is what a page is drawn in and nothing leaves the server that serves it.
"""

import hashlib
import re
import shutil
import sys
from functools import lru_cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
VENDOR = STATIC / "vendor"
NODE_MODULES = Path(__file__).resolve().parents[2] / "node_modules"

_STYLE_SHEET = "nhsuk-frontend/dist/nhsuk/nhsuk-frontend.min.css"
_IMAGES = "nhsuk-frontend/dist/nhsuk/assets/images"
_SCRIPTS = {
    "nhsuk-frontend.min.js": "nhsuk-frontend/dist/nhsuk/nhsuk-frontend.min.js",
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "sse.min.js": "htmx-ext-sse/dist/sse.min.js",
    "uPlot.iife.min.js": "uplot/dist/uPlot.iife.min.js",
    "uPlot.min.css": "uplot/dist/uPlot.min.css",
}
_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
_SOURCE_MAP = re.compile(rb"\n?(?://[#@] |/\*[#@] )sourceMappingURL=[^\n]*")
_IMAGE_URL = re.compile(r"url\((['\"]?)/assets/images/([\w-]+\.svg)\1")
_FOREIGN_URL = re.compile(r"url\(\s*['\"]?(?:https?:)?//")


class AssetsMissingError(Exception):
    """A front-end file is not where `npm ci` puts it; says what to run."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path.name} of the front end is missing. Run `npm ci`, then `python -m server.web.assets`.")


def style_sheet(source: str) -> str:
    """nhsuk-frontend's style sheet with no typeface of its own, images beside it, and no foreign address.

    Raises `ValueError` when an address of another host is left, so that a new release cannot bring one in unseen.
    """
    sheet = _FONT_FACE.sub("", source).replace("Frutiger W01,arial", "arial")
    sheet = _IMAGE_URL.sub(r"url(\1images/\2\1", sheet)
    if _FOREIGN_URL.search(sheet) or "Frutiger" in sheet or "url(/assets" in sheet:
        raise ValueError("the style sheet still names another host, a typeface or a path that is not served here")
    return sheet


def copy(node_modules: Path = NODE_MODULES, vendor: Path = VENDOR) -> list[Path]:
    """Fill `vendor` from `node_modules` and return what was written; raises `AssetsMissingError`."""
    images = sorted((node_modules / _IMAGES).glob("nhsuk-icon-*.svg"))
    sources = [node_modules / _STYLE_SHEET, *(node_modules / path for path in _SCRIPTS.values())]
    for source in sources:
        if not source.is_file():
            raise AssetsMissingError(source)
    shutil.rmtree(vendor, ignore_errors=True)
    (vendor / "images").mkdir(parents=True)
    written: list[Path] = []

    def write(name: str, content: bytes) -> None:
        target = vendor / name
        target.write_bytes(content)
        written.append(target)

    sheet = _SOURCE_MAP.sub(b"", style_sheet(sources[0].read_text("utf-8")).encode())
    write("nhsuk-frontend.min.css", sheet)
    for name in sorted(set(re.findall(r"images/([\w-]+\.svg)", sheet.decode()))):
        source = next((image for image in images if image.name == name), None)
        if source is None:
            raise AssetsMissingError(node_modules / _IMAGES / name)
        write(f"images/{name}", source.read_bytes())
    for name, path in _SCRIPTS.items():
        write(name, _SOURCE_MAP.sub(b"", (node_modules / path).read_bytes()))
    return written


def require() -> None:
    """Raises `AssetsMissingError` unless every file a page asks for is in place; called when the server starts."""
    for name in ("nhsuk-frontend.min.css", *_SCRIPTS):
        if not (VENDOR / name).is_file():
            raise AssetsMissingError(VENDOR / name)


@lru_cache(maxsize=64)
def address(name: str) -> str:
    """The address of a static file, with a mark of its content, so that a browser may keep it for a year."""
    content = (STATIC / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:16]}"


def main(arguments: list[str]) -> int:
    """Fill our own folder, and each that is named: the hub's page is drawn with the same files."""
    try:
        written = [file for vendor in (VENDOR, *map(Path, arguments)) for file in copy(vendor=vendor)]
    except (AssetsMissingError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{len(written)} front-end files in place\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
