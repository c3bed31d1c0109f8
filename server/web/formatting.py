"""Dates, times, durations and measures in the words that a page uses: 6 August 2026, 5:30pm, within 2 minutes.

The forms are those of the NHS digital service manual's content style guide ("Numbers, measurements, dates and time").
Nothing here rounds an uncertainty down: what is said is never more exact than what is known.
"""

from datetime import datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

NOT_KNOWN = "Not known"

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 result`, `1,204 results`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def date(moment: datetime, zone: ZoneInfo) -> str:
    """`6 August 2026` in `zone`; `moment` must carry its own zone."""
    local = _local(moment, zone)
    return f"{local.day} {local:%B %Y}"


def time(moment: datetime, zone: ZoneInfo) -> str:
    """`5:30pm`, `5pm`, `midday`, `midnight`."""
    local = _local(moment, zone)
    if local.minute == 0 and local.hour in (0, 12):
        return "midday" if local.hour else "midnight"
    hour = local.hour % 12 or 12
    minutes = f":{local.minute:02}" if local.minute else ""
    return f"{hour}{minutes}{'am' if local.hour < 12 else 'pm'}"


def date_and_time(moment: datetime | None, zone: ZoneInfo) -> str:
    """`6 August 2026 at 5:30pm`, or `Not known`."""
    return NOT_KNOWN if moment is None else f"{date(moment, zone)} at {time(moment, zone)}"


def day_and_time(moment: datetime | None, zone: ZoneInfo, now: datetime) -> str:
    """As `date_and_time`, but `Today at 5:30pm`, `Yesterday …` or `Tomorrow …` where that is so."""
    if moment is None:
        return NOT_KNOWN
    days = (_local(now, zone).date() - _local(moment, zone).date()).days
    name = {0: "Today", 1: "Yesterday", -1: "Tomorrow"}.get(days)
    return f"{name} at {time(moment, zone)}" if name else date_and_time(moment, zone)


def uncertainty(span: timedelta | None) -> str:
    """`within 2 minutes`: in the largest unit that the span fills, rounded up; `time not certain` for None."""
    if span is None:
        return "time not certain"
    seconds = max(1, ceil(span.total_seconds()))
    for name, size in _UNITS:
        if seconds > size or size == 1 or seconds == size:
            return f"within {count(ceil(seconds / size), name)}"
    raise AssertionError("every span has a unit")


def duration(span: timedelta) -> str:
    """`14 minutes 30 seconds`, `1 hour 5 minutes`: the two largest units, to the nearest of the smaller."""
    seconds = round(span.total_seconds())
    if seconds < 0:
        raise ValueError("a duration is not negative")
    for index, (name, size) in enumerate(_UNITS):
        if seconds < size and size > 1:
            continue
        if size == 1:
            return count(seconds, name)
        small, small_size = _UNITS[index + 1]
        whole, rest = divmod(round(seconds / small_size), size // small_size)
        return count(whole, name) + (f" {count(rest, small)}" if rest else "")
    raise AssertionError("every span has a unit")


def count_of_hours(minutes: int) -> str:
    """`1 hour`, `1.5 hours`, `30 minutes`: never in days, because a day at work is not 24 hours."""
    if minutes < 60:
        return count(minutes, "minute")
    if minutes % 60 == 0:
        return count(minutes // 60, "hour")
    return f"{minutes / 60:.2f}".rstrip("0") + " hours"


def clock_minutes(milliseconds: int) -> str:
    """Time into a run as laboratories write it: `14:30`, minutes and seconds, to the nearest second."""
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes}:{seconds:02}"


def celsius(hundredths: int | None) -> str:
    """`21.5 °C` from hundredths of a degree, or `Not measured`."""
    if hundredths is None:
        return "Not measured"
    return f"{hundredths / 100:.1f} °C".replace("-", "−")


def volts(millivolts: int | None) -> str:
    """`3.92 V` from millivolts, or `Not measured`."""
    return "Not measured" if millivolts is None else f"{millivolts / 1000:.2f} V"


def measure(milli: int, unit: str | None, error_milli: int | None = None) -> str:
    """A value carried in thousandths with its unit and standard error: `4.2 mg/L (standard error 0.3)`.

    One decimal under 100, none above; a value that is not zero never reads as `0`.
    """
    text = _plain(milli)
    if unit:
        text += f" {unit}"
    return text if error_milli is None else f"{text} (standard error {_plain(error_milli)})"


def percent(ppm: float) -> str:
    """`4.2%` from parts per million."""
    return f"{ppm / 10_000:.1f}%".replace("-", "−")


def hexadecimal(content: bytes) -> str:
    """Bytes as hexadecimal in groups of four, so that two people can read them to each other."""
    text = content.hex()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def _plain(milli: int) -> str:
    value = milli / 1000
    if milli and abs(value) < 0.1:
        return f"{value:.3f}".rstrip("0").replace("-", "−")
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}").replace("-", "−")


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone cannot be shown")
    return moment.astimezone(zone)
