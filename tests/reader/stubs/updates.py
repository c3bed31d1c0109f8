"""A hub that brings an update to a reader at hand, and looks at which release it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2

from emulator.faults import images
from reader import wire
from tests.reader.stubs.hands import KEY, PATIENCE_S, READER_ID, Hands, events
from tests.reader.stubs.small_hub import CONTROL, DOWN, SmallHub, connected, open_record, seal_down

PIECE = wire.PIECE_MAX


@dataclass(frozen=True)
class Release:
    """An image, its manifest and what names it."""

    number: int
    version: str
    manifest: bytes
    image: bytes

    @property
    def command(self) -> dict[int, Any]:
        return images.command(self.manifest, len(self.image), self.number, self.version)

    @property
    def id(self) -> bytes:
        return images.image_id(self.manifest)


def release(folder: Path, number: int, version: str, edits: dict[str, tuple[str, str]] | None = None) -> Release:
    """The product's firmware as another release, with edits by file."""
    files = images.compiled(images.another(folder, number, version, edits))
    head = images.manifest(files, number, version)
    return Release(number, version, head, images.whole(files, head))


async def commanded(hub: SmallHub, number: int, message: dict[int, Any]) -> int:
    """Bring a command; the code of TAKEN."""
    await hub.send(DOWN, seal_down(KEY, READER_ID, number, message))
    op, code, *_ = await hub.reply()
    assert op == wire.OP_TAKEN
    return code


async def wanted(hub: SmallHub) -> tuple[int, int, int]:
    """Code, offset and size of the next WANTED."""
    op, code, offset, size = await hub.reply()
    assert op == wire.OP_WANTED
    return code, offset, size


async def asked(hub: SmallHub, image_id: bytes) -> tuple[int, int, int]:
    """What a reader wants of an image that the hub has."""
    await hub.send(CONTROL, cbor2.dumps([wire.OP_IMAGE, image_id]))
    return await wanted(hub)


async def piece(hub: SmallHub, offset: int, data: bytes) -> tuple[int, int, int]:
    """Send a piece; what is wanted then."""
    await hub.send(DOWN, cbor2.dumps([wire.OP_PIECE, offset, data]))
    return await wanted(hub)


async def carried(hub: SmallHub, image: bytes, image_id: bytes, until: int | None = None) -> tuple[int, int, int]:
    """Send what is wanted until all is there, or up to offset `until`; the last answer."""
    code, offset, size = await asked(hub, image_id)
    while not code and offset < (size if until is None else until):
        code, offset, size = await piece(hub, offset, image[offset : offset + PIECE])
    return code, offset, size


async def installed(hands: Hands, number: int, found: Release) -> None:
    """A hub commands and brings that release, whole."""
    async with connected(hands.bench, READER_ID, KEY) as hub:
        await hub.admit()
        assert await commanded(hub, number, found.command) == wire.ERR_NONE
        size = len(found.image)
        assert await carried(hub, found.image, found.id) == (wire.ERR_NONE, size, size)
    await hands.reader.wait_for(lambda: not hands.reader.connected, PATIENCE_S, "the hub's leaving")


async def visited(hands: Hands, *, receipt: bool = True) -> list[dict[int, Any]]:
    """A hub collects, and brings the server's receipt for all of it; the records."""
    async with connected(hands.bench, READER_ID, KEY) as hub:
        state = await hub.admit()
        sealed = await hub.collect(state[wire.STATE_FIRST])
        if receipt and sealed:
            await hub.receipt(state[wire.STATE_FIRST] + len(sealed) - 1, sealed[-1])
    await hands.reader.wait_for(lambda: not hands.reader.connected, PATIENCE_S, "the hub's leaving")
    return [open_record(one, KEY, READER_ID) for one in sealed]


def told(records: list[dict[int, Any]]) -> list[tuple[str | None, list[int]]]:
    """What the events of updates say: (detail, [release, stage])."""
    return events(records, wire.EVENT_UPDATE)
