"""Who may test and what is recalled: the two lists that the server sends, each kept whole in two copies
(`reader.copies`).

On flash a list is rows of one length, so that looking one up needs no more memory than its bytes: of an operator the
hash of the badge and the last day; of a recall the hash of GTIN and lot, or of the GTIN alone for every lot.
"""

from reader import cassettes, copies, wire
from reader.identity import is_label, is_uint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


_DAY = const(4)  # bytes: the last day and one, 0 for none
_BADGE_MAX = const(16)
_GTIN = const(14)
_NAMES = {wire.DOWN_OPERATORS: "operators", wire.DOWN_RECALLS: "recalls"}


class ListDamaged(Exception):
    """Both copies are damaged: the server has to send the list anew."""


def encode(kind: int, rows: "Any") -> "bytes | None":
    """What is kept of a list of the downlink (docs/protocol.cddl, `operators` and `recalls`); None when it is no such
    list."""
    if not isinstance(rows, list) or len(rows) > wire.LIST_MAX:
        return None
    kept = b""
    for row in rows:
        if not isinstance(row, list) or len(row) != 2 or not is_label(row[0]):
            return None
        name, more = row
        if kind == wire.DOWN_OPERATORS:
            if not 1 <= len(name.encode()) <= _BADGE_MAX or not (more is None or is_uint(more, 0xFFFFFFFE)):
                return None
            kept += cassettes.key(name) + (0 if more is None else more + 1).to_bytes(_DAY, "big")
        else:
            if len(name.encode()) != _GTIN or not (more is None or is_label(more)):
                return None
            kept += _recall(name, more)
    return kept


def keep(root: str, kind: int, content: bytes) -> None:
    """Put what `encode` made in the place of the list before. OSError: the list before stays, or this one."""
    copies.keep(root, _NAMES[kind], content)


def badge_needed(root: str) -> bool:
    """Whether a test needs an operator's badge: the list of operators received last names somebody, or is damaged."""
    try:
        return bool(_content(root, wire.DOWN_OPERATORS))
    except ListDamaged:
        return True


def refused_badge(root: str, badge: str, today: "int | None") -> "str | None":
    """Why the operator of that badge may not test, by its key in the texts, or None. `today` is days since 1970 or
    None. ListDamaged."""
    kept = _content(root, wire.DOWN_OPERATORS)
    if not kept:  # an empty list lifts the one before
        return None
    wanted = cassettes.key(badge)
    size = cassettes.KEY + _DAY
    for at in range(0, len(kept), size):
        if kept[at : at + cassettes.KEY] == wanted:
            last = int.from_bytes(kept[at + cassettes.KEY : at + size], "big")
            if not last:
                return None
            if today is None:
                return "clock unset"
            return None if today < last else "not certified"
    return "not certified"


def recalled(root: str, gtin: str, lot: "str | None") -> bool:
    """Whether that lot, or every lot of that GTIN, is recalled. ListDamaged."""
    kept = _content(root, wire.DOWN_RECALLS) or b""
    wanted = (_recall(gtin, None), _recall(gtin, lot))
    return any(kept[at : at + cassettes.KEY] in wanted for at in range(0, len(kept), cassettes.KEY))


def _recall(gtin, lot):
    return cassettes.key(gtin) if lot is None else cassettes.key(gtin, lot)


def _content(root, kind):
    """The list as it is kept, or None when there never was one."""
    try:
        return copies.kept(root, _NAMES[kind])
    except copies.BothDamaged:
        raise ListDamaged from None
