"""What is printed can be printed: closed, thick enough, and without supports."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from build123d import export_stl

from enclosure.assembly import Made, Piece, assembly
from enclosure.dimensions import Dimensions
from enclosure.mesh import Mesh, mesh
from enclosure.pictures import flat
from enclosure.printing import THIN_SHARE, ceilings, thin_share

PRINTED = (
    *("base", "shell", "lid", "tray", "tower", "carrier", "sensor plate", "scanner clamp"),
    *("button A", "button B"),
)
BED = (180.0, 180.0, 180.0)  # mm: a small printer


def part(pieces: list[Piece], name: str) -> Piece:
    return next(piece for piece in pieces if piece.name == name)


def read_stl(path: Path) -> Mesh:
    raw = path.read_bytes()
    count = int.from_bytes(raw[80:84], "little")
    records = np.frombuffer(
        raw, np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("spare", "<u2")]), count, 84
    )
    return Mesh(records["corners"].astype(np.float64))


def test_the_list_of_printed_parts_is_the_designs(pieces: list[Piece]):
    assert {piece.name for piece in pieces if piece.made is Made.PRINTED} == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_the_stl_is_closed_and_holds_the_parts_volume(pieces: list[Piece], name: str, tmp_path: Path):
    piece = part(pieces, name)
    path = tmp_path / "part.stl"
    export_stl(flat(piece).solid, path)
    surface = read_stl(path)
    assert surface.open_edges() == 0
    a, b, c = surface.corners[:, 0], surface.corners[:, 1], surface.corners[:, 2]
    volume = float(np.einsum("nk,nk->n", a, np.cross(b, c)).sum() / 6)
    assert volume == pytest.approx(piece.solid.volume, rel=0.01)


def test_an_open_surface_is_found(pieces: list[Piece]):
    whole = mesh(part(pieces, "tray").solid)
    assert Mesh(whole.corners[1:]).open_edges() > 0


@pytest.mark.parametrize("name", PRINTED)
def test_walls_are_thick_enough(pieces: list[Piece], design: Dimensions, name: str):
    assert thin_share(part(pieces, name), design) < THIN_SHARE


def test_a_thin_wall_is_found(design: Dimensions):
    thin = replace(design, wall=1.0)
    assert thin_share(part(assembly(thin), "lid"), thin) > THIN_SHARE


@pytest.mark.parametrize("name", PRINTED)
def test_nothing_hangs_further_than_a_printer_bridges(pieces: list[Piece], design: Dimensions, name: str):
    assert [ceiling for ceiling in ceilings(part(pieces, name)) if ceiling.span > design.widest_bridge] == []


def test_a_part_that_lies_the_wrong_way_up_hangs(pieces: list[Piece], design: Dimensions):
    wrong = replace(part(pieces, "lid"), upside_down=False)
    assert any(ceiling.span > design.widest_bridge for ceiling in ceilings(wrong))


@pytest.mark.parametrize("name", PRINTED)
def test_every_part_fits_a_small_printer(pieces: list[Piece], name: str):
    box = flat(part(pieces, name)).solid.bounding_box()
    assert abs(box.min.Z) < 1e-6
    assert all(size <= most for size, most in zip(box.size, BED, strict=True))
