"""What a hub is told of images, and that it gets those, whole or from where it left off, and nobody else's."""

import hashlib
from typing import Any

import httpx
import pytest

from reader import wire
from server.database import tenancy
from server.database.pipeline import Pipeline
from server.hubs import service as hubs
from server.hubs.throttle import IMAGES, Allowance
from server.readers import service as readers
from server.updates import endpoints, service
from tests.server import factory
from tests.server.conftest import ACTOR, Ward
from tests.server.updates import images
from tests.server.updates.images import applied, image, released, said, started


async def get(ward: Ward, path: str = "", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ward.http.get(wire.IMAGES_PATH + path, headers={"Authorization": f"Bearer {ward.token}", **named})


async def listed(ward: Ward) -> list[list[object]]:
    answer = await get(ward)
    assert (answer.status_code, answer.headers["content-type"]) == (200, wire.EXCHANGE_MEDIA_TYPE)
    return factory.items_of(answer.content)


async def told(ward: Ward, *sealed: bytes) -> int | None:
    return (await ward.exchange(list(sealed))).header.get(wire.HEAD_IMAGES)


async def test_a_hub_is_told_how_many_readers_await_an_image_and_which(ward: Ward) -> None:
    first, second = await ward.reader("First"), await ward.reader("Second")
    assert await told(ward) is None
    assert await listed(ward) == []
    content = image(model=images.model())
    image_id = await released(ward, content)
    await started(ward, image_id, canary=2)
    assert await told(ward) == 2
    digest = hashlib.sha256(content).digest()
    expected = [
        [wire.ITEM_IMAGE, one, image_id, len(content), digest] for one in sorted((first.reader_id, second.reader_id))
    ]
    assert await listed(ward) == expected
    # From the command on until the image is whole, or the reader refuses or drops it.
    assert await told(ward, applied(first, 1), said(first, wire.UPDATE_AWAITED)) == 2
    assert await told(ward, said(first, wire.UPDATE_WHOLE)) == 1
    assert await listed(ward) == [one for one in expected if one[1] == second.reader_id]
    assert await told(ward, said(second, wire.UPDATE_REFUSED, detail="battery")) is None
    assert await listed(ward) == []


@pytest.mark.parametrize("ending", [wire.UPDATE_DROPPED, wire.UPDATE_STARTED, wire.UPDATE_WENT_BACK])
async def test_no_image_is_for_a_reader_that_is_past_it(ward: Ward, ending: int) -> None:
    reader = await ward.reader()
    image_id = await released(ward)
    await started(ward, image_id)
    assert await told(ward, said(reader, ending)) is None
    assert (await get(ward, f"/{image_id.hex()}")).status_code == 404


async def test_a_long_list_is_whole(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "ROWS", 2)
    made = {(await ward.reader(f"Reader {at}")).reader_id for at in range(5)}
    await started(ward, canary=9)
    assert {one[1] for one in await listed(ward)} == made
    monkeypatch.setattr(endpoints, "LISTED_MAX", 4)
    assert [one[1] for one in await listed(ward)] == sorted(made)[:4]


async def test_an_image_comes_whole_or_from_where_it_is_asked_for(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "BLOCK_BYTES", 100)
    await ward.reader()
    content = image({"reader/app.py": bytes(range(256)) * 3}, model=images.model())
    image_id = await released(ward, content)
    await started(ward, image_id)
    path = f"/{image_id.hex()}"
    whole = await get(ward, path)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-length"] == str(len(content))
    assert whole.headers["etag"] == f'"{image_id.hex()}"'
    assert whole.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert whole.headers["accept-ranges"] == "bytes"
    size = len(content)
    for asked, begin, end in (
        ("bytes=0-", 0, size),
        ("bytes=300-", 300, size),
        (f"bytes={size - 1}-", size - 1, size),
        ("bytes=5-204", 5, 205),
        ("bytes=5-99999999", 5, size),
        ("bytes=-7", size - 7, size),
    ):
        part = await get(ward, path, Range=asked)
        assert (part.status_code, part.content) == (206, content[begin:end]), asked
        assert part.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
        assert part.headers["content-length"] == str(end - begin)
    for asked in (f"bytes={size}-", "bytes=999999999999999999-", "bytes=-0"):
        beyond = await get(ward, path, Range=asked)
        assert (beyond.status_code, beyond.json()["code"]) == (416, "range-not-satisfiable"), asked
        assert beyond.headers["content-range"] == f"bytes */{size}"
    # What is no single range of bytes is not one (RFC 9110 section 14.2).
    for asked in ("bytes=9-5", "bytes=0-1,5-6", "lines=1-", "bytes=-", "bytes=a-"):
        assert (await get(ward, path, Range=asked)).status_code == 200, asked
    assert (await get(ward, path, Range="bytes=5-", If_Range='"another"')).status_code == 200
    assert (await get(ward, path, If_None_Match=f'"{image_id.hex()}"')).status_code == 304


async def test_only_an_image_that_is_awaited_here_is_there(ward: Ward, other_ward: Ward) -> None:
    await ward.reader()
    await other_ward.reader()
    image_id, unsent = await released(ward), await released(ward)
    rollout_id = await started(ward, image_id)
    assert (await get(ward, f"/{image_id.hex()}")).status_code == 200
    assert await told(other_ward) is None
    assert await listed(other_ward) == []
    absent = [
        await get(other_ward, f"/{image_id.hex()}"),
        *[await get(ward, f"/{one}") for one in (unsent.hex(), "00" * 16, image_id.hex().upper(), "x", "%00")],
    ]
    for one in absent:
        assert (one.status_code, one.json()["code"]) == (404, "not-found")
        assert one.headers["content-type"] == "application/problem+json"
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.pause(session, ACTOR, ward.id, rollout_id, "Wait")
    assert await told(ward) is None
    assert (await get(ward, f"/{image_id.hex()}")).status_code == 404
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.resume(session, ACTOR, ward.id, rollout_id)
    assert await told(ward) == 1
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.stop(session, ACTOR, ward.id, rollout_id, "No")
    assert await told(ward) is None
    assert (await get(ward, f"/{image_id.hex()}")).status_code == 404


async def test_being_told_costs_one_statement_however_many_await(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = Pipeline.send

    def counted(self: Pipeline, statement: bytes, *rest: Any) -> Any:
        sent.append(statement)
        return send(self, statement, *rest)

    first = await ward.reader("First")
    await started(ward, canary=9)
    monkeypatch.setattr(Pipeline, "send", counted)
    assert await told(ward) == 1
    assert sum(b"rollout" in one for one in sent) == 1
    await images.updated(ward, first)
    for at in range(7):
        await ward.reader(f"Reader {at}")
    await images.go_on(ward, (await ward.rows("SELECT id FROM rollout"))[0].id)
    await started(ward, await released(ward, image(model=images.model(), release=3)), canary=9)
    sent.clear()
    assert await told(ward) == 8
    assert sum(b"rollout" in one for one in sent) == 1


async def test_a_revoked_reader_awaits_nothing(ward: Ward) -> None:
    reader = await ward.reader()
    await started(ward)
    assert await told(ward) == 1
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await readers.revoke(session, ward.organisation, reader.reader_id, ACTOR)
    assert await told(ward) is None
    assert await listed(ward) == []


async def test_nobody_gets_an_image_without_a_token_or_after_it_was_revoked(ward: Ward) -> None:
    await ward.reader()
    image_id = await released(ward)
    await started(ward, image_id)
    for path in ("", f"/{image_id.hex()}"):
        for given in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {ward.token}"}):
            answer = await ward.http.get(wire.IMAGES_PATH + path, headers=given)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await hubs.revoke(session, ward.organisation, bytes.fromhex(ward.hub_id), ACTOR)
    for path in ("", f"/{image_id.hex()}"):
        assert (await get(ward, path)).status_code == 401


async def test_a_hub_that_asks_without_end_is_told_to_wait(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is given back meanwhile, however long the asking takes here.
    monkeypatch.setattr(Allowance, "_level", lambda self, key: self._spent.get(key, (0.0, 0.0))[0])
    answers = [await get(ward) for _ in range(IMAGES + 5)]
    assert {one.status_code for one in answers[:IMAGES]} == {200}
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "busy"
    assert int(answers[-1].headers["retry-after"]) >= 1
