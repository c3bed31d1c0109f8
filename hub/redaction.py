"""What may be written where others read it: the log and the support file. It is pure, and errs towards leaving out.

Names decide first: a field that by its name holds a secret, a person or a specimen is refused whole. Of the rest, bytes
are never written, and of text whatever looks like a key, a token or an address with a password is taken out. An error
keeps its words only where they are this hub's, the system's or a library's own; those of a ValueError often are the
very value.
"""

import re
from collections.abc import Iterator, Mapping
from traceback import extract_tb
from typing import Any, cast

REFUSED = "(not kept)"
TEXT_MAX = 1_000
TRACE_MAX = 12_000
_DEPTH_MAX = 8
_ITEMS_MAX = 1_000

# Anywhere in a field's name.
_PARTS = (
    "secret", "token", "authorization", "assertion", "password", "credential", "cookie", "key", "specimen", "barcode",
    "patient", "person", "birth", "phone", "consent", "sealed", "cipher", "plaintext",
)  # fmt: skip
# A field's whole name.
_NAMES = frozenset((
    "name", "names", "given_name", "family_name", "ticket", "tickets", "analyte", "outcome", "result", "body",
    "payload", "record", "email", "address",
))  # fmt: skip

_OPAQUE = re.compile(
    r"-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|\Z)"
    r"|\bb'(?:[^'\\]|\\.)*'|\bb\"(?:[^\"\\]|\\.)*\""
    r"|(?<![0-9A-Za-z])[0-9A-Fa-f]{32,}"
    r"|[0-9A-Za-z+/]{48,}={0,2}|[0-9A-Za-z+/]{32,}={1,2}"
    r"|(?=[0-9A-Za-z_-]*[0-9])(?=[0-9A-Za-z_-]*[a-z])(?=[0-9A-Za-z_-]*[A-Z])[0-9A-Za-z_-]{32,}"
    r"|(?<=[Bb]earer )\S+",
    re.DOTALL,
)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
# Whose errors are told in their own words, by the first part of their module.
_OWN_WORDS = ("hub", "bleak", "dbus_fast", "httpx", "httpcore", "sqlite3", "ssl", "socket")


def refused(name: str) -> bool:
    """Whether a field of that name is kept out whole."""
    name = name.lower()
    return name in _NAMES or any(part in name for part in _PARTS)


def clean(value: Any, depth: int = 0) -> Any:
    """A value as JSON may hold it: refused fields and bytes left out, text cleaned, all of it bounded."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return REFUSED
    if depth >= _DEPTH_MAX:
        return "…"
    if isinstance(value, Mapping):
        items = list(cast(Mapping[Any, Any], value).items())[:_ITEMS_MAX]
        return {text(str(k)): REFUSED if refused(str(k)) else clean(v, depth + 1) for k, v in items}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, depth + 1) for item in list(cast(list[Any], value))[:_ITEMS_MAX]]
    return trace_words(value) if isinstance(value, BaseException) else text(str(value))


def text(words: str, longest: int = TEXT_MAX) -> str:
    """Words without what looks like a key, a token or a password, at most `longest` characters."""
    # Cut once before as well, so that no length of text costs more than its share.
    found = _USER_INFO.sub(f"{REFUSED}@", _OPAQUE.sub(REFUSED, words[: 4 * longest]))
    return found if len(found) <= longest else found[: longest - 1] + "…"


def trace(error: BaseException) -> str:
    """Where an error came from, and what caused it: frames, types, and words only of those who may speak."""
    return text("\n".join(_lines(error, 0, set())), TRACE_MAX)


def trace_words(error: BaseException) -> str:
    """An error in one line: its type, with its words where they cannot be a value."""
    kind = type(error)
    if isinstance(error, OSError) or kind.__module__.partition(".")[0] in _OWN_WORDS:
        return text(f"{kind.__name__}: {error}")
    return kind.__name__


def _lines(error: BaseException, depth: int, seen: set[int]) -> Iterator[str]:
    if depth > _DEPTH_MAX or id(error) in seen:
        return
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _lines(cause, depth + 1, seen)
        yield "which led to:"
    yield from (f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in extract_tb(error.__traceback__))
    yield trace_words(error)
    if isinstance(error, BaseExceptionGroup):
        group = cast(BaseExceptionGroup[BaseException], error)
        for number, inner in enumerate(group.exceptions, 1):
            yield f"of it, {number}:"
            yield from _lines(inner, depth + 1, seen)
