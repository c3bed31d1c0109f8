"""What calls about updates take and answer."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from server.api.shapes import ReaderId, Shape
from server.updates import waves
from server.updates.release_repository import Release
from server.updates.repository import Listed, Member
from server.updates.service import WHY_MAX, Plan, Shown
from server.updates.waves import Standing

ImageId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Why = Annotated[str, StringConstraints(min_length=1, max_length=WHY_MAX, pattern=r"^[^\x00]*$")]


class RolloutState(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


class ReaderStage(StrEnum):
    """How far a reader is, by what it journalled last."""

    WAITING = "waiting"
    SENT = "sent"
    AWAITED = "awaited"
    WHOLE = "whole"
    STARTED = "started"
    CONFIRMED = "confirmed"
    WENT_BACK = "went-back"
    REFUSED = "refused"
    DROPPED = "dropped"


class ReleaseShape(Shape):
    """A release of the readers' application. `follows` is the least release that it may follow."""

    image_id: ImageId
    model: str
    version: str
    release: int
    follows: int
    size: int
    sha256: str
    has_sbom: bool
    added_at: datetime


class Releases(Shape):
    items: list[ReleaseShape]
    next_cursor: str | None


class RolloutAsked(Shape):
    """A release, and how it is rolled out: `shares` are the waves after the canary, in per cent of all readers."""

    image_id: ImageId
    canary: Annotated[int, Field(ge=1, le=waves.CANARY_MAX)] = waves.CANARY
    shares: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        default_factory=lambda: list(waves.SHARES), min_length=1, max_length=waves.WAVES_MAX
    )
    soak_hours: Annotated[int, Field(ge=0, le=waves.SOAK_HOURS_MAX)] = waves.SOAK_HOURS
    limit_percent: Annotated[int, Field(ge=0, le=50)] = waves.LIMIT_PERCENT


class WhyAsked(Shape):
    """Why it is done; kept for good."""

    why: Why


class WaveShape(Shape):
    """How the readers of a wave stand. `went_back`, `refused` and `faulty` are those that nobody looked at yet."""

    readers: int
    unsent: int
    open: int
    silent: int
    confirmed: int
    went_back: int
    refused: int
    faulty: int
    excused: int


class RolloutShape(Shape):
    """A rollout. `wave` is the one opened last, from 0, the canary; `why` is why it was paused or stopped."""

    id: UUID
    release: ReleaseShape
    state: RolloutState
    why: str
    canary: int
    shares: list[int]
    soak_hours: int
    limit_percent: int
    wave: int
    settled_at: datetime | None
    started_at: datetime
    changed_at: datetime


class Rollouts(Shape):
    items: list[RolloutShape]
    next_cursor: str | None


class RolloutWhole(Shape):
    rollout: RolloutShape
    waves: list[WaveShape]


class RolloutReaderShape(Shape):
    reader_id: ReaderId
    name: str
    site: str
    wave: int
    stage: ReaderStage
    detail: str
    changed_at: datetime
    heard_at: datetime | None
    faulty: bool
    excused: bool
    revoked: bool


class RolloutReaders(Shape):
    items: list[RolloutReaderShape]
    next_cursor: str | None


def plan(asked: RolloutAsked) -> Plan:
    return Plan(asked.canary, tuple(asked.shares), asked.soak_hours, asked.limit_percent)


def release(one: Release) -> ReleaseShape:
    return ReleaseShape(
        image_id=one.image_id.hex(),
        model=one.model,
        version=one.version,
        release=one.release,
        follows=one.follows,
        size=one.size,
        sha256=one.digest.hex(),
        has_sbom=one.bill_bytes is not None,
        added_at=one.added_at,
    )


def rollout(listed: Listed) -> RolloutShape:
    one = listed.rollout
    return RolloutShape(
        id=one.id,
        release=release(listed.release),
        state=RolloutState(one.state),
        why=one.why,
        canary=one.canary,
        shares=one.shares,
        soak_hours=one.soak_hours,
        limit_percent=one.limit_percent,
        wave=one.wave,
        settled_at=one.settled_at,
        started_at=one.started_at,
        changed_at=one.changed_at,
    )


def whole(shown: Shown) -> RolloutWhole:
    return RolloutWhole(
        rollout=rollout(Listed(shown.rollout, shown.release)), waves=[_wave(one) for one in shown.standings]
    )


def _wave(one: Standing) -> WaveShape:
    return WaveShape(
        readers=one.readers,
        unsent=one.unsent,
        open=one.open,
        silent=one.silent,
        confirmed=one.confirmed,
        went_back=one.went_back,
        refused=one.refused,
        faulty=one.faulty,
        excused=one.excused,
    )


def reader(one: Member) -> RolloutReaderShape:
    return RolloutReaderShape(
        reader_id=one.reader_id.hex(),
        name=one.name,
        site=one.site,
        wave=one.wave,
        stage=ReaderStage(one.stage),
        detail=one.detail,
        changed_at=one.changed_at,
        heard_at=one.heard_at,
        faulty=one.faulty,
        excused=one.excused,
        revoked=one.revoked,
    )
