"""Shut, the reader is dark inside; a way in is found."""

from dataclasses import replace

import pytest

from enclosure.assembly import Piece, assembly, opened
from enclosure.dimensions import Dimensions
from enclosure.light import leaks


@pytest.mark.parametrize("seed", [1, 2])
def test_no_straight_line_leads_from_outside_to_what_measures_or_into_the_bay(
    pieces: list[Piece], design: Dimensions, seed: int
):
    assert leaks(pieces, design, rays=1500, seed=seed) == []


def test_a_lid_that_is_not_quite_shut_is_found(pieces: list[Piece], design: Dimensions):
    assert {leak.place for leak in leaks(opened(pieces, design, 8), design)} == {"bay"}


def test_a_reader_without_its_light_trap_is_found(design: Dimensions):
    flat = replace(design, rim_height=0.0)
    assert {leak.place for leak in leaks(assembly(flat), flat)} == {"bay"}


def test_an_array_without_its_tower_is_seen_through_the_windows(pieces: list[Piece], design: Dimensions):
    bare = [piece for piece in pieces if piece.name != "tower"]
    assert {"array", "membrane"} <= {leak.place for leak in leaks(bare, design)}


def test_wells_without_their_carrier_are_seen_when_the_lid_is_open(pieces: list[Piece], design: Dimensions):
    bare = [piece for piece in opened(pieces, design, 100) if piece.name not in {"carrier", "block", "sensor plate"}]
    assert {"well sensor 1", "well sensor 2"} <= {leak.place for leak in leaks(bare, design)}
