"""A hub is let in by its ticket, and by nothing else."""

import hmac
from pathlib import Path

import pytest

from tests.reader.bench import EXPIRY, HUB, READER, Bench, ticket

NOT_ADMITTED, REFUSED, EXPIRED, VERSION, MALFORMED = 5, 6, 7, 11, 2


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_hub_with_a_ticket_is_let_in_and_told_the_state(bench: Bench) -> None:
    bench.record(2)
    reply = bench.hub().admit()
    assert reply[0] == 4
    assert reply[1][1] == READER
    assert (reply[1][2], reply[1][3], reply[1][4]) == (1, 3, 0)
    assert reply[1][5] == bench.journal.tail_hash
    assert sorted(reply[1]) == list(range(1, 17))


def test_the_state_fits_a_control_message_whatever_the_names(bench: Bench) -> None:
    bench.device.firmware = "f" * 64
    bench.device.wall = 2**50
    bench.device.now_ms = 2**50
    bench.identity.apply(2**32 - 1, name="n" * 64, floor_ms=2**60)
    hub = bench.hub()
    assert hub.admit(expiry=2**62)[0] == 4
    assert len(hub.control.message) <= 256


@pytest.mark.parametrize("op", [(4, {}), (5,), (6, 1, 10), (7, 1), (8, 1, 1, bytes(16)), (9,), (99,), (2,)])
def test_nothing_is_answered_before_admission(bench: Bench, op: tuple[object, ...]) -> None:
    bench.record()
    hub = bench.hub()
    assert hub.ask(*op) == [[15, NOT_ADMITTED, op[0]]]
    assert hub.collect() == []
    assert bench.device.beeps == 0


def test_a_down_message_before_admission_is_refused_and_changes_nothing(bench: Bench) -> None:
    assert bench.hub().command(1, {1: 2, 2: 5}) == [[15, NOT_ADMITTED, 0x80]]
    assert bench.identity.down == 0


def test_a_wrong_proof_is_refused_and_the_challenge_is_spent(bench: Bench) -> None:
    hub = bench.hub()
    challenge = hub.hello()
    said = READER + HUB + EXPIRY.to_bytes(8, "big") + b"n" * 16 + challenge[1]
    right = hmac.digest(ticket(), b"doorstep/1 hub" + said, "sha256")[:16]
    assert hub.ask(3, bytes([right[0] ^ 1]) + right[1:]) == [[15, REFUSED, 3]]
    assert hub.ask(3, right) == [[15, REFUSED, 3]]
    assert not bench.session.admission.admitted


def test_the_readers_own_proof_sent_back_does_not_admit(bench: Bench) -> None:
    hub = bench.hub()
    assert hub.ask(3, hub.hello()[2]) == [[15, REFUSED, 3]]


def test_a_proof_without_a_challenge_is_refused(bench: Bench) -> None:
    assert bench.hub().ask(3, bytes(16)) == [[15, REFUSED, 3]]


def test_a_recorded_admission_cannot_be_replayed(bench: Bench) -> None:
    first = bench.hub()
    challenge = first.hello()
    said = READER + HUB + EXPIRY.to_bytes(8, "big") + b"n" * 16 + challenge[1]
    proof = hmac.digest(ticket(), b"doorstep/1 hub" + said, "sha256")[:16]
    assert first.ask(3, proof)[0][0] == 4
    second = bench.hub()
    assert second.hello()[1] != challenge[1]
    assert second.ask(3, proof) == [[15, REFUSED, 3]]


def test_an_expired_ticket_is_judged_by_the_later_of_clock_and_floor(bench: Bench) -> None:
    assert bench.hub().hello()[0] == 2
    bench.device.wall = EXPIRY * 1000 - 1
    assert bench.hub().hello()[0] == 2
    bench.device.wall = EXPIRY * 1000
    assert bench.hub().hello() == [15, EXPIRED, 1]
    bench.device.wall = 5
    bench.identity.apply(1, floor_ms=EXPIRY * 1000)
    assert bench.hub().hello() == [15, EXPIRED, 1]


def test_a_generation_that_is_not_held_is_refused(bench: Bench) -> None:
    assert bench.hub().hello(generation=1) == [15, REFUSED, 1]


def test_tickets_of_the_last_two_generations_work(bench: Bench) -> None:
    bench.identity.apply(1, key=(1, b"1" * 32))
    assert bench.hub().admit()[0] == 4
    assert bench.hub().admit(key=b"1" * 32, generation=1)[0] == 4
    bench.identity.apply(2, key=(2, b"2" * 32))
    assert bench.hub().hello() == [15, REFUSED, 1]


def test_another_version_is_told_apart_from_a_malformed_hello(bench: Bench) -> None:
    hub = bench.hub()
    assert hub.ask(1, 2, "anything") == [[15, VERSION, 1]]
    assert hub.ask(1, 1) == [[15, MALFORMED, 1]]
    assert hub.ask(1, 1, HUB, EXPIRY, 0, bytes(15)) == [[15, MALFORMED, 1]]
    assert hub.ask(1, 1, HUB, -1, 0, bytes(16)) == [[15, MALFORMED, 1]]
    assert hub.ask(1, 1, HUB, True, 0, bytes(16)) == [[15, MALFORMED, 1]]


def test_a_central_that_is_not_admitted_in_time_is_dropped(bench: Bench) -> None:
    hub = bench.hub()
    bench.device.now_ms += 20_000
    hub.hello()
    assert not bench.session.drop
    bench.device.now_ms += 1
    assert bench.session.drop
    hub = bench.hub()
    hub.admit()
    bench.device.now_ms += 1_000_000
    assert not bench.session.drop
    hub.hello()
    assert not bench.session.drop
    bench.device.now_ms += 20_001
    assert bench.session.drop


def test_hello_on_an_admitted_link_starts_anew_and_stops_the_transfer(bench: Bench) -> None:
    bench.record(3)
    hub = bench.hub()
    hub.admit()
    hub.ask(6, 1, 1)
    assert hub.collect() == []
    hub.hello()
    assert hub.ask(5) == [[15, NOT_ADMITTED, 5]]
    hub.admit()
    hub.ask(6, 1, 100)
    assert len(hub.collect()) == 4


def test_the_clock_is_set_by_an_admitted_hub_within_floor_and_ticket(bench: Bench) -> None:
    hub = bench.hub()
    hub.admit()
    assert hub.clock(1_700_000_000_000) == [10, 8]
    assert (bench.device.wall, bench.device.source) == (1_700_000_000_000, 2)
    assert hub.ask(8, 1_700_000_000_001, 50, bytes(16)) == [[15, REFUSED, 8]]
    assert hub.clock(EXPIRY * 1000) == [15, REFUSED, 8]
    assert bench.device.wall == 1_700_000_000_000
    bench.identity.apply(1, floor_ms=1_750_000_000_000)
    assert hub.clock(1_740_000_000_000) == [10, 8]
    assert (bench.device.wall, bench.device.source) == (1_750_000_000_000, 3)
