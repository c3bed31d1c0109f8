"""Days that people give in forms and addresses, as nhsuk-frontend's date input names their three parts."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

PARTS = ("day", "month", "year")


def names(prefix: str) -> tuple[str, ...]:
    """`from[day]`, `from[month]`, `from[year]`."""
    return tuple(f"{prefix}[{part}]" for part in PARTS)


def day(fields: Mapping[str, str], prefix: str) -> date | None:
    """The day in those three fields, None when all are empty; `ValueError` for what is no day of 1900 to 9998."""
    given = [fields.get(name, "").strip() for name in names(prefix)]
    if not any(given):
        return None
    if not all(part.isascii() and part.isdecimal() and len(part) <= 4 for part in given):
        raise ValueError("a part is no number")
    in_order = [int(part) for part in given]
    found = date(in_order[2], in_order[1], in_order[0])
    if not 1900 <= found.year <= 9998:
        raise ValueError("not a year that anybody means")
    return found


def begins(on: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day in a zone."""
    return datetime.combine(on, time(0), zone)


def ends(on: date, zone: ZoneInfo) -> datetime:
    """The last moment of a day in a zone."""
    return begins(on + timedelta(days=1), zone) - timedelta(microseconds=1)
