"""Small images and rollouts of them for tests. An image is made here by a few lines apart from those of the tool."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from reader import wire
from server.database import tenancy
from server.updates import advancing, service
from server.updates.models import Rollout
from server.updates.service import Plan
from tests.server import factory
from tests.server.conftest import ACTOR, Ward

MODEL = "Doorstep S3"
FILES = {"packs/sars2-ag.bin": b"\x01" * 40, "reader/app.py": b"print('well')\n", "reader/parts/lamp.py": b""}


def manifest(
    files: Mapping[str, bytes] = FILES,
    *,
    model: str = MODEL,
    version: str = "2.0.0",
    release: int | str = 2,
    follows: int | str = 1,
) -> bytes:
    """The manifest of an image; whatever is given is written down as it is."""
    lines = ["doorstep-image 1", f"model {model}", f"version {version}", f"release {release}", f"from {follows}"]
    lines += [
        f"file {name} {len(content)} {hashlib.sha256(content).hexdigest()}" for name, content in sorted(files.items())
    ]
    return "".join(line + "\n" for line in lines).encode()


def image(files: Mapping[str, bytes] = FILES, **said: Any) -> bytes:
    """A whole image."""
    return manifest(files, **said) + b"".join(content for _, content in sorted(files.items()))


def model() -> str:
    """A model of a test's own: releases are the installation's, and tests share a database."""
    return f"Model {os.urandom(6).hex()}"


async def released(ward: Ward, content: bytes | None = None, bill: bytes | None = None) -> bytes:
    """Add an image, one of a new model unless given; its id."""
    async with tenancy.transaction(ward.sessions) as session:
        content = image(model=model()) if content is None else content
        return (await service.add(session, content, bill)).release.image_id


async def started(ward: Ward, image_id: bytes | None = None, **plan: Any) -> UUID:
    """Start a rollout and send the canary wave."""
    image_id = image_id or await released(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        rollout = await service.start(session, ACTOR, ward.id, image_id, Plan(**{"soak_hours": 0, **plan}))
    await go_on(ward, rollout.id)
    return rollout.id


async def go_on(ward: Ward, rollout_id: UUID) -> None:
    await advancing.go_on(ward.sessions, ward.keyring, ward.id, rollout_id)


async def rollout(ward: Ward, rollout_id: UUID) -> Rollout:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        found = await session.get(Rollout, rollout_id)
        assert found is not None
        session.expunge(found)
        return found


async def stages(ward: Ward, rollout_id: UUID) -> dict[bytes, str]:
    rows = await ward.rows("SELECT reader_id, stage FROM rollout_reader WHERE rollout_id = :id", id=rollout_id)
    return {bytes(row.reader_id): row.stage for row in rows}


async def wave_of(ward: Ward, rollout_id: UUID, wave: int) -> set[bytes]:
    rows = await ward.rows(
        "SELECT reader_id FROM rollout_reader WHERE rollout_id = :id AND wave = :wave", id=rollout_id, wave=wave
    )
    return {bytes(row.reader_id) for row in rows}


def said(reader: factory.Reader, stage: int, release: int = 2, detail: str | None = None) -> bytes:
    """The reader's next record: event 8 of that stage."""
    return reader.seal(factory.event(wire.EVENT_UPDATE, detail, [release, stage], reader.moment()))


def applied(reader: factory.Reader, number: int, error: int | None = None) -> bytes:
    """The reader's next record: event 5, that it took the update command of that number."""
    numbers = [number, wire.DOWN_UPDATE, *([] if error is None else [error])]
    return reader.seal(factory.event(wire.EVENT_DOWN_APPLIED, None, numbers, reader.moment()))


def fault(reader: factory.Reader) -> bytes:
    """The reader's next record: a fault."""
    return reader.seal(factory.event(wire.EVENT_FAULT, "sensor", [3], reader.moment()))


ALL_WELL: Sequence[int] = (wire.UPDATE_AWAITED, wire.UPDATE_WHOLE, wire.UPDATE_STARTED, wire.UPDATE_CONFIRMED)


async def updated(ward: Ward, *readers: factory.Reader, stages: Sequence[int] = ALL_WELL) -> None:
    """Have readers journal those stages, in one exchange."""
    await ward.exchange([said(reader, stage) for reader in readers for stage in stages])
