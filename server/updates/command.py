"""`doorstep server release` and `doorstep server rollout`: keep releases, and bring one to the readers in waves."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import wire
from server.audit.service import Actor
from server.console import FAILED, USAGE, exchange, keyring, load_settings, say, stop, transact
from server.custody.queueing import QueueBusy
from server.database import tenancy
from server.database.columns import now
from server.database.direct import Pool
from server.database.engine import Sessions
from server.organisations import service as organisations
from server.organisations.models import Organisation
from server.updates import advancing, release_repository, repository, service, waves
from server.updates.models import Rollout, State
from server.updates.release_repository import Release
from server.updates.service import BILL_MAX, Plan

releases = typer.Typer(no_args_is_help=True, help="Keep releases of the readers' application.", add_completion=False)
rollouts = typer.Typer(no_args_is_help=True, help="Bring a release to the readers, in waves.", add_completion=False)

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
WhichRollout = Annotated[
    str | None, typer.Argument(help="The rollout's id; the one that is under way without it.", show_default=False)
]
Why = Annotated[str, typer.Option("--why", help="Why, in a sentence; kept for good.")]

_ACTOR = Actor("command", "doorstep server rollout")


@releases.command("add")
def add_release(
    file: Annotated[Path, typer.Argument(help="An image, as doorstep release build makes it.")],
    sbom: Annotated[Path | None, typer.Option("--sbom", help="Its bill of materials, CycloneDX as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a release for all organisations. Nothing is sent to any reader by that."""
    content = _bytes(file, wire.IMAGE_MAX)
    bill = _bytes(sbom, BILL_MAX) if sbom else None

    async def work(session: AsyncSession) -> dict[str, Any]:
        made = await service.add(session, content, bill)
        return {**_release(made.release), "added": made.added}

    made = transact(load_settings(), work)
    done = "is kept" if made["added"] else "was there already"
    say(made, as_json, f"Release {made['release']} ({made['version']}) of {made['model']} {done}: {made['image_id']}.")


@releases.command("list")
def list_releases(as_json: AsJson = False) -> None:
    """List every release, the newest of each model first."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        return [_release(one) for one in await release_repository.releases(session)]

    found = transact(load_settings(), work)
    if as_json:
        print(json.dumps({"releases": found}))
        return
    table = Table("Model", "Release", "Version", "Follows from", "Bytes", "Bill of materials", "Added", "Image")
    for one in found:
        bill = "yes" if one["sbom"] else "no"
        table.add_row(
            one["model"], str(one["release"]), one["version"], str(one["from"]), f"{one['size']:,}", bill,
            one["added_at"], one["image_id"],
        )  # fmt: skip
    Console().print(table)


def _bytes(path: Path, most: int) -> bytes:
    """The file's bytes; one beyond `most` is read no further than one byte beyond it."""
    try:
        with path.open("rb") as opened:
            return opened.read(most + 1)
    except OSError as error:
        stop(f"{path} cannot be read: {error.strerror}.", USAGE)


def _release(one: Release) -> dict[str, Any]:
    return {
        "image_id": one.image_id.hex(), "model": one.model, "version": one.version, "release": one.release,
        "from": one.follows, "size": one.size, "sha256": one.digest.hex(), "sbom": one.bill_bytes is not None,
        "added_at": one.added_at.isoformat(),
    }  # fmt: skip


@rollouts.command("start")
def start(
    release: Annotated[int, typer.Argument(help="The number of the release.")],
    model: Annotated[str | None, typer.Option("--model", help="Its model, where several have that number.")] = None,
    canary: Annotated[int, typer.Option("--canary", help="Readers that are first.")] = waves.CANARY,
    wave: Annotated[
        list[int] | None,
        typer.Option("--wave", help="Per cent of all readers after each further wave; the last is 100.", metavar="N"),
    ] = None,
    soak_hours: Annotated[int, typer.Option("--soak-hours", help="Hours between waves.")] = waves.SOAK_HOURS,
    limit: Annotated[
        int, typer.Option("--limit", help="Per cent of a wave that may do badly before it is paused.")
    ] = waves.LIMIT_PERCENT,
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Begin with a canary; the server goes on by itself, and pauses when too many readers do badly."""
    plan = Plan(canary, tuple(wave or waves.SHARES), soak_hours, limit)

    async def act(session: AsyncSession, found: Organisation) -> Rollout:
        chosen = await service.choose(session, release, model)
        return await service.start(session, _ACTOR, found.id, chosen.image_id, plan)

    _act(organisation, act, as_json)


@rollouts.command("status")
def status(rollout: WhichRollout = None, organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Show how far a rollout is, wave by wave and reader by reader."""

    async def work(sessions: Sessions, pool: Pool) -> dict[str, Any]:
        async with tenancy.transaction(sessions) as session:
            found = await organisations.enter_only_organisation(session, organisation)
            which = _identifier(rollout) or await repository.latest(session)
            if which is None:
                stop(f"{found.name} has had no rollout. Begin one with: doorstep server rollout start", FAILED)
            return await _status(session, which)

    _show(exchange(load_settings(), work), as_json)


@rollouts.command("pause")
def pause(
    why: Why, rollout: WhichRollout = None, organisation: OrganisationName = None, as_json: AsJson = False
) -> None:
    """Send it to no further reader, until it is resumed or stopped."""
    _act(organisation, lambda session, found: _paused(session, found, rollout, why), as_json)


@rollouts.command("resume")
def resume(rollout: WhichRollout = None, organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Go on with one that is paused. What readers did until now counts against its limit no more."""
    _act(organisation, lambda session, found: _resumed(session, found, rollout), as_json)


@rollouts.command("stop")
def stop_rollout(
    why: Why, rollout: WhichRollout = None, organisation: OrganisationName = None, as_json: AsJson = False
) -> None:
    """End it for good. Readers that have not begun to run the release are told to forget it."""
    _act(organisation, lambda session, found: _stopped(session, found, rollout, why), as_json)


async def _paused(session: AsyncSession, found: Organisation, rollout: str | None, why: str) -> Rollout:
    return await service.pause(session, _ACTOR, found.id, await _which(session, rollout), why)


async def _resumed(session: AsyncSession, found: Organisation, rollout: str | None) -> Rollout:
    return await service.resume(session, _ACTOR, found.id, await _which(session, rollout))


async def _stopped(session: AsyncSession, found: Organisation, rollout: str | None, why: str) -> Rollout:
    return await service.stop(session, _ACTOR, found.id, await _which(session, rollout), why)


async def _which(session: AsyncSession, rollout: str | None) -> UUID:
    which = _identifier(rollout) or await repository.under_way(session)
    if which is None:
        stop("No rollout is under way.", FAILED)
    return which


def _identifier(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        stop(f"{text!r} is not the id of a rollout. See it with: doorstep server rollout status", USAGE)


def _act(
    organisation: str | None, act: Callable[[AsyncSession, Organisation], Awaitable[Rollout]], as_json: bool
) -> None:
    """Do something with a rollout, then as much of what follows from it as there is now, and show it."""
    settings = load_settings()
    keys = keyring(settings)

    async def work(sessions: Sessions, pool: Pool) -> dict[str, Any]:
        async with tenancy.transaction(sessions) as session:
            found = await organisations.enter_only_organisation(session, organisation)
            organisation_id, rollout_id = found.id, (await act(session, found)).id
        try:
            await advancing.go_on(sessions, keys, organisation_id, rollout_id)
        except QueueBusy as error:
            # It is begun, and the server's jobs go on with it.
            stop(str(error), FAILED)
        async with tenancy.transaction(sessions, organisation_id) as session:
            return await _status(session, rollout_id)

    _show(exchange(settings, work), as_json)


async def _status(session: AsyncSession, rollout_id: UUID) -> dict[str, Any]:
    found = await service.one(session, rollout_id, now())
    rollout = found.rollout
    return {
        "rollout_id": str(rollout.id), "release": found.release.release, "version": found.release.version,
        "model": found.release.model, "state": rollout.state, "why": rollout.why, "wave": rollout.wave + 1,
        "settled_at": rollout.settled_at.isoformat() if rollout.settled_at else None,
        "waves": [
            {
                "readers": one.readers, "unsent": one.unsent, "open": one.open, "silent": one.silent,
                "confirmed": one.confirmed, "went_back": one.went_back, "refused": one.refused, "faulty": one.faulty,
                "excused": one.excused,
            }
            for one in found.standings
        ],
        "readers": [
            {
                "reader_id": one.reader_id.hex(), "name": one.name, "wave": one.wave + 1, "stage": one.stage,
                "detail": one.detail, "changed_at": one.changed_at.isoformat(),
            }
            for one in await repository.readers(session, rollout.id)
        ],
    }  # fmt: skip


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    screen = Console(highlight=False)
    screen.print(f"Rollout {found['rollout_id']} of release {found['release']} ({found['version']}): {found['state']}")
    if found["why"]:
        screen.print(found["why"])
    columns = ("readers", "unsent", "open", "silent", "confirmed", "went_back", "refused", "faulty", "excused")
    table = Table("Wave", *(column.replace("_", " ").capitalize() for column in columns))
    for at, one in enumerate(found["waves"]):
        mark = " (now)" if at + 1 == found["wave"] and found["state"] in (State.RUNNING, State.PAUSED) else ""
        table.add_row(f"{at + 1}{mark}", *(str(one[column]) for column in columns))
    screen.print(table)
    readers = Table("Reader", "Name", "Wave", "Stage", "Since", "Detail")
    for one in found["readers"]:
        readers.add_row(one["reader_id"], one["name"], str(one["wave"]), one["stage"], one["changed_at"], one["detail"])
    screen.print(readers)
