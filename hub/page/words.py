"""Times and measures in the words of the page, in the laptop's own time zone: Today at 5:30pm, 6 August 2026."""

from datetime import datetime

NEVER = "Never"
_NOW_S = 45


def when(iso: str | None, now: datetime) -> str:
    """`Just now`, `Today at 5:30pm`, `Yesterday at 9am`, `6 August 2026 at 5:30pm` or `Never`; `now` carries a zone."""
    if iso is None:
        return NEVER
    moment = datetime.fromisoformat(iso).astimezone(now.tzinfo)
    if 0 <= (now - moment).total_seconds() < _NOW_S:
        return "Just now"
    days = (now.date() - moment.date()).days
    day = {0: "Today", 1: "Yesterday"}.get(days) or date(moment)
    return f"{day} at {time(moment)}"


def date(moment: datetime) -> str:
    """`6 August 2026`."""
    return f"{moment.day} {moment:%B %Y}"


def time(moment: datetime) -> str:
    """`5:30pm`, `5pm`, `midday`, `midnight`."""
    if moment.minute == 0 and moment.hour in (0, 12):
        return "midday" if moment.hour else "midnight"
    minutes = f":{moment.minute:02}" if moment.minute else ""
    return f"{moment.hour % 12 or 12}{minutes}{'am' if moment.hour < 12 else 'pm'}"


def battery(percent: int | None, low: bool) -> str:
    """`64%`, `8%, low`, `Not known`."""
    if percent is None:
        return "Low" if low else "Not known"
    return f"{percent}%, low" if low else f"{percent}%"


def signal(dbm: int | None) -> str:
    """`Strong (−52 dBm)`; the bounds are those at which a link of this kind starts to repeat, and to break."""
    if dbm is None:
        return "Not known"
    word = "Strong" if dbm >= -70 else "Fair" if dbm >= -85 else "Weak"
    return f"{word} ({dbm} dBm)".replace("-", "−")


def count(number: int, noun: str) -> str:
    """`1 record`, `1,204 records`."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
