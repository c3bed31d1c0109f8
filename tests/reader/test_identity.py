"""A reader knows who it is after any update, and never goes back to keys or commands of the past."""

from pathlib import Path
from typing import Any

import cbor2
import pytest

from reader import durable
from reader.identity import Identity, IdentityError
from tests.reader.bench import HUB, KEY, READER, derive, provision, ticket


def test_a_provisioned_reader_derives_its_keys(tmp_path: Path) -> None:
    provision(tmp_path)
    for _ in range(2):
        who = Identity(str(tmp_path))
        assert (who.reader_id, who.generation, who.name, who.down, who.floor_ms) == (READER, 0, "reader one", 0, 0)
        assert who.record_key(0) == derive(b"doorstep/1 record")
        assert who.down_key(0) == derive(b"doorstep/1 down")
        assert who.ticket_secret(0, HUB, 1_800_000_000) == ticket()
        assert who.record_key(1) is None
        assert who.ticket_secret(1, HUB, 1) is None


def test_an_update_survives_and_a_rotten_copy_is_mended_from_the_other(tmp_path: Path) -> None:
    provision(tmp_path)
    Identity(str(tmp_path)).apply(1, name="two", language="fr", floor_ms=77, key=(4, bytes(32)))
    for rotten in ("identity.a", "spare/identity.b"):
        data = bytearray((tmp_path / rotten).read_bytes())
        data[9] ^= 1
        (tmp_path / rotten).write_bytes(data)
        who = Identity(str(tmp_path))
        assert (who.name, who.language, who.floor_ms, who.down, who.generation) == ("two", "fr", 77, 1, 4)
        assert who.record_key(0) == derive(b"doorstep/1 record")
        assert who.record_key(4) == derive(b"doorstep/1 record", bytes(32))
        assert (tmp_path / "identity.a").read_bytes() == (tmp_path / "spare" / "identity.b").read_bytes()


def test_a_copy_that_went_back_in_time_is_not_believed(tmp_path: Path) -> None:
    provision(tmp_path)
    Identity(str(tmp_path)).apply(1, name="one")
    for name in ("identity.a", "spare/identity.b"):
        old = (tmp_path / name).read_bytes()
        down = Identity(str(tmp_path)).down + 1
        Identity(str(tmp_path)).apply(down, name="later")
        (tmp_path / name).write_bytes(old)
        who = Identity(str(tmp_path))
        assert (who.name, who.down) == ("later", down)
        assert (tmp_path / "identity.a").read_bytes() == (tmp_path / "spare" / "identity.b").read_bytes()


def test_both_copies_rotten_is_a_fault_and_not_a_way_back(tmp_path: Path) -> None:
    provision(tmp_path)
    Identity(str(tmp_path)).apply(1)
    for name in ("identity.a", "spare/identity.b"):
        (tmp_path / name).write_bytes(b"rot")
    with pytest.raises(IdentityError, match="needs service"):
        Identity(str(tmp_path))


def test_two_generations_are_kept(tmp_path: Path) -> None:
    provision(tmp_path)
    who = Identity(str(tmp_path))
    who.apply(1, key=(1, b"1" * 32))
    who.apply(2, key=(2, b"2" * 32))
    who = Identity(str(tmp_path))
    assert who.generation == 2
    assert who.down_key(0) is None
    assert who.down_key(1) == derive(b"doorstep/1 down", b"1" * 32)
    assert who.down_key(2) == derive(b"doorstep/1 down", b"2" * 32)


def test_a_floor_never_goes_down(tmp_path: Path) -> None:
    provision(tmp_path)
    who = Identity(str(tmp_path))
    who.apply(1, floor_ms=1000)
    who.apply(2, floor_ms=10)
    assert Identity(str(tmp_path)).floor_ms == 1000


def test_an_update_that_cannot_be_stored_changes_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    provision(tmp_path)
    who = Identity(str(tmp_path))

    def full(path: str, data: bytes) -> None:
        raise OSError(28)

    monkeypatch.setattr(durable, "replace", full)
    with pytest.raises(OSError, match="28"):
        who.apply(1, name="two", key=(1, bytes(32)))
    assert (who.down, who.name, who.generation) == (0, "reader one", 0)


def test_a_reader_never_provisioned_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="Enrol it"):
        Identity(str(tmp_path))


@pytest.mark.parametrize(
    "state",
    [
        {1: b"short"}, {1: "reader-1"}, {2: []},
        {2: [[0, KEY], [1, KEY], [2, KEY]]}, {2: [[0, b"short"]]}, {2: [[-1, KEY]]},
        {2: [0, KEY]}, {2: [[True, KEY]]}, {3: 5}, {3: "x" * 65}, {4: -1}, {4: None}, {9: 1}, {5: "late"}, {6: 1},
    ],
)  # fmt: skip
def test_what_is_no_identity_is_refused(tmp_path: Path, state: dict[int, Any]) -> None:
    provision(tmp_path, state=state)
    with pytest.raises(IdentityError, match="Load it again"):
        Identity(str(tmp_path))


@pytest.mark.parametrize("data", [b"", b"\xff", cbor2.dumps([1]), b"\xa0"])
def test_other_bytes_are_no_identity(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "identity.cbor").write_bytes(data)
    with pytest.raises(IdentityError, match="Load it again"):
        Identity(str(tmp_path))
