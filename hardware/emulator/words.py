"""What the reader's screen says, by language: the firmware's own tables, for those who read its screen."""

import functools

from .wiring import FIRMWARE

_TABLES = FIRMWARE / "reader" / "languages"


def languages() -> list[str]:
    """Codes of the languages that the firmware has a table of."""
    return sorted(path.stem for path in _TABLES.glob("*.txt"))


@functools.cache
def table(language: str) -> dict[str, str]:
    """Key to sentence, line feeds where a line ends; FileNotFoundError for a language without a table."""
    rows = (_TABLES / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    pairs = (row.split("=", 1) for row in rows if row and not row.startswith("#"))
    return {key: text.replace("/", "\n") for key, text in pairs}


def first_line(language: str, key: str) -> str:
    """The first line of a sentence as it stands on the screen, by which the picture is known."""
    return table(language)[key].split("\n")[0]
