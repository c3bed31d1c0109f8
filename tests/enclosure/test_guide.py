"""The guide shows every picture that is made, and names every screw and printed part."""

import re
from pathlib import Path

from PIL import Image

from enclosure.__main__ import write_parts
from enclosure.assembly import Made, Piece
from enclosure.dimensions import Dimensions
from enclosure.pictures import scenes

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "assembly.md").read_text(encoding="utf-8")


def test_every_picture_is_shown_described_and_small():
    shown = re.findall(r"!\[([^\]]{20,})\]\(assembly/([\w-]+)\.png\)", GUIDE)
    assert {name for _, name in shown} == set(scenes())
    for _, name in shown:
        path = DOCS / "assembly" / f"{name}.png"
        assert path.stat().st_size < 100_000
        with Image.open(path) as image:
            assert image.width >= 900


def test_a_picture_is_drawn_from_the_model(pieces: list[Piece], design: Dimensions):
    """The committed picture has the colours of its parts; one without a part that it shows differs."""
    draw = scenes()["section-wells"]
    drawn = draw(pieces, design)
    with Image.open(DOCS / "assembly" / "section-wells.png") as committed:
        assert committed.size == drawn.size
    bare = draw([piece for piece in pieces if piece.name != "block"], design)
    assert bare.tobytes() != drawn.tobytes()


def test_every_screw_is_in_the_guide_with_its_length_and_count(design: Dimensions):
    for screws in design.screws:
        size = f"{screws.size.split()[0]} x {screws.length:g}"
        assert re.search(rf"\| {re.escape(screws.what)} \| {screws.count} \| {re.escape(size)}", GUIDE), screws


def test_every_printed_part_is_in_the_guide(pieces: list[Piece]):
    names = {re.sub(r" [AB]$", "", piece.name) for piece in pieces if piece.made is Made.PRINTED}
    missing = [name for name in names if f"| {name} |" not in GUIDE]
    assert missing == []


def test_step_and_stl_are_written_for_what_is_made(pieces: list[Piece], tmp_path: Path):
    write_parts([piece for piece in pieces if piece.name in {"lid", "block", "cell"}], tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["block.step", "lid.step", "lid.stl", "reader.step"]
    assert (tmp_path / "lid.step").read_text(encoding="utf-8").startswith("ISO-10303-21")


def test_the_lens_is_set_where_it_is_in_focus(design: Dimensions):
    seat = design.array_z + design.array_height
    below = seat - (design.lens_z + design.lens_length / 2)
    assert f"its upper face is {below:.1f} mm below the seat" in GUIDE
