"""The optics that the enclosure makes are those that firmware and bench take for granted."""

from dataclasses import replace
from pathlib import Path

import pytest

from enclosure import bought, strip
from enclosure.assembly import Piece
from enclosure.assumed import Assumed, assumed
from enclosure.dimensions import Dimensions
from enclosure.optics import budget, disagreements, page
from reader import assays

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def taken() -> Assumed:
    return assumed()


def solid(pieces: list[Piece], name: str):
    return next(piece for piece in pieces if piece.name == name).solid


def test_optics_firmware_and_bench_agree(design: Dimensions, taken: Assumed):
    assert disagreements(design, taken) == []


def test_the_firmwares_micrometres_a_pixel_are_what_the_solids_image(pieces: list[Piece], design: Dimensions):
    """From the built parts and not from the table: membrane, lens and array as they stand above each other."""
    membrane = solid(pieces, "membrane").bounding_box().max.Z
    lens = solid(pieces, "lens").bounding_box().center().Z
    array = solid(pieces, "array").bounding_box().min.Z
    pixel_um = 63.5 * (lens - membrane) / (array - lens)
    assert pixel_um == pytest.approx(assays.PIXEL_UM, abs=assays.PIXEL_UM / 2 / assays.PIXELS)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"lens_to_array": 12.2}, "A pixel sees"),
        ({"membrane_to_lens": 24.2}, "The array sees"),
        ({"pixel_pitch": 0.125}, "A pixel sees"),
        ({"array_pixels": 256}, "256 pixels"),
        ({"window_length": 14.0}, "The cassette's window"),
        ({"membrane_tolerance": 0.5}, "out of its search"),
        ({"lens_focal": 7.0}, "blurred"),
    ],
)
def test_optics_that_disagree_are_named(design: Dimensions, taken: Assumed, wrong: dict[str, float], says: str):
    assert any(says in sentence for sentence in disagreements(replace(design, **wrong), taken))


def test_the_lens_is_in_focus_to_a_tenth_of_a_pixel(design: Dimensions, taken: Assumed):
    b = budget(design, taken)
    assert b.defocus_blur_um < b.pixel_um / 10
    assert b.focal_needed_mm == pytest.approx(b.lens_focal_mm, rel=0.001)


def test_the_tower_does_not_cut_into_the_field_of_view(pieces: list[Piece], design: Dimensions):
    x, y = design.optical_x, design.cassette_middle
    low, high = design.membrane_z + 0.02, design.lens_z - design.lens_length / 2
    edge = 0.2
    seen = strip.taper(
        strip.rectangle((x, y), strip.field(design, low), edge, low),
        strip.rectangle((x, y), strip.field(design, high), edge + 0.8, high),
    )
    for name in ("tower", "cassette", "tray", "shell"):
        assert (seen & solid(pieces, name)).volume < 1e-3, name


def test_the_strip_lamps_light_both_ends_of_the_window(pieces: list[Piece], design: Dimensions):
    for side in (-1, 1):
        reach = design.lamp_reach * 0.5**0.5
        tip = (design.optical_x, design.cassette_middle + side * (reach - 0.2), design.membrane_z + reach - 0.2)
        x0, x1 = bought.window_x(design)
        for end in (x0 + 1, design.optical_x, x1 - 1):
            ray = _thread(tip, (end, design.cassette_middle, design.membrane_z + 0.05))
            for name in ("tower", "cassette"):
                assert (ray & solid(pieces, name)).volume < 1e-4, (side, end, name)


def _thread(start: tuple[float, float, float], end: tuple[float, float, float]):
    half = 0.02
    lower = strip.rectangle((end[0], end[1]), half, half, end[2])
    return strip.taper(lower, strip.rectangle((start[0], start[1]), half, half, start[2]))


def test_the_page_is_what_the_dimensions_make(design: Dimensions, taken: Assumed):
    assert (DOCS / "optics.md").read_text(encoding="utf-8") == page(design, taken)
