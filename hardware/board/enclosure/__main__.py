"""`python -m enclosure`: STEP and STL of every part, and with --pages the pictures and pages in docs/ made anew."""

import argparse
from pathlib import Path

from build123d import Compound, export_step, export_stl

from enclosure import optics
from enclosure.assembly import Made, Piece, assembly
from enclosure.assumed import assumed
from enclosure.clashes import clashes
from enclosure.dimensions import Dimensions
from enclosure.mesh import ANGLE, TOLERANCE
from enclosure.pictures import flat, scenes

ROOT = Path(__file__).parents[3]
COLOURS = 128  # of a picture: few, because it is committed


def main() -> None:
    """Build, refuse what does not go together, and write."""
    parser = argparse.ArgumentParser(prog="python -m enclosure", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "hardware" / "board" / "out", help="where STEP and STL go")
    parser.add_argument("--pages", action="store_true", help="also make docs/optics.md and docs/assembly/*.png")
    asked = parser.parse_args()
    d = Dimensions()
    pieces = assembly(d)
    wrong = [str(clash) for clash in clashes(pieces)] + optics.disagreements(d, assumed())
    if wrong:
        raise SystemExit("The parts do not go together:\n" + "\n".join(wrong))
    write_parts(pieces, asked.out)
    print(f"STEP and STL of the enclosure are in {asked.out}")
    if asked.pages:
        write_pages(pieces, d, ROOT / "docs")
        print("docs/optics.md and the pictures in docs/assembly/ are made")


def write_parts(pieces: list[Piece], folder: Path) -> None:
    """A STEP file of the whole and, of each part that is made, a STEP in place and an STL as it lies on the printer."""
    folder.mkdir(parents=True, exist_ok=True)
    for piece in pieces:
        if piece.made is Made.BOUGHT:
            continue
        name = piece.name.replace(" ", "-").lower()
        export_step(piece.solid, folder / f"{name}.step")
        if piece.made is Made.PRINTED:
            export_stl(flat(piece).solid, folder / f"{name}.stl", tolerance=TOLERANCE, angular_tolerance=ANGLE)
    export_step(Compound(children=[piece.solid for piece in pieces]), folder / "reader.step")


def write_pages(pieces: list[Piece], d: Dimensions, docs: Path) -> None:
    """What is committed: the optics in numbers and the pictures of the guide."""
    (docs / "optics.md").write_text(optics.page(d, assumed()), encoding="utf-8")
    folder = docs / "assembly"
    folder.mkdir(exist_ok=True)
    for name, draw in scenes().items():
        draw(pieces, d).quantize(COLOURS).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
