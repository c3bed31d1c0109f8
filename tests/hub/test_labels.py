"""Labels: every code is new, is taken by the reader's scanner and the form, and is what its QR code says."""

import random
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hub import specimens
from hub.labels import SHEET_MAX, label, labels

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def test_a_sheet_has_as_many_labels_as_were_asked_for_each_with_its_own_code():
    made = labels(SHEET_MAX)
    assert len({one.code for one in made}) == SHEET_MAX
    for one in made:
        assert specimens.usable(one.code) == one.code
        assert re.fullmatch(r"S-\w{5}-\w{5}-\w", one.code)
        assert specimens.SHORTEST <= len(one.code) <= specimens.LONGEST
    for wrong in (0, SHEET_MAX + 1):
        with pytest.raises(ValueError, match="labels at a time"):
            labels(wrong)


def test_a_code_that_came_twice_is_not_printed_twice():
    codes = iter(["S-7KQ2M-94XTB-M"] * 3 + ["lab 1", "lab 2"])
    assert [one.code for one in labels(3, lambda: next(codes))] == ["S-7KQ2M-94XTB-M", "lab 1", "lab 2"]


def test_one_wrong_character_and_two_that_changed_places_are_always_noticed():
    chance = random.Random(5)
    code = specimens.new_code(chance.choice)
    at = [place for place, character in enumerate(code) if place > 1 and character != "-"]
    wrong = {code[:place] + other + code[place + 1 :] for place in at for other in specimens.ALPHABET}
    for one in at:
        for two in at:
            swapped = list(code)
            swapped[one], swapped[two] = swapped[two], swapped[one]
            wrong.add("".join(swapped))
    wrong.discard(code)
    assert {_refusal(one) for one in wrong} == {"specimen-mistyped"}


def _refusal(code):
    try:
        specimens.usable(code)
    except specimens.NotASpecimen as error:
        return error.code
    return "taken"


def test_a_label_is_one_drawing_with_the_code_in_words_and_nothing_that_runs():
    svg = label("S-7KQ2M-94XTB-M")
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.attrib["aria-label"] == "Specimen S-7KQ2M-94XTB-M"
    assert "".join(text.text or "" for text in root.iter(f"{SVG}text")) == "S-7KQ2M-94XTB-M"
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {"svg", "rect", "path", "text"}
    assert "href" not in svg
    with pytest.raises(specimens.NotASpecimen):
        label("OPKIT1")
    ElementTree.fromstring(label("a<b>&\"' 1"))


def test_the_qr_code_says_the_code():
    from tests.server.accounts import qr

    # Small letters, because that reader of codes knows only the mode that they are written in.
    drawn = ElementTree.fromstring(label("lab-00017/x")).find(f"{SVG}path")
    assert drawn is not None
    dark = {(int(column), int(row)) for column, row in re.findall(r"M(\d+) (\d+)h1v1h-1z", drawn.attrib["d"])}
    side = max(max(place) for place in dark) + 1 - 4
    assert min(min(place) for place in dark) == 4, "the margin is white"
    assert qr.text([[(x + 4, y + 4) in dark for x in range(side)] for y in range(side)]) == "lab-00017/x"


def test_the_form_and_the_readers_scanner_agree_on_what_a_specimen_code_is(monkeypatch):
    kind_of = _kind_of()
    for code in (
        "abcd", "abc", "x" * 32, "x" * 33, "OPKIT1", "OPK", "OP" + "A" * 14, "OP" + "A" * 15, "OPkit1", "]d2x",
        "(01)x", "0102000000000015", "01020000000000", "S-7KQ2M-94XTB-M", "a\x1db", "010200000000001", "op-17", "OP 1",
    ):  # fmt: skip
        try:
            ours = bool(specimens.usable(code))
        except specimens.NotASpecimen:
            ours = False
        assert ours == (kind_of(code) == 3), code


def _kind_of():
    """The reader's own function, taken out of its module, which only runs under MicroPython."""
    import ast

    source = (ROOT / "firmware" / "reader" / "identify.py").read_text()
    wanted = {"kind_of", "_capitals_and_digits"}
    tree = ast.parse(source)
    body = [
        node
        for node in tree.body
        if (isinstance(node, ast.FunctionDef) and node.name in wanted)
        or (isinstance(node, ast.Assign) and getattr(node.value, "func", None) is not None)
    ]
    space = {"const": lambda value: value}
    exec(compile(ast.Module(body, []), "identify.py", "exec"), space)
    return space["kind_of"]
