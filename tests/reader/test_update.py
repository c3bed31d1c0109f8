"""An image comes in pieces: what is kept, what is wanted again, what is refused, and what an interruption costs."""

import random
from pathlib import Path
from typing import Any

import cbor2
import pytest

from emulator.faults import images
from reader import slots, wire
from tests.reader.bench import Bench, Hub

FILES = {
    "packs/index": b"",
    "packs/one.pack": bytes(range(256)) * 5,
    "reader/app.mpy": b"app" * 700,
    "reader/drivers/lamp.mpy": b"lamp" * 20,
    "reader/zero.txt": b"",
}
HEAD = images.manifest(FILES, 2)
IMAGE = images.whole(FILES, HEAD)
COMMAND = images.command(HEAD, len(IMAGE), 2)
ID = images.image_id(HEAD)
ENDS = [len(HEAD) + sum(len(FILES[name]) for name in sorted(FILES)[:count]) for count in range(len(FILES) + 1)]
OK, SIZE = wire.ERR_NONE, len(IMAGE)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def admitted(bench: Bench) -> Hub:
    hub = bench.hub()
    assert hub.admit()[0] == wire.OP_STATE
    return hub


def answer(hub: Hub, replies: list[Any]) -> list[Any]:
    """The one WANTED that comes in the end; a reader takes a step each time it is looked at."""
    for _ in range(1000):
        replies += hub.replies()
        if replies:
            break
    (reply,) = replies
    assert reply[0] == wire.OP_WANTED, reply
    return reply[1:]


def ask(hub: Hub, image_id: bytes = ID) -> list[Any]:
    return answer(hub, hub.ask(wire.OP_IMAGE, image_id))


def piece(hub: Hub, offset: int, data: bytes) -> list[Any]:
    return answer(hub, hub.send_down(cbor2.dumps([wire.OP_PIECE, offset, data])))


def carry(hub: Hub, image: bytes = IMAGE, image_id: bytes = ID, until: int = 1 << 30, size: int = 1024) -> list[Any]:
    code, offset, whole = ask(hub, image_id)
    while not code and offset < min(whole, until):
        code, offset, whole = piece(hub, offset, image[offset : offset + size])
    return [code, offset, whole]


def commanded(bench: Bench, hub: Hub, message: Any = COMMAND) -> int:
    (reply,) = hub.command(bench.identity.down + 1, message)
    assert reply[0] == wire.OP_TAKEN
    return reply[1]


def kept(bench: Bench) -> dict[str, bytes]:
    """The files of the first slot by the names of the manifest."""
    folder = bench.folder / "slot_a"
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if "/" in name}


def stages(bench: Bench) -> list[tuple[int, int]]:
    return [(numbers[0], numbers[1]) for code, _, numbers in bench.device.events if code == wire.EVENT_UPDATE]


@pytest.mark.parametrize("size", [37, 100, 242, 1000, 1024])
def test_an_image_is_kept_file_by_file_and_told_once_it_is_whole(bench: Bench, size: int) -> None:
    hub = admitted(bench)
    assert commanded(bench, hub) == OK
    assert stages(bench) == [(2, wire.UPDATE_AWAITED)]
    assert carry(hub, size=size) == [OK, SIZE, SIZE]
    assert kept(bench) == FILES
    assert stages(bench) == [(2, wire.UPDATE_AWAITED), (2, wire.UPDATE_WHOLE)]
    assert bench.device.renewing
    assert bench.device.progress == 100
    assert ask(hub) == [OK, SIZE, SIZE]
    assert carry(admitted(bench)) == [OK, SIZE, SIZE]


def test_without_a_command_no_image_is_wanted_and_no_piece(bench: Bench) -> None:
    hub = admitted(bench)
    assert ask(hub) == [wire.ERR_IMAGE, 0, 0]
    assert piece(hub, 0, b"x") == [wire.ERR_IMAGE, 0, 0]
    commanded(bench, hub)
    assert piece(hub, 0, IMAGE[:10]) == [wire.ERR_IMAGE, 0, 0]
    assert ask(hub, bytes(16)) == [wire.ERR_IMAGE, 0, 0]
    assert not (bench.folder / "slot_a").exists()


def test_a_reader_that_is_not_admitted_says_nothing_of_images(bench: Bench) -> None:
    hub = bench.hub()
    assert hub.ask(wire.OP_IMAGE, ID) == [[wire.OP_ERROR, wire.ERR_NOT_ADMITTED, wire.OP_IMAGE]]
    assert hub.send_down(cbor2.dumps([wire.OP_PIECE, 0, b"x"])) == [
        [wire.OP_ERROR, wire.ERR_NOT_ADMITTED, wire.OP_DOWN]
    ]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_lost_link_and_a_restart_cost_nothing_that_was_kept(bench: Bench, restarted: bool) -> None:
    chance = random.Random(5)
    commanded(bench, admitted(bench))
    reached = 0
    for _ in range(60):
        if restarted:
            bench.start()
        hub = admitted(bench)
        code, offset, _ = ask(hub)
        assert (code, offset) == (OK, reached)
        _, reached, _ = piece(hub, offset, IMAGE[offset : offset + chance.randrange(1, 300)])
        if reached == SIZE:
            break
    assert reached == SIZE
    assert kept(bench) == FILES


def test_a_piece_at_another_offset_is_dropped_and_one_beyond_the_end_is_an_error(bench: Bench) -> None:
    hub = admitted(bench)
    commanded(bench, hub)
    ask(hub)
    assert piece(hub, 0, IMAGE[:100]) == [OK, 100, SIZE]
    assert piece(hub, 0, IMAGE[:100]) == [OK, 100, SIZE]
    assert piece(hub, 200, IMAGE[200:300]) == [OK, 100, SIZE]
    malformed = [[wire.OP_ERROR, wire.ERR_MALFORMED, wire.OP_DOWN]]
    assert hub.send_down(cbor2.dumps([wire.OP_PIECE, SIZE - 1, b"xx"])) == malformed
    assert hub.send_down(cbor2.dumps([wire.OP_PIECE, 100, b""])) == malformed
    assert hub.send_down(cbor2.dumps([wire.OP_PIECE, 100, bytes(1025)])) == malformed
    assert hub.send_down(cbor2.dumps([wire.OP_PIECE, 100, "text"])) == malformed
    assert hub.send_down(cbor2.dumps([wire.OP_PIECE, -1, b"x"])) == malformed
    assert hub.send_down(cbor2.dumps([wire.OP_IMAGE, 100, b"x"])) == malformed
    assert piece(hub, 100, IMAGE[100:200]) == [OK, 200, SIZE]


@pytest.mark.parametrize("at", [0, len(HEAD) - 2, len(HEAD) + 5, len(HEAD) + 1280 + 2000, SIZE - 1])
def test_what_does_not_stand_its_hash_is_wanted_again_three_times_and_then_never(bench: Bench, at: int) -> None:
    bad = IMAGE[:at] + bytes((IMAGE[at] ^ 1,)) + IMAGE[at + 1 :]
    hub = admitted(bench)
    commanded(bench, hub)
    starts = []
    code, offset, _ = ask(hub)
    reached = 0
    while not code:
        reached = max(reached, offset)
        sent = bad[offset : offset + 512]
        code, following, _ = piece(hub, offset, sent)
        if not code and following != offset + len(sent):
            starts.append(following)
        offset = following
    assert code == wire.ERR_IMAGE
    assert len(starts) == 3
    end = next(end for end in ENDS if end > at)
    assert reached < end, "nothing behind it is kept before it stands"
    assert stages(bench)[-1] == (2, wire.UPDATE_REFUSED)
    assert slots.load(str(bench.folder)).awaited is None
    assert commanded(bench, hub) == OK, "the server may send it anew"
    assert carry(hub) == [OK, SIZE, SIZE]


def test_a_cell_that_rots_while_the_rest_comes_is_found_before_the_image_is_whole(bench: Bench) -> None:
    hub = admitted(bench)
    commanded(bench, hub)
    carry(hub, until=SIZE - 60, size=50)
    path = bench.folder / "slot_a" / "packs" / "one.pack"
    path.write_bytes(b"\1" + path.read_bytes()[1:])
    code, offset, _ = carry(admitted(bench), until=SIZE)
    assert (code, offset) == (OK, SIZE), "it was wanted again"
    assert kept(bench) == FILES


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (images.manifest(FILES, 2, model="Doorstep R2"), "model Doorstep R2"),
        (images.manifest(FILES, 3), "manifest: numbers"),
        (images.manifest(FILES, 2, least=0), "manifest: numbers"),
        (HEAD.replace(b"reader/app", b"reader/..p"), "manifest: name 3"),
        (HEAD.replace(b"file reader/app", b"file  reader/app"), "manifest: file 3"),
    ],
)
def test_a_manifest_of_another_model_or_with_other_numbers_is_refused_before_a_file_is_kept(
    bench: Bench, head: bytes, why: str
) -> None:
    image = images.whole(FILES, head)
    hub = admitted(bench)
    assert commanded(bench, hub, images.command(head, len(image), 2)) == OK
    assert carry(hub, image, images.image_id(head)) == [wire.ERR_IMAGE, 0, 0]
    assert (wire.EVENT_UPDATE, why, [2, wire.UPDATE_REFUSED]) in bench.device.events
    assert kept(bench) == {}


def test_nothing_is_taken_while_a_test_runs_or_with_a_low_battery(bench: Bench) -> None:
    hub = admitted(bench)
    commanded(bench, hub)
    for flag, code in ((wire.FLAG_TEST_RUNNING, wire.ERR_STORAGE), (wire.FLAG_LOW_BATTERY, wire.ERR_BATTERY)):
        bench.device.flagged = flag
        assert ask(hub) == [code, 0, 0]
        bench.device.flagged = 0
        code_after, offset, _ = ask(hub)
        assert not code_after
        bench.device.flagged = flag
        assert piece(hub, offset, IMAGE[offset : offset + 10]) == [code, 0, 0]
        bench.device.flagged = 0
        assert ask(hub) == [OK, offset, SIZE]
        assert piece(hub, offset, IMAGE[offset : offset + 10]) == [OK, offset + 10, SIZE]


def test_an_image_that_would_leave_the_journal_no_room_is_not_begun(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = admitted(bench)
    commanded(bench, hub)
    with monkeypatch.context() as patch:
        patch.setattr("reader.receiving._free_blocks", lambda root: SIZE // 4096 + 253)
        assert ask(hub) == [wire.ERR_STORAGE, 0, 0]
        assert piece(hub, 0, IMAGE[:10]) == [wire.ERR_IMAGE, 0, 0]
    with monkeypatch.context() as patch:
        patch.setattr(bench.journal, "room_for", lambda: 3)
        assert ask(hub) == [wire.ERR_STORAGE, 0, 0]
    with monkeypatch.context() as patch:
        patch.setattr("reader.receiving._free_blocks", lambda root: SIZE // 4096 + 254)
        assert ask(hub) == [OK, 0, SIZE]
    assert carry(hub) == [OK, SIZE, SIZE]


def test_the_slot_is_emptied_of_another_image_before_anything_of_this_one_is_kept(bench: Bench) -> None:
    hub = admitted(bench)
    commanded(bench, hub)
    carry(hub)
    files = {"reader/app.mpy": b"other", "reader/more.mpy": b"more"}
    head = images.manifest(files, 3)
    image = images.whole(files, head)
    assert commanded(bench, hub, images.command(head, len(image), 3)) == OK
    assert stages(bench)[-2:] == [(2, wire.UPDATE_DROPPED), (3, wire.UPDATE_AWAITED)]
    assert ask(hub, ID) == [wire.ERR_IMAGE, 0, 0]
    assert carry(hub, image, images.image_id(head)) == [OK, len(image), len(image)]
    assert kept(bench) == files
    assert commanded(bench, hub, {wire.DOWN_TYPE: wire.DOWN_UPDATE, wire.DOWN_A: None}) == OK
    assert stages(bench)[-1] == (3, wire.UPDATE_DROPPED)
    assert ask(hub, images.image_id(head)) == [wire.ERR_IMAGE, 0, 0]


def test_what_may_not_follow_is_refused_and_its_number_is_spent(bench: Bench) -> None:
    hub = admitted(bench)
    for at, (message, why) in enumerate(
        (
            (images.command(HEAD, SIZE, 1), "release 1 is not above 1"),
            (images.command(HEAD, SIZE, 5, least=4), "release 4 must come first"),
        )
    ):
        assert commanded(bench, hub, message) == wire.ERR_UNSUPPORTED
        assert bench.device.events[-2][:2] == (wire.EVENT_UPDATE, why)
        assert bench.device.events[-1] == (wire.EVENT_DOWN_APPLIED, why, [at + 1, wire.DOWN_UPDATE, 15])
    state = slots.load(str(bench.folder))
    state.floor = 7
    slots.keep(bench.device, state)
    assert commanded(bench, hub, images.command(HEAD, SIZE, 7)) == wire.ERR_UNSUPPORTED
    assert commanded(bench, hub, images.command(HEAD, SIZE, 8)) == OK


@pytest.mark.parametrize(
    "changes",
    [
        {2: [2, 1, len(HEAD)]}, {2: [0, 1, 9, 9]}, {2: [2, 1, 16385, SIZE]}, {2: [2, 1, 9, 2097153]}, {2: [2, 1, 9, 8]},
        {2: "text"}, {3: bytes(31)}, {4: 5}, {5: 1}, {3: None},
    ],
)  # fmt: skip
def test_a_command_that_is_none_spends_its_number_and_changes_nothing(bench: Bench, changes: dict[int, Any]) -> None:
    hub = admitted(bench)
    assert commanded(bench, hub, COMMAND | changes) == wire.ERR_UNSUPPORTED
    assert bench.identity.down == 1
    assert slots.load(str(bench.folder)).awaited is None
    assert stages(bench) == []
