"""A connection answers what the protocol says, survives any bytes, and drops who misbehaves."""

from pathlib import Path
from typing import Any

import cbor2
import pycddl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader import wire
from tests.reader.bench import EPOCH, READER, Bench, sealed_down

CDDL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.cddl").read_text().replace("bstr .cbor", "bstr ;")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_everything_recorded_reaches_a_hub_and_its_receipt_discards_it(bench: Bench) -> None:
    bench.record(12)
    held = [bench.journal.read(number) for number in range(1, 13)]
    hub = bench.hub()
    hub.admit()
    assert hub.ask(6, 1, 4096) == []
    *records, end = hub.collect()
    assert records == held
    assert cbor2.loads(end) == [12, 13]
    receipt = {1: 1, 2: 12, 3: bench.journal.chain_hash(12), 4: EPOCH}
    assert hub.command(12, receipt) == [[11, 0, 12, 12]]
    assert bench.journal.first > 1
    assert hub.ask(6, 1, 10) == [[15, wire.ERR_GONE, 6]]
    assert hub.ask(6, 14, 10) == [[15, wire.ERR_AHEAD, 6]]


def test_a_smallest_link_carries_everything_too(bench: Bench) -> None:
    bench.record(3)
    hub = bench.hub(limit=20)
    assert hub.admit()[0] == 4
    hub.ask(6, 1, 4096)
    assert len(hub.collect()) == 4


def test_nobody_but_the_server_discards(bench: Bench) -> None:
    bench.record(3)
    hub = bench.hub()
    hub.admit()
    right = {1: 1, 2: 3, 3: bench.journal.chain_hash(3), 4: EPOCH}
    assert hub.command(3, right, key=b"x" * 32) == [[11, wire.ERR_SEAL_REFUSED, 0, 0]]
    assert hub.send_down(bench.journal.read(3)) == [[11, wire.ERR_SEAL_REFUSED, 0, 0]]
    altered = bytearray(sealed_down(3, right))
    altered[-20] ^= 1
    assert hub.send_down(bytes(altered)) == [[11, wire.ERR_SEAL_REFUSED, 0, 0]]
    assert bench.journal.released == 0


def test_a_receipt_of_another_chain_is_refused_and_journalled_once(bench: Bench) -> None:
    bench.record(3)
    hub = bench.hub()
    hub.admit()
    for _ in range(3):
        assert hub.command(2, {1: 1, 2: 2, 3: bytes(16), 4: EPOCH}) == [[11, wire.ERR_CHAIN_MISMATCH, 2, 0]]
    assert hub.command(9, {1: 1, 2: 9, 3: bytes(16), 4: EPOCH}) == [[11, wire.ERR_CHAIN_MISMATCH, 9, 0]]
    assert bench.device.events == [(2, "receipt", [14, 2]), (2, "receipt", [14, 9])]
    assert bench.journal.released == 0


def test_an_old_receipt_is_harmless(bench: Bench) -> None:
    bench.record(9)
    chains = {number: bench.journal.chain_hash(number) for number in (2, 9)}
    hub = bench.hub()
    hub.admit()
    assert hub.command(9, {1: 1, 2: 9, 3: chains[9], 4: EPOCH}) == [[11, 0, 9, 9]]
    assert hub.command(2, {1: 1, 2: 2, 3: chains[2], 4: EPOCH}) == [[11, 0, 2, 9]]
    assert bench.device.events == []


@pytest.mark.parametrize(
    "receipt",
    [{1: 1, 2: 3, 3: bytes(16)}, {1: 1, 2: 2, 3: bytes(16), 4: EPOCH}, {1: 1, 2: 3, 3: bytes(15), 4: EPOCH},
     {1: 1, 2: 3, 3: bytes(16), 4: "epoch--1"}, {1: 1, 2: 3, 3: bytes(16), 4: EPOCH, 5: 1}],
)  # fmt: skip
def test_a_receipt_of_another_shape_is_not_understood(bench: Bench, receipt: dict[int, Any]) -> None:
    bench.record(3)
    hub = bench.hub()
    hub.admit()
    assert hub.command(3, receipt) == [[11, wire.ERR_UNSUPPORTED, 3, 0]]


def test_commands_are_taken_in_order_once_and_survive_a_restart(bench: Bench) -> None:
    hub = bench.hub()
    hub.admit()
    assert hub.command(2, {1: 3, 2: {1: "later"}}) == [[11, wire.ERR_REPLAYED, 2, 0]]
    assert hub.command(1, {1: 2, 2: 1_700_000_000_000}) == [[11, 0, 1, 0]]
    assert (bench.device.wall, bench.device.source) == (1_700_000_000_000, 3)
    assert hub.command(2, {1: 3, 2: {1: "Éza", 2: "fr"}}) == [[11, 0, 2, 0]]
    assert hub.command(3, {1: 4, 2: b"pack"}) == [[11, 0, 3, 0]]
    assert hub.command(4, {1: 5, 2: 1, 3: b"1" * 32}) == [[11, 0, 4, 0]]
    for number in (1, 2, 3, 4, 6):
        assert hub.command(number, {1: 3, 2: {1: "again"}}) == [[11, wire.ERR_REPLAYED, number, 0]]
    bench.start()
    who = bench.identity
    assert (who.down, who.name, who.language, who.floor_ms, who.generation) == (4, "Éza", "fr", 1_700_000_000_000, 1)
    assert bench.device.packs == [b"pack"]
    assert [event for event in bench.device.events if event[0] == 5] == [(5, None, [n, n + 1]) for n in range(1, 5)]
    hub = bench.hub()
    hub.admit(key=b"1" * 32, generation=1)
    assert hub.command(5, {1: 3, 2: {}}, 1, b"1" * 32) == [[11, 0, 5, 0]]


def test_a_pack_that_may_not_be_kept_spends_its_number_and_the_event_says_why(bench: Bench) -> None:
    hub = bench.hub()
    hub.admit()
    assert hub.command(1, {1: 4, 2: b"no"}) == [[11, wire.ERR_UNSUPPORTED, 1, 0]]
    assert hub.command(2, {1: 9, 2: 1}) == [[11, wire.ERR_UNSUPPORTED, 2, 0]]
    assert bench.device.events == [
        (wire.EVENT_DOWN_APPLIED, "pack: not one", [1, wire.DOWN_ASSAY, wire.ERR_UNSUPPORTED]),
        (wire.EVENT_DOWN_APPLIED, None, [2, 9, wire.ERR_UNSUPPORTED]),
    ]


def test_a_pack_that_cannot_be_kept_now_is_offered_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = bench.hub()
    hub.admit()

    def busy(pack: bytes) -> None:
        raise OSError(16)

    with monkeypatch.context() as during:
        during.setattr(bench.device, "store_assay", busy)
        assert hub.command(1, {1: 4, 2: b"pack"}) == [[11, wire.ERR_STORAGE, 1, 0]]
    assert bench.device.events == []
    assert hub.command(1, {1: 4, 2: b"pack"}) == [[11, 0, 1, 0]]


@pytest.mark.parametrize(
    "message",
    [{1: 9, 2: 1}, {1: True, 2: 1}, {1: 2, 2: -1}, {1: 2}, {1: 3, 2: {7: "x"}}, {1: 3, 2: {1: "x" * 65}}, {1: 3, 2: 5},
     {1: 4, 2: b"no"}, {1: 4, 2: "pack"}, {1: 5, 2: 0, 3: bytes(32)}, {1: 5, 2: 1, 3: bytes(31)}, [1], b"\xff", {}],
)  # fmt: skip
def test_a_command_that_is_not_understood_spends_its_number_and_blocks_nothing(bench: Bench, message: Any) -> None:
    hub = bench.hub()
    hub.admit()
    assert hub.command(1, message) == [[11, wire.ERR_UNSUPPORTED, 1, 0]]
    assert (bench.identity.name, bench.identity.generation, bench.identity.floor_ms) == ("reader one", 0, 0)
    assert hub.command(2, {1: 3, 2: {1: "two"}}) == [[11, 0, 2, 0]]


def test_a_command_that_cannot_be_stored_or_journalled_is_not_taken(bench: Bench, monkeypatch: Any) -> None:
    hub = bench.hub()
    hub.admit()
    with monkeypatch.context() as full:
        full.setattr(bench.journal, "room_for", lambda: 0)
        assert hub.command(1, {1: 3, 2: {1: "two"}}) == [[11, wire.ERR_STORAGE, 1, 0]]
    with monkeypatch.context() as broken:

        def fail(*arguments: Any, **changes: Any) -> None:
            raise OSError(5)

        broken.setattr(bench.identity, "apply", fail)
        assert hub.command(1, {1: 3, 2: {1: "two"}}) == [[11, wire.ERR_STORAGE, 1, 0]]
    assert hub.command(1, {1: 3, 2: {1: "two"}}) == [[11, 0, 1, 0]]


def test_a_rotten_record_is_named_and_blocks_nothing_behind_it(bench: Bench) -> None:
    bench.record(3)
    file = next((bench.folder / "journal").glob("*.seg"))
    data = bytearray(file.read_bytes())
    data[data.index(bench.journal.read(2)) + 50] ^= 1
    file.write_bytes(data)
    bench.start()
    hub = bench.hub()
    hub.admit()
    hub.ask(6, 1, 4096)
    one, two, three, end = hub.collect()
    assert cbor2.loads(two) == [13, 2]
    assert (one, three) == (bench.journal.read(1), bench.journal.read(3))
    assert cbor2.loads(end) == [12, 4]
    hub.ask(6, 2, 4096)
    assert len(hub.collect()) == 3
    assert bench.device.events == [(6, None, [2])]


def test_identify_beeps(bench: Bench) -> None:
    hub = bench.hub()
    hub.admit()
    assert hub.ask(9) == [[10, 9]]
    assert bench.device.beeps == 1


def test_replies_go_before_records(bench: Bench) -> None:
    bench.record(3)
    hub = bench.hub()
    hub.admit()
    hub.ask(6, 1, 4096)
    assert bench.session.next_up(244) is not None
    for segment in hub.control.cut(b"\x81\x05"):
        bench.session.on_control(segment)
    assert bench.session.next_up(244) is None
    assert hub.replies()[0][0] == 4
    assert bench.session.next_up(244) is not None


@pytest.mark.parametrize(
    "fields",
    [(5, 1), (6,), (6, 0, 1), (6, 1, 0), (6, 1, 4097), (6, "1", 1), (7,), (7, 0), (7, True), (8, 1, 1, b""), (9, 9),
     (8, -1, 1, bytes(16)), (8, 1, 2**32, bytes(16)), (3, b"short"), (3, "x" * 16)],
)  # fmt: skip
def test_a_request_of_another_shape_is_malformed(bench: Bench, fields: tuple[Any, ...]) -> None:
    hub = bench.hub()
    hub.admit()
    assert hub.ask(*fields) == [[15, wire.ERR_MALFORMED, fields[0]]]


@pytest.mark.parametrize("value", [{}, [], [-1], ["x"], 5, [[1]], [True]])
def test_what_is_no_request_is_malformed_and_named_by_no_op(bench: Bench, value: Any) -> None:
    hub = bench.hub()
    for segment in hub.control.cut(cbor2.dumps(value)):
        bench.session.on_control(segment)
    assert hub.replies() == [[15, wire.ERR_MALFORMED, 0]]


def test_the_eighth_error_is_the_last(bench: Bench) -> None:
    hub = bench.hub()
    hub.admit()
    for _ in range(7):
        assert hub.ask(99) == [[15, wire.ERR_UNKNOWN_OP, 99]]
        assert not bench.session.drop
    bench.session.on_control(hub.control.cut(cbor2.dumps([98]))[0])
    assert not bench.session.drop, "the last reply must go out first"
    assert hub.replies() == [[15, wire.ERR_TOO_MANY_ERRORS, 98]]
    assert bench.session.drop
    assert hub.ask(5) == []
    assert hub.command(1, {1: 3, 2: {1: "x"}}) == []
    assert bench.identity.down == 0
    hub = bench.hub()
    assert not bench.session.drop
    assert hub.admit()[0] == 4


def test_a_hub_that_does_not_read_its_replies_is_told_busy_within_bounds(bench: Bench) -> None:
    hub = bench.hub()
    hub.admit()
    for _ in range(100):
        for segment in hub.control.cut(b"\x81\x05"):
            bench.session.on_control(segment)
    replies = hub.replies()
    assert [reply[0] for reply in replies[:8]] == [4] * 8
    assert replies[8] == [15, wire.ERR_BUSY, 5]
    assert replies[-1] == [15, wire.ERR_TOO_MANY_ERRORS, 5]
    assert len(replies) == 16
    assert bench.session.drop


def test_every_reply_is_of_the_cddl(bench: Bench) -> None:
    bench.record(2)
    control = pycddl.Schema(f"root = control\n{CDDL}")
    status = pycddl.Schema(f"root = status\n{CDDL}")
    hub = bench.hub()
    replies = [hub.ask(5)[0], hub.hello(), hub.admit(), hub.ask(5)[0], hub.clock(1_700_000_000_000), hub.ask(9)[0]]
    replies += hub.command(1, {1: 2, 2: 1_750_000_000_000}) + hub.ask(5) + hub.ask(77)
    for reply in replies:
        control.validate_cbor(cbor2.dumps(reply))
    status.validate_cbor(bench.session.status())
    assert cbor2.loads(bench.session.status()) == [1, READER, 3, 0, 87, 0]


FIELDS = st.integers(-5, 300) | st.binary(max_size=20) | st.text(max_size=5)
ACTIONS = st.one_of(
    st.tuples(st.just("control"), st.binary(max_size=300)),
    st.tuples(st.just("down"), st.binary(max_size=300)),
    st.tuples(
        st.just("message"), st.lists(st.integers(-5, 300) | st.binary(max_size=20) | st.text(max_size=5), max_size=6)
    ),
    st.tuples(st.just("pull"), st.integers(0, 30)),
    st.tuples(st.just("lost"), st.none()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTIONS, max_size=30), st.booleans())
def test_any_bytes_leave_journal_and_identity_as_they_were(
    tmp_path_factory: Any, actions: list[tuple[str, Any]], admitted: bool
) -> None:
    bench = Bench(tmp_path_factory.mktemp("fuzz"))
    bench.record(3)
    hub = bench.hub()
    if admitted:
        hub.admit()
    for kind, value in actions:
        if kind == "control":
            bench.session.on_control(value)
        elif kind == "down":
            bench.session.on_down(value)
        elif kind == "message":
            for segment in hub.control.cut(cbor2.dumps(value)):
                bench.session.on_control(segment)
        elif kind == "pull":
            for _ in range(value):
                if bench.session.next_control(100) is not None:
                    bench.session.control_sent()
                if bench.session.next_up(100) is not None:
                    bench.session.up_sent()
        else:
            bench.session.disconnected()
            hub = bench.hub()
    assert len(bench.session._replies) <= 16
    assert (bench.journal.first, bench.journal.next, bench.journal.released) == (1, 4, 0)
    assert (bench.identity.down, bench.identity.generation) == (0, 0)
    assert bench.device.events == []
