"""When a test was read: derived from evidence, with its uncertainty. Pure.

The reader states milliseconds since it started. A hub that visits in the same start (boot) ties that count to its own
clock, and what the hub's clock said when it posted ties it to the server's. Where no hub visited in that boot, the
reader's own wall clock stands if it had one, and otherwise only that it was not later than the server received it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reader import wire
from server.results.models import TimeBasis

# How far a crystal without temperature compensation may drift, here and in a laptop: 100 ppm is twice what their data
# sheets allow over temperature and years.
DRIFT_PPM = 100
# Between a hub's reading of its clock and the server's of its own lies one request on a slow network.
POST_UNCERTAINTY_MS = 5_000
# A moment further off than this from when the server received it, or known no better than this, is no evidence.
_OLDEST_MS = 10 * 366 * 86_400_000


@dataclass(frozen=True, slots=True)
class Anchor:
    """A hub's visit in the same boot: see `server.custody.models.Sighting`. All in milliseconds."""

    uptime_ms: int
    hub_ms: int
    uncertainty_ms: int
    hub_posted_ms: int
    received_ms: int


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class DerivedTime:
    """When, how sure (plus or minus milliseconds), and why. `at` is None when nothing but an upper bound is known."""

    at: datetime | None
    uncertainty_ms: int | None
    basis: TimeBasis


NOT_KNOWN = DerivedTime(None, None, TimeBasis.RECEIVED)


def derive(
    *,
    uptime_ms: int,
    recorded_ms: int,
    wall_ms: int | None,
    clock_source: int,
    wall_uncertainty_ms: int | None,
    received_ms: int,
    anchors: Iterable[Anchor],
) -> DerivedTime:
    """When the reader's uptime was `uptime_ms`.

    `recorded_ms` is the uptime to which `wall_ms` belongs; `received_ms` the server's clock when the record came.
    """
    judged = sorted([(_uncertainty_ms(uptime_ms, anchor), at, anchor) for at, anchor in enumerate(anchors)])
    for uncertainty_ms, _, anchor in judged:
        best = _anchored(uptime_ms, anchor, uncertainty_ms, received_ms)
        if best.at is not None:
            return best
    if wall_ms is None or clock_source == wire.CLOCK_UNSET:
        return NOT_KNOWN
    # The server's floor says "at least this late": no more is known of how late.
    uncertainty = None if clock_source == wire.CLOCK_SERVER else wall_uncertainty_ms
    return _checked(wall_ms - (recorded_ms - uptime_ms), uncertainty, received_ms, TimeBasis.READER_CLOCK)


def _anchored(uptime_ms: int, anchor: Anchor, uncertainty_ms: int, received_ms: int) -> DerivedTime:
    apart_ms = anchor.uptime_ms - uptime_ms
    carried_ms = anchor.hub_posted_ms - anchor.hub_ms
    if carried_ms < 0:
        # The hub's clock was set back between visit and post: it ties nothing together.
        return NOT_KNOWN
    hub_error_ms = anchor.received_ms - anchor.hub_posted_ms
    return _checked(anchor.hub_ms - apart_ms + hub_error_ms, uncertainty_ms, received_ms, TimeBasis.ANCHOR)


def _checked(at_ms: int, uncertainty_ms: int | None, received_ms: int, basis: TimeBasis) -> DerivedTime:
    """The time, unless it is after the server had the record or absurdly before."""
    if uncertainty_ms is not None and uncertainty_ms > _OLDEST_MS:
        return NOT_KNOWN
    if at_ms > received_ms + (uncertainty_ms or 0) + POST_UNCERTAINTY_MS or at_ms < received_ms - _OLDEST_MS:
        return NOT_KNOWN
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=min(at_ms, received_ms))
    return DerivedTime(moment, uncertainty_ms, basis)


def _uncertainty_ms(uptime_ms: int, anchor: Anchor) -> int:
    """How far off a time by this anchor may be; of no meaning where the hub's clock was set back meanwhile."""
    drifting_ms = abs(anchor.uptime_ms - uptime_ms) + anchor.hub_posted_ms - anchor.hub_ms
    return anchor.uncertainty_ms + drifting_ms * DRIFT_PPM // 1_000_000 + 1 + POST_UNCERTAINTY_MS
