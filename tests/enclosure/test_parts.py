"""The parts go together, the lid turns, cassette and tubes come out, and the antenna has its air."""

from dataclasses import replace

import pytest

from circuit.catalogue.optics import BLUE, GREEN, HEATER
from circuit.catalogue.people import BUZZER
from enclosure.assembly import Piece, assembly, moved, opened
from enclosure.clashes import clashes, in_keep_out
from enclosure.dimensions import Dimensions

ON_LID = {"lid", "lid magnet"}


def test_no_two_parts_claim_the_same_space_with_the_lid_shut_and_a_cassette_in(pieces: list[Piece]):
    assert clashes(pieces) == []


@pytest.mark.parametrize("degrees", [2, 10, 25, 45, 70, 100])
def test_the_lid_turns_open_without_touching_anything(pieces: list[Piece], design: Dimensions, degrees: int):
    assert degrees <= design.lid_opens
    assert clashes(opened(pieces, design, degrees), ON_LID) == []


@pytest.mark.parametrize("out", [1, 10, 25, 45, 70])
def test_a_cassette_slides_out_when_the_lid_is_open(pieces: list[Piece], design: Dimensions, out: int):
    cassette = {"cassette", "membrane"}
    lid_open = opened(pieces, design, design.lid_opens)
    assert clashes([moved(p, x=-out) if p.name in cassette else p for p in lid_open], cassette) == []


@pytest.mark.parametrize("up", [1, 5, 12, 25])
def test_tubes_lift_out_when_the_lid_is_open(pieces: list[Piece], design: Dimensions, up: int):
    tubes = {"tube 1", "tube 2"}
    lid_open = opened(pieces, design, design.lid_opens)
    assert clashes([moved(p, z=up) if p.name in tubes else p for p in lid_open], tubes) == []


@pytest.mark.parametrize("up", [1, 5, 20, 60])
def test_the_shell_comes_down_over_what_is_screwed_to_the_base(pieces: list[Piece], up: int):
    roof = {"shell", "panel", "screen", "screen pane", "scanner", "scanner pane", "scanner clamp"}
    roof |= {"button A", "button B", "switch A", "switch B"}
    without_lid = [p for p in pieces if p.name not in {*ON_LID, "hinge pin"}]
    lifted = [moved(p, z=up) if p.name in roof else p for p in without_lid]
    between = [c for c in clashes(lifted, roof) if (c.one in roof) != (c.other in roof)]
    assert between == []


@pytest.mark.parametrize(
    ("wrong", "pair"),
    [
        ({"head_height": 50.0}, {"array board", "shell"}),
        ({"cell_length": 76.0}, {"cell", "main board"}),
        ({"screen_board": 60.0}, {"screen", "shell"}),
        ({"cell_diameter": 24.0}, {"cell", "shell"}),
        ({"lid_switch_x": 10.0}, {"lid switch", "base"}),
        ({"tube_length": 21.0}, {"tube 1", "lid"}),
        ({"tube_slack": -0.1}, {"tube 1", "block"}),
        ({"buzzer_height": 45.0}, {"buzzer", "panel"}),
    ],
)
def test_a_wrong_dimension_is_found(design: Dimensions, wrong: dict[str, float], pair: set[str]):
    found = clashes(assembly(replace(design, **wrong)))
    assert any({c.one, c.other} == pair for c in found), found


def test_a_lid_that_binds_is_found(design: Dimensions):
    bound = replace(design, hinge_out=1.0)
    assert clashes(opened(assembly(bound), bound, 45), ON_LID)


def test_every_part_is_one_valid_solid(pieces: list[Piece]):
    bad = [p.name for p in pieces if not p.solid.is_valid or len(p.solid.solids()) != 1 or p.solid.volume <= 0]
    assert bad == []


def test_the_antenna_has_air_on_all_sides(pieces: list[Piece], design: Dimensions):
    assert in_keep_out(pieces, design) == []


def test_metal_beside_the_antenna_is_found(design: Dimensions):
    crowded = replace(design, cell_x=65.0, cell_y=70.0)
    assert {clash.one for clash in in_keep_out(assembly(crowded), crowded)} == {"cell"}


def test_screws_hold_and_do_not_meet_the_bottom_of_their_holes(design: Dimensions):
    for screws in design.screws:
        assert 3.0 <= screws.hold < screws.hole, screws


def test_the_block_weighs_what_the_bench_heats(pieces: list[Piece]):
    block = next(piece for piece in pieces if piece.name == "block")
    grams = block.solid.volume * 2.70e-3
    assert grams == pytest.approx(9.0, abs=0.9)


def test_the_scanner_sees_past_its_window(design: Dimensions):
    """GM65-S: 35 degrees across, 28 high, from a lens in the middle of its face, behind the wall."""
    deep = design.wall + 0.2
    assert design.scanner_window_x / 2 > 3.0 + deep * 0.315
    assert design.scanner_window_z / 2 > 3.0 + deep * 0.249


def test_what_the_circuit_buys_is_what_the_enclosure_has_room_for(design: Dimensions):
    assert f"{design.heater_z:g} by {design.heater_y:g} mm" in HEATER.datasheet
    assert f"{design.buzzer_side:g} by {design.buzzer_side:g} mm" in BUZZER.what
    assert all(f"{design.lamp_diameter:g} mm" in lamp.what for lamp in (GREEN, BLUE))
