"""What pages show of releases and rollouts, in words and numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from server.updates import waves
from server.updates.models import Rollout, Stage, State
from server.updates.release_repository import Release
from server.updates.repository import Listed, Member
from server.updates.service import Shown
from server.updates.waves import Standing
from server.web import formatting

STATES = {
    State.RUNNING: ("Running", "blue"),
    State.PAUSED: ("Paused", "yellow"),
    State.STOPPED: ("Stopped", "red"),
    State.DONE: ("Done", "green"),
}
STAGES = {
    Stage.WAITING: "Not sent yet",
    Stage.SENT: "Waits for a hub to bring the command",
    Stage.AWAITED: "Waits for the image",
    Stage.WHOLE: "Has the image, about to begin",
    Stage.STARTED: "Runs it on trial",
    Stage.CONFIRMED: "Runs it for good",
    Stage.WENT_BACK: "Went back to what it ran before",
    Stage.REFUSED: "Refused it",
    Stage.DROPPED: "Forgot it",
}


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release in the table of them."""

    title: str
    follows: str
    size: str
    added: str
    sbom_href: str
    image_id: str


@dataclass(frozen=True, slots=True)
class Line:
    """A rollout in the list of them."""

    href: str
    title: str
    state: str
    colour: str
    started: str
    why: str


@dataclass(frozen=True, slots=True)
class WaveView:
    """A wave with its counts, in the order of `WAVE_HEADS`."""

    name: str
    now: bool
    counts: list[str]


WAVE_HEADS = (
    "Readers", "Not sent yet", "Under way", "Run it for good", "Went back", "Refused it", "Fault after it", "Looked at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReaderView:
    """A reader of a rollout."""

    name: str
    reader_id: str
    site: str
    wave: str
    stage: str
    since: str
    heard: str


def release(one: Release, zone: ZoneInfo) -> ReleaseView:
    return ReleaseView(
        title(one),
        f"Release {one.follows} or later",
        f"{one.size:,} bytes",
        formatting.date_and_time(one.added_at, zone),
        f"/updates/releases/{one.image_id.hex()}/sbom.json" if one.bill_bytes is not None else "",
        one.image_id.hex(),
    )


def title(one: Release) -> str:
    """`Release 7 (1.3.0) of MODEL`."""
    return f"Release {one.release} ({one.version}) of {one.model}"


def line(listed: Listed, zone: ZoneInfo) -> Line:
    rollout = listed.rollout
    state, colour = STATES[State(rollout.state)]
    return Line(
        f"/updates/{rollout.id}",
        title(listed.release),
        state,
        colour,
        f"Started {formatting.date_and_time(rollout.started_at, zone)}",
        rollout.why,
    )


def plan(rollout: Rollout) -> list[tuple[str, str]]:
    """How it is rolled out."""
    shares = ", ".join(f"{share}%" for share in rollout.shares)
    return [
        ("Canary", formatting.count(rollout.canary, "reader")),
        ("Then, of all readers", shares),
        ("Between waves", formatting.count(rollout.soak_hours, "hour")),
        ("Paused when", f"more than {rollout.limit_percent}% of a wave went back, refused it or had a fault after it"),
    ]


def wave_views(shown: Shown) -> list[WaveView]:
    return [_wave(wave, one, shown.rollout) for wave, one in enumerate(shown.standings)]


def _wave(wave: int, one: Standing, rollout: Rollout) -> WaveView:
    counts = (one.readers, one.unsent, one.open, one.confirmed, one.went_back, one.refused, one.faulty, one.excused)
    shown = [f"{count:,}" for count in counts]
    if one.silent:
        shown[2] += f", {one.silent:,} of them not heard of"
    name = "Canary" if wave == 0 else f"Wave {wave + 1}, to {rollout.shares[wave - 1]}%"
    now = wave == rollout.wave and rollout.state in (State.RUNNING, State.PAUSED)
    return WaveView(name, now, shown)


def totals(standings: Sequence[Standing]) -> tuple[int, int]:
    """(readers that run it for good, readers)."""
    return sum(one.confirmed for one in standings), sum(one.readers for one in standings)


def next_step(shown: Shown, zone: ZoneInfo) -> str:
    """What to do next, in a sentence or two."""
    rollout, standings = shown.rollout, shown.standings
    match rollout.state:
        case State.DONE:
            return "Nothing: every reader came to an end."
        case State.STOPPED:
            return "Find out what was wrong. A release that puts it right needs a higher number."
        case State.PAUSED:
            return (
                "Look at the readers below that went back, refused it or had a fault. Stop the rollout if the release"
                " may be the cause; resume it if not: what they did until now then counts no more."
            )
        case _:
            return _running(rollout, standings[rollout.wave], standings, zone)


def _running(rollout: Rollout, wave: Standing, standings: Sequence[Standing], zone: ZoneInfo) -> str:
    if rollout.settled_at is None:
        waiting = wave.open + wave.unsent - wave.silent
        if waiting == 0:
            return "Bring a hub to a reader below: nothing follows before one of them runs the release for good."
        there = "1 reader that is" if waiting == 1 else f"{waiting:,} readers that are"
        return f"Bring a hub to {there} under way in {waves.named(rollout.wave)}, and see that they are charged."
    ends = rollout.settled_at + timedelta(hours=rollout.soak_hours)
    silent = sum(one.silent for one in standings)
    if rollout.wave + 1 < len(standings):
        return f"Wait: the next wave begins by itself on {formatting.date_and_time(ends, zone)}."
    if silent:
        there = "1 reader that was" if silent == 1 else f"{silent:,} readers that were"
        return f"Bring a hub to {there} not heard of in {waves.SILENT.days} days, or stop the rollout to begin another."
    return f"Wait: it is done on {formatting.date_and_time(ends, zone)} if no reader does badly until then."


def reader(one: Member, zone: ZoneInfo) -> ReaderView:
    said = STAGES[Stage(one.stage)]
    notes = [
        one.detail if one.stage in (Stage.WENT_BACK, Stage.REFUSED, Stage.DROPPED) else "",
        "had a fault after it" if one.faulty else "",
        "looked at" if one.excused else "",
        "told to forget it" if one.told_to_stop and one.stage != Stage.DROPPED else "",
        "revoked" if one.revoked else "",
    ]
    return ReaderView(
        one.name,
        one.reader_id.hex(),
        one.site,
        "Canary" if one.wave == 0 else f"Wave {one.wave + 1}",
        "; ".join([said, *(note for note in notes if note)]),
        formatting.date_and_time(one.changed_at, zone),
        formatting.date_and_time(one.heard_at, zone) if one.heard_at else "Never",
    )
