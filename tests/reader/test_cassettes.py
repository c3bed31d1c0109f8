"""No cassette is used twice: the last 4,096 are known, through power cuts and whatever else was kept meanwhile."""

from pathlib import Path

import pytest

from reader import cassettes, durable


def key(serial: int) -> bytes:
    return cassettes.key("02000000000015", "LOT7", f"{serial:06d}")


def test_a_cassette_is_known_by_gtin_lot_and_serial_together(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert not cassettes.used(root, key(1))
    cassettes.mark(root, cassettes.key("02000000000015", "LOT7", "1"))
    assert cassettes.used(root, cassettes.key("02000000000015", "LOT7", "1"))
    for other in (("02000000000022", "LOT7", "1"), ("02000000000015", "LOT8", "1"), ("02000000000015", "LOT", "71")):
        assert not cassettes.used(root, cassettes.key(*other))


def test_the_last_4096_are_known_and_the_ring_does_not_grow(tmp_path: Path) -> None:
    root, folder = str(tmp_path), tmp_path / "used"
    for serial in range(4700):
        cassettes.mark(root, key(serial))
    assert all(cassettes.used(root, key(serial)) for serial in (4700 - 4096, 1000, 2048, 4607, 4608, 4699))
    assert not cassettes.used(root, key(0))
    for ring in (folder, tmp_path / "used-too"):
        assert sum(file.stat().st_size for file in ring.iterdir()) <= 9 * 512 * 8


def test_marking_the_same_cassette_again_takes_no_room(tmp_path: Path) -> None:
    root, folder = str(tmp_path), tmp_path / "used"
    for _ in range(3):
        cassettes.mark(root, key(5))
    assert [file.stat().st_size for file in folder.iterdir()] == [8]


@pytest.mark.parametrize("back", ["used", "used-too"])
def test_a_folder_that_went_back_in_time_frees_no_cassette_and_learns_it_again(tmp_path: Path, back: str) -> None:
    root = str(tmp_path)
    cassettes.mark(root, key(1))
    [file] = (tmp_path / back).iterdir()
    before = file.read_bytes()
    cassettes.mark(root, key(2))
    file.write_bytes(before)
    assert cassettes.used(root, key(2))
    cassettes.mark(root, key(2))
    assert file.read_bytes() == key(1) + key(2)


def test_half_a_hash_hides_none_that_comes_after_it(tmp_path: Path) -> None:
    root, folder = str(tmp_path), tmp_path / "used"
    cassettes.mark(root, key(1))
    [file] = folder.iterdir()
    file.write_bytes(file.read_bytes() + b"\x01\x02\x03")
    cassettes.mark(root, key(2))
    assert cassettes.used(root, key(1))
    assert cassettes.used(root, key(2))


def test_bytes_that_lie_across_two_hashes_are_no_cassette(tmp_path: Path) -> None:
    root = str(tmp_path)
    cassettes.mark(root, b"abcdefgh")
    cassettes.mark(root, b"ijklmnop")
    assert not cassettes.used(root, b"efghijkl")


def test_a_flash_that_does_not_take_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: object) -> None:
        raise OSError(5)

    monkeypatch.setattr(durable, "sync", fail)
    with pytest.raises(OSError, match="5"):
        cassettes.mark(str(tmp_path), key(1))
