"""Releases and rollouts: adding one, starting, pausing, resuming and stopping. `advancing` does the work in between."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, cast
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.database.columns import now
from server.problems import NotFound, Problem
from server.updates import image, repository, waves
from server.updates import release_repository as releases
from server.updates.models import Rollout, State
from server.updates.release_repository import Release

BILL_MAX = 4 * 1024 * 1024
WHY_MAX = 400


class BillUnusable(Problem):
    """The bill of materials is not one."""

    status = 422
    code = "bill-unusable"
    title = "That is no bill of materials in CycloneDX"


class ReleaseFixed(Problem):
    """The model has another image, or the image another bill, under that number."""

    status = 409
    code = "release-fixed"
    title = "That release is another image"


class ReleaseUnknown(Problem):
    """There is no such release, or more than one."""

    status = 404
    code = "release-unknown"
    title = "There is no such release"


class RolloutRefused(Problem):
    """What was asked for is no rollout; `extra["field"]` names the field that is wrong."""

    status = 422
    code = "rollout-refused"
    title = "This cannot be rolled out so"


class RolloutUnderWay(Problem):
    """Another rollout is not over yet."""

    status = 409
    code = "rollout-under-way"
    title = "Another rollout is under way"


class RolloutMoved(Problem):
    """As the rollout stands, that cannot be done with it."""

    status = 409
    code = "rollout-moved"
    title = "The rollout does not stand so any more"


@dataclass(frozen=True, slots=True)
class Added:
    """A release as it is kept. `added` is False when the same was there."""

    release: Release
    added: bool


async def add(session: AsyncSession, content: bytes, bill: bytes | None) -> Added:
    """Keep an image with its bill of materials. Raises `ImageUnusable`, `BillUnusable`, `ReleaseFixed`."""
    read = image.read(content)
    if bill is not None:
        check_bill(bill)
    values = {
        "image_id": read.image_id, "model": read.model, "version": read.version, "release": read.release,
        "follows": read.follows, "manifest_bytes": read.manifest_bytes, "manifest_hash": read.manifest_hash,
        "size": read.size, "digest": read.digest, "content": content, "bill": bill, "added_at": now(),
    }  # fmt: skip
    added = await releases.add(session, values)
    kept = await releases.release(session, read.image_id)
    if kept is None:
        raise ReleaseFixed(
            f"Release {read.release} of {read.model} is there with other bytes. A release is never changed: build this"
            " one anew under a higher number."
        )
    if not added and bill is not None and bill != await releases.bill(session, read.image_id):
        raise ReleaseFixed(f"Release {read.release} of {read.model} is there with another bill of materials, or none.")
    return Added(kept, added)


def check_bill(bill: bytes) -> None:
    """Raises `BillUnusable` unless it is a JSON object that says it is CycloneDX."""
    if len(bill) > BILL_MAX:
        raise BillUnusable(f"It has {len(bill):,} bytes; at most {BILL_MAX:,} are taken.")
    try:
        read: object = json.loads(bill)
    except (ValueError, RecursionError):
        raise BillUnusable("It is not JSON. Make it anew as CycloneDX JSON.") from None
    if not isinstance(read, dict) or cast("dict[str, Any]", read).get("bomFormat") != "CycloneDX":
        raise BillUnusable("Its bomFormat is not CycloneDX.")


async def choose(session: AsyncSession, number: int, model: str | None) -> Release:
    """The release of that number; `model` may be None where only one model has it. Raises `ReleaseUnknown`."""
    found = [one for one in await releases.releases(session) if one.release == number and model in (None, one.model)]
    if not found:
        raise ReleaseUnknown(f"There is no release {number}. See what there is with: doorstep server release list")
    if len(found) > 1:
        models = ", ".join(one.model for one in found)
        raise ReleaseUnknown(f"Several models have a release {number}: {models}. Name the model.")
    return found[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a release is rolled out: as `server.updates.models.Rollout` says."""

    canary: int = waves.CANARY
    shares: Sequence[int] = waves.SHARES
    soak_hours: int = waves.SOAK_HOURS
    limit_percent: int = waves.LIMIT_PERCENT


def check(plan: Plan) -> None:
    """Raises `RolloutRefused` for a plan that cannot be followed."""
    if not 1 <= plan.canary <= waves.CANARY_MAX:
        raise _refused("canary", f"Give 1 to {waves.CANARY_MAX} readers that are first.")
    shares = list(plan.shares)
    rising = all(one < other for one, other in pairwise(shares))
    if not shares or not rising or shares[0] < 1 or shares[-1] != 100 or len(shares) > waves.WAVES_MAX:
        raise _refused("shares", f"Give at most {waves.WAVES_MAX} shares in per cent, each greater, the last 100.")
    if not 0 <= plan.soak_hours <= waves.SOAK_HOURS_MAX:
        raise _refused("soak_hours", f"Give 0 to {waves.SOAK_HOURS_MAX} hours between waves.")
    if not 0 <= plan.limit_percent <= 50:
        raise _refused("limit_percent", "Give 0 to 50 per cent of a wave that may do badly.")


def _refused(field: str, sentence: str) -> RolloutRefused:
    return RolloutRefused(sentence, extra={"field": field})


async def start(session: AsyncSession, actor: Actor, organisation_id: UUID, image_id: bytes, plan: Plan) -> Rollout:
    """Choose the wave of every reader; `advancing` sends them the update. One rollout is under way at most.

    Raises `RolloutRefused`, `RolloutUnderWay`, `ReleaseUnknown`.
    """
    check(plan)
    release = await releases.release(session, image_id)
    if release is None:
        raise ReleaseUnknown("Choose one of the releases that there are.")
    rollout = Rollout(
        organisation_id=organisation_id, image_id=release.image_id, canary=plan.canary, shares=list(plan.shares),
        soak_hours=plan.soak_hours, limit_percent=plan.limit_percent, actor_kind=actor.kind, actor=actor.name,
    )  # fmt: skip
    found = await repository.candidates(session, release, rollout.started_at)
    if not found:
        raise _refused(
            "release", "No reader can be updated by it: each runs it already, or a later one, or is revoked."
        )
    chosen = waves.assign(rollout.id, plan.canary, plan.shares, found)
    detail: dict[str, object] = {
        "release": release.release, "version": release.version, "model": release.model, "image": image_id.hex(),
        "readers": len(chosen), "canary": plan.canary, "shares": list(plan.shares), "soak_hours": plan.soak_hours,
        "limit_percent": plan.limit_percent,
    }  # fmt: skip
    await _audited(session, actor, organisation_id, "rollout.start", rollout.id, detail)
    try:
        # Undone to here, so that whoever lost a race may say so in the same transaction.
        async with session.begin_nested():
            session.add(rollout)
            await session.flush()
            await repository.put_readers(session, rollout, chosen)
    except IntegrityError as error:
        raise RolloutUnderWay(
            "Stop the one that is under way, or let it end. One that was stopped a moment ago is still telling its"
            " readers; try again in a minute."
        ) from error
    return rollout


@dataclass(frozen=True, slots=True)
class Shown:
    """A rollout, its release, and how the readers of each wave stand."""

    rollout: Rollout
    release: Release
    standings: Sequence[waves.Standing]


async def one(session: AsyncSession, rollout_id: UUID, at: datetime) -> Shown:
    """A rollout as it stands at `at`. Raises `NotFound`."""
    found = await repository.listed(session, rollout_id)
    if not found:
        raise NotFound("There is no such rollout in your organisation.")
    listed = found[0]
    return Shown(listed.rollout, listed.release, await repository.standings(session, listed.rollout, at))


async def pause(session: AsyncSession, actor: Actor, organisation_id: UUID, rollout_id: UUID, why: str) -> Rollout:
    """Send it to no further reader, and give hubs no image. Raises `RolloutMoved`, `NotFound`, `RolloutRefused`."""
    rollout = await _taken(session, rollout_id)
    if rollout.state != State.RUNNING:
        raise _moved(rollout)
    why = _words(why, "Write why it is paused.")
    await _audited(session, actor, organisation_id, "rollout.pause", rollout_id, {"why": why})
    return await _change(session, rollout, State.PAUSED, why)


async def resume(session: AsyncSession, actor: Actor, organisation_id: UUID, rollout_id: UUID) -> Rollout:
    """Go on where it was. What readers did so far counts against no limit any more: somebody has looked at it.

    Raises `RolloutMoved`, `NotFound`.
    """
    rollout = await _taken(session, rollout_id)
    if rollout.state != State.PAUSED:
        raise _moved(rollout)
    excused = await repository.excuse(session, rollout_id)
    await _audited(
        session, actor, organisation_id, "rollout.resume", rollout_id, {"paused": rollout.why, "excused": excused}
    )
    return await _change(session, rollout, State.RUNNING, "")


async def stop(session: AsyncSession, actor: Actor, organisation_id: UUID, rollout_id: UUID, why: str) -> Rollout:
    """End it for good; `advancing` tells readers that have not begun to run it to forget it.

    Raises `RolloutMoved`, `NotFound`, `RolloutRefused`.
    """
    rollout = await _taken(session, rollout_id)
    if rollout.state not in (State.RUNNING, State.PAUSED):
        raise _moved(rollout)
    why = _words(why, "Write why it is stopped.")
    await _audited(session, actor, organisation_id, "rollout.stop", rollout_id, {"why": why})
    await repository.let_go(session, rollout_id)
    return await _change(session, rollout, State.STOPPED, why)


async def change(
    session: AsyncSession, actor: Actor, organisation_id: UUID, rollout_id: UUID, act: str, why: str
) -> Rollout:
    """Do what `act` names: "pause", "resume" or "stop", and raise what that does."""
    match act:
        case "pause":
            return await pause(session, actor, organisation_id, rollout_id, why)
        case "resume":
            return await resume(session, actor, organisation_id, rollout_id)
        case "stop":
            return await stop(session, actor, organisation_id, rollout_id, why)
        case other:
            raise ValueError(other)


async def _taken(session: AsyncSession, rollout_id: UUID) -> Rollout:
    rollout = await repository.take(session, rollout_id)
    if rollout is None:
        raise NotFound("There is no such rollout in your organisation.")
    return rollout


def _moved(rollout: Rollout) -> RolloutMoved:
    return RolloutMoved(f"It is {rollout.state} by now. Load its page again.")


def _words(said: str, missing: str) -> str:
    said = said.strip()
    if not said or len(said) > WHY_MAX or "\x00" in said:
        raise _refused("why", f"{missing} At most {WHY_MAX} characters.")
    return said


async def _change(session: AsyncSession, rollout: Rollout, state: State, why: str) -> Rollout:
    rollout.state, rollout.why, rollout.changed_at = state, why, now()
    session.add(rollout)
    await session.flush()
    return rollout


async def _audited(
    session: AsyncSession, actor: Actor, organisation_id: UUID, action: str, rollout_id: UUID, detail: dict[str, object]
) -> None:
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action=action,
        subject_kind="rollout",
        subject=str(rollout_id),
        detail=detail,
    )
