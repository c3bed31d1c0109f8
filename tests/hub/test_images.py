"""Images on their way from the server: what is kept of them through kills, full disks and servers that change their
mind or lie; and never anything but what the server named."""

import asyncio
import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_server import ModelServer, image_id

from hub import credentials, image_files, web
from hub.clock import Clock
from hub.courier import Courier
from hub.enrol import enrol
from hub.errors import Malformed
from hub.events import Events
from hub.exchange import Image, read_images
from hub.image_files import ImageFiles
from hub.images import Images, NotAsNamed, NotGot
from hub.store import Store
from hub.writer import Writer
from reader import wire

READER, OTHER = b"reader-8", b"reader-9"
LIST = "/hub/v1/images"
CONTENT = random.Random(20261129).randbytes(200_000)


def path_of(content):
    return f"{LIST}/{image_id(content).hex()}"


def named(content):
    return Image(image_id(content), len(content), hashlib.sha256(content).digest())


@pytest.fixture
def server():
    with ModelServer() as model:
        yield model


@pytest.fixture
async def hub(server, tmp_path):
    enrolment = await asyncio.to_thread(enrol, tmp_path, server.code, server.url, "Test laptop")
    writer, clock, told = Writer(), Clock(), []
    await writer.open(tmp_path)
    events = Events(writer, clock)
    events.listeners.append(told.append)
    async with web.client() as http:
        courier = Courier(enrolment, credentials.load_key(tmp_path), writer, events, clock, http, poll_s=0.05)
        files = ImageFiles(tmp_path)
        images = Images(files, enrolment.exchange_url, courier.bearer, writer, events, http)
        courier.on_images(images.heard)
        yield SimpleNamespace(
            courier=courier, writer=writer, folder=tmp_path, told=told, files=files, images=images, events=events
        )
    await writer.close()


async def bring(hub):
    """One exchange, and what follows from it."""
    while await hub.courier.exchange():
        pass
    await hub.images.bring()


def names(hub):
    folder = hub.folder / "images"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


async def told(hub, what):
    """Wait until the hub tells it."""
    found = asyncio.Event()
    hub.events.listeners.append(lambda event: found.set() if what(event) else None)
    if not any(what(event) for event in hub.told):
        async with asyncio.timeout(60):
            await found.wait()


async def awaited(hub, reader=READER):
    return await hub.writer(Store.image_for, reader)


async def test_an_image_comes_whole_and_is_one_for_all_readers_of_a_model(hub, server):
    server.images = {READER: CONTENT, OTHER: CONTENT}
    await bring(hub)
    await bring(hub)
    assert server.count(path_of(CONTENT)) == 1
    assert names(hub) == [image_id(CONTENT).hex()]
    for reader in (READER, OTHER):
        image = await awaited(hub, reader)
        assert await hub.images.content(image) == CONTENT
        assert (await hub.writer(Store.work, reader)).image == image.image_id


async def test_a_server_that_names_no_images_is_not_asked_for_any(hub, server):
    await bring(hub)
    assert server.count(LIST) == 0
    assert names(hub) == []


async def test_an_image_that_broke_off_goes_on_where_it_stopped(hub, server):
    server.images = {READER: CONTENT}

    def half(handler):
        at = int((handler.headers["Range"] or "bytes=0-")[6:-1])
        handler.send_response(206 if at else 200)
        handler.send_header("Content-Type", "application/octet-stream")
        handler.send_header("Content-Length", str(len(CONTENT) - at))
        if at:
            handler.send_header("Content-Range", f"bytes {at}-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.end_headers()
        handler.wfile.write(CONTENT[at : at + 70_000])
        handler.wfile.flush()
        handler.close_connection = True
        return True

    server.misbehave[path_of(CONTENT)] = half
    for _ in range(2):
        with pytest.raises((NotGot, web.Unreachable)):
            await bring(hub)
        assert await awaited(hub) is None
    await bring(hub)
    asked = [headers.get("Range") for path, headers, _ in server.requests if path == path_of(CONTENT)]
    assert asked == [None, "bytes=70000-", "bytes=140000-"]
    assert await hub.images.content(await awaited(hub)) == CONTENT


@pytest.mark.parametrize("said", ["bytes 0-199999/200000", "bytes 5-199999/200000", "bytes 70000-70001/200000", None])
async def test_another_part_than_the_one_asked_for_is_thrown_away(hub, server, said):
    server.images = {READER: CONTENT}
    image = named(CONTENT)
    assert hub.files.has_room(image)
    hub.files.append(image, 0, CONTENT[:70_000])
    more = {"Content_Range": said} if said else {}
    server.misbehave[path_of(CONTENT)] = lambda h: h.answer(206, "application/octet-stream", CONTENT[70_000:], **more)
    with pytest.raises(NotGot):
        await bring(hub)
    assert names(hub) == []
    server.misbehave.clear()
    await bring(hub)
    assert await hub.images.content(await awaited(hub)) == CONTENT


async def test_a_server_that_ignores_the_range_is_taken_from_the_start(hub, server):
    server.images = {READER: CONTENT}
    assert hub.files.has_room(named(CONTENT))
    hub.files.append(named(CONTENT), 0, b"x" * 70_000)
    server.misbehave[path_of(CONTENT)] = lambda h: h.answer(200, "application/octet-stream", CONTENT)
    await bring(hub)
    assert await hub.images.content(await awaited(hub)) == CONTENT


@pytest.mark.parametrize("sent", [CONTENT[:-1] + b"!", CONTENT + b"!", CONTENT * 30], ids=["byte", "longer", "endless"])
async def test_an_image_that_is_not_what_the_server_named_is_thrown_away_and_told(hub, server, sent):
    server.images = {READER: CONTENT}
    server.misbehave[path_of(CONTENT)] = lambda h: h.answer(200, "application/octet-stream", sent)
    with pytest.raises(NotAsNamed):
        await bring(hub)
    assert names(hub) == []
    assert await awaited(hub) is None
    await bring(hub)
    assert server.count(path_of(CONTENT)) == 1, "it is not asked for again at once"


async def test_the_list_is_not_asked_for_again_while_nothing_has_changed(hub, server):
    server.images = {READER: CONTENT}
    running = asyncio.create_task(hub.images.run())
    try:
        await hub.courier.exchange()
        await told(hub, lambda event: event["event"] == "image")
        for _ in range(5):
            await hub.courier.exchange()
            await asyncio.sleep(0)
        assert server.count("/hub/v1/images") == 1
        server.images = {READER: CONTENT, OTHER: CONTENT}
        await hub.courier.exchange()
        async with asyncio.timeout(60):
            while True:  # nothing tells of it
                if await awaited(hub, OTHER) is not None:
                    break
                await asyncio.sleep(0.01)
        assert server.count("/hub/v1/images") == 2
    finally:
        running.cancel()


async def test_a_lie_about_one_image_does_not_hold_up_another(hub, server):
    other = CONTENT[::-1]
    server.images = {READER: CONTENT, OTHER: other}
    server.misbehave[path_of(CONTENT)] = lambda h: h.answer(200, "application/octet-stream", b"no")
    with pytest.raises(NotGot):
        await bring(hub)
    assert await hub.images.content(await awaited(hub, OTHER)) == other


async def test_a_server_that_changes_its_mind_is_followed(hub, server):
    server.images = {READER: CONTENT}
    await bring(hub)
    other = CONTENT[::-1]
    server.images = {READER: other}
    await bring(hub)
    assert names(hub) == [image_id(other).hex()]
    assert (await awaited(hub)).image_id == image_id(other)
    server.images = {}
    await bring(hub)
    assert names(hub) == []
    assert await awaited(hub) is None


async def test_an_image_that_is_gone_when_it_is_asked_for_is_dropped(hub, server):
    server.images = {READER: CONTENT}
    assert hub.files.has_room(named(CONTENT))
    hub.files.append(named(CONTENT), 0, CONTENT[:70_000])
    server.misbehave[path_of(CONTENT)] = lambda h: h.problem(404, "not-found")
    await bring(hub)
    assert await hub.writer(Store.images) == []
    assert names(hub) == []


async def test_at_most_four_images_are_kept_and_those_of_most_readers(hub, server):
    contents = [bytes([n]) * 1000 for n in range(6)]
    readers = [bytes([n, m]) * 4 for n in range(6) for m in range(2 if n >= 2 else 1)]
    server.images = {reader: contents[reader[0]] for reader in readers}
    await bring(hub)
    assert names(hub) == sorted(image_id(content).hex() for content in contents[2:])


async def test_a_full_disk_is_told_gives_its_bytes_back_and_is_got_over(hub, server, monkeypatch):
    server.images = {READER: CONTENT}
    append = ImageFiles.append

    def full(files, image, at, content):
        if at:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(files, image, at, content)

    monkeypatch.setattr(ImageFiles, "append", full)
    running = asyncio.create_task(hub.images.run())
    await hub.courier.exchange()
    await told(hub, lambda event: event.get("code") == "image-not-kept")
    assert names(hub) == []
    monkeypatch.undo()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    running = asyncio.create_task(hub.images.run())
    await hub.courier.exchange()
    await told(hub, lambda event: event["event"] == "solved")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await hub.images.content(await awaited(hub)) == CONTENT


async def test_a_disk_that_is_nearly_full_is_left_to_the_results(hub, server, monkeypatch):
    server.images = {READER: CONTENT}
    monkeypatch.setattr(image_files.shutil, "disk_usage", lambda _: SimpleNamespace(free=image_files.ROOM))
    with pytest.raises(OSError, match="nearly full"):
        await bring(hub)
    assert server.count(path_of(CONTENT)) == 0


async def test_an_image_that_changed_on_the_disk_is_not_offered_and_comes_again(hub, server):
    server.images = {READER: CONTENT}
    await bring(hub)
    image = await awaited(hub)
    file = hub.folder / "images" / image.image_id.hex()
    file.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    assert await hub.images.content(image) is None
    assert await awaited(hub) is None
    await bring(hub)
    assert await hub.images.content(await awaited(hub)) == CONTENT


async def test_a_token_that_ran_out_is_got_anew(hub, server):
    server.images = {READER: CONTENT}
    await hub.courier.exchange()
    server.tokens.clear()
    await hub.images.bring()
    assert await awaited(hub) is not None


async def test_images_and_the_list_of_them_are_asked_for_with_the_token_only_and_never_in_the_address(hub, server):
    server.images = {READER: CONTENT}
    await bring(hub)
    for path, headers, _ in server.requests:
        if path.startswith(LIST):
            assert headers["Authorization"].startswith("Bearer ")
            assert "?" not in path


_FETCH = """
import asyncio, sys
from pathlib import Path
from hub import credentials, web
from hub.clock import Clock
from hub.courier import Courier
from hub.events import Events
from hub.image_files import ImageFiles
from hub.images import Images
from hub.writer import Writer

async def main(folder):
    writer, clock = Writer(), Clock()
    await writer.open(folder)
    enrolment = credentials.load(folder)
    events = Events(writer, clock)
    async with web.client() as http:
        courier = Courier(enrolment, credentials.load_key(folder), writer, events, clock, http)
        images = Images(ImageFiles(folder), enrolment.exchange_url, courier.bearer, writer, events, http)
        await images.look()
        images.heard(1)
        print("begins", flush=True)
        await images.bring()
        print("whole", flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_download_killed_at_any_instant_goes_on_and_ends_in_the_same_bytes(server, tmp_path):
    enrol(tmp_path, server.code, server.url, "Test laptop")
    content = random.Random(7).randbytes(wire.IMAGE_MAX)
    server.images = {READER: content}

    def slowly(handler):
        at = int((handler.headers["Range"] or "bytes=0-")[6:-1])
        handler.send_response(206 if at else 200)
        handler.send_header("Content-Type", "application/octet-stream")
        handler.send_header("Content-Length", str(len(content) - at))
        if at:
            handler.send_header("Content-Range", f"bytes {at}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        for start in range(at, len(content), 32_768):
            handler.wfile.write(content[start : start + 32_768])
        return True

    server.misbehave[path_of(content)] = slowly
    chance, begun = random.Random(20261130), []
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", _FETCH, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(chance.uniform(0, 0.12))  # the instant of the kill, not a wait for anything
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
        process.wait()
        parts = list((tmp_path / "images").glob("*")) if (tmp_path / "images").is_dir() else []
        assert len(parts) <= 1
        for part in parts:
            kept = part.read_bytes()
            assert kept == content[: len(kept)], "what is kept is the beginning of the image"
            assert part.suffix or len(kept) == len(content), "only the whole of it has its name"
            begun.append(len(kept))
    assert begun == sorted(begun), "nothing that was kept is lost by a kill"
    done = subprocess.run(
        [sys.executable, "-c", _FETCH, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == ["begins", "whole"], done.stderr
    assert Path(tmp_path / "images" / image_id(content).hex()).read_bytes() == content


ITEM = [9, READER, b"i" * 16, 1000, b"h" * 32]


@pytest.mark.parametrize(
    "items",
    [
        [[9, READER, b"i" * 16, 1000]],
        [[8, *ITEM[1:]]],
        [[9, b"short", *ITEM[2:]]],
        [[9, READER, b"i" * 15, *ITEM[3:]]],
        [[*ITEM[:3], 0, ITEM[4]]],
        [[*ITEM[:3], wire.IMAGE_MAX + 1, ITEM[4]]],
        [[*ITEM[:4], b"h" * 31]],
        [ITEM, ITEM],
        [ITEM, [9, OTHER, b"i" * 16, 1001, b"h" * 32]],
        [[9, bytes([n >> 8, n & 255]) * 4, *ITEM[2:]] for n in range(10_001)],
    ],
)
def test_a_list_that_is_not_of_the_protocol_is_refused_whole(items):
    with pytest.raises(Malformed):
        read_images(b"".join(cbor2.dumps(item) for item in items))


@given(st.binary(max_size=300))
def test_no_bytes_of_a_list_raise_anything_but_malformed(body):
    for sent in (body, cbor2.dumps(ITEM) + body):
        try:
            found = read_images(sent)
        except Malformed:
            continue
        assert all(0 < image.size <= wire.IMAGE_MAX for image in found.values())


def test_an_image_is_private_to_its_owner(tmp_path):
    files, image = ImageFiles(tmp_path), named(b"image")
    assert files.has_room(image)
    files.append(image, 0, b"image")
    assert files.complete(image)
    assert os.stat(tmp_path / "images").st_mode & 0o077 == 0
    assert os.stat(tmp_path / "images" / image.image_id.hex()).st_mode & 0o077 == 0
