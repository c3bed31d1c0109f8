"""The lists of operators and recalls: what they refuse, what is no list, and what damage to them comes to."""

from pathlib import Path
from typing import Any

import pytest

from reader import lists, wire

TODAY = 20_779
GTIN = "02000000000015"


def keep(root: Path, kind: int, rows: Any) -> None:
    content = lists.encode(kind, rows)
    assert content is not None
    lists.keep(str(root), kind, content)


def test_without_a_list_anybody_may_test_and_with_one_only_who_is_on_it_and_in_time(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert not lists.badge_needed(root)
    assert lists.refused_badge(root, "OPANY", TODAY) is None
    keep(tmp_path, wire.DOWN_OPERATORS, [["OPKIT1", TODAY], ["OPKIT2", None], ["OPKIT3", TODAY - 1]])
    assert lists.badge_needed(root)
    refused = {badge: lists.refused_badge(root, badge, TODAY) for badge in ("OPKIT1", "OPKIT2", "OPKIT3", "OPKIT4", "")}
    assert refused == {
        "OPKIT1": None,
        "OPKIT2": None,
        "OPKIT3": "not certified",
        "OPKIT4": "not certified",
        "": "not certified",
    }
    assert lists.refused_badge(root, "OPKIT1", None) == "clock unset"
    assert lists.refused_badge(root, "OPKIT2", None) is None


def test_a_list_replaces_the_one_before_and_an_empty_one_lifts_it_so_that_no_badge_is_needed(tmp_path: Path) -> None:
    keep(tmp_path, wire.DOWN_OPERATORS, [["OPKIT1", None]])
    keep(tmp_path, wire.DOWN_OPERATORS, [["OPKIT2", None]])
    assert lists.refused_badge(str(tmp_path), "OPKIT1", TODAY) == "not certified"
    keep(tmp_path, wire.DOWN_OPERATORS, [])
    assert not lists.badge_needed(str(tmp_path))
    assert lists.refused_badge(str(tmp_path), "OPKIT3", TODAY) is None


def test_a_recall_names_one_lot_or_every_lot_and_an_empty_list_lifts_them(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert not lists.recalled(root, GTIN, "L1")
    keep(tmp_path, wire.DOWN_RECALLS, [[GTIN, "L1"], ["02000000000022", None]])
    assert lists.recalled(root, GTIN, "L1")
    assert not lists.recalled(root, GTIN, "L2")
    assert not lists.recalled(root, GTIN, None)
    assert lists.recalled(root, "02000000000022", "any")
    assert lists.recalled(root, "02000000000022", None)
    keep(tmp_path, wire.DOWN_RECALLS, [])
    assert not lists.recalled(root, GTIN, "L1")


def test_one_damaged_copy_changes_nothing_and_two_are_told_rather_than_taken_for_no_list(tmp_path: Path) -> None:
    keep(tmp_path, wire.DOWN_OPERATORS, [["OPKIT1", None]])
    (tmp_path / "operators.a").write_bytes(b"rotten")
    assert lists.refused_badge(str(tmp_path), "OPKIT1", TODAY) is None
    (tmp_path / "spare" / "operators.b").write_bytes(b"rotten")
    with pytest.raises(lists.ListDamaged):
        lists.refused_badge(str(tmp_path), "OPKIT1", TODAY)
    assert lists.badge_needed(str(tmp_path)), "what is not known is not taken for lifted"


@pytest.mark.parametrize("back", ["recalls.a", "spare/recalls.b"])
def test_a_folder_that_goes_back_in_time_does_not_bring_a_list_of_the_past_back(tmp_path: Path, back: str) -> None:
    root = str(tmp_path)
    keep(tmp_path, wire.DOWN_RECALLS, [])
    before = (tmp_path / back).read_bytes()
    keep(tmp_path, wire.DOWN_RECALLS, [[GTIN, "L1"]])
    (tmp_path / back).write_bytes(before)
    assert lists.recalled(root, GTIN, "L1")
    keep(tmp_path, wire.DOWN_RECALLS, [[GTIN, "L2"]])
    assert lists.recalled(root, GTIN, "L2")
    assert not lists.recalled(root, GTIN, "L1")


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (wire.DOWN_OPERATORS, None),
        (wire.DOWN_OPERATORS, {}),
        (wire.DOWN_OPERATORS, [["OP", None]] * 129),
        (wire.DOWN_OPERATORS, [["OP" * 9, None]]),
        (wire.DOWN_OPERATORS, [["", None]]),
        (wire.DOWN_OPERATORS, [["OPKIT1"]]),
        (wire.DOWN_OPERATORS, [["OPKIT1", -1]]),
        (wire.DOWN_OPERATORS, [["OPKIT1", True]]),
        (wire.DOWN_OPERATORS, [["OPKIT1", 2**32]]),
        (wire.DOWN_OPERATORS, [[7, None]]),
        (wire.DOWN_RECALLS, [["123", None]]),
        (wire.DOWN_RECALLS, [[GTIN, 5]]),
        (wire.DOWN_RECALLS, [[GTIN, "x" * 65]]),
        (wire.DOWN_RECALLS, [GTIN]),
    ],
)
def test_what_is_no_list_of_the_protocol_is_not_kept(kind: int, rows: Any) -> None:
    assert lists.encode(kind, rows) is None
