"""What the firmware and the bench take for granted about the strip's optics, read from them and not repeated here."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from emulator import physics
from reader import assays

PACKS = Path(__file__).parents[3] / "firmware" / "packs"


@dataclass(frozen=True)
class Assumed:
    """`reader.assays` and its packs, and `emulator.physics`."""

    pixel_um: int
    pixels: int
    bench_pixels: int
    bench_window_mm: float
    narrowest_line_um: int
    farthest_apart_um: int  # of a test line from its control line
    outermost_um: int  # of a line from the window's nearer edge
    apart_tolerance_um: int  # how far the reader looks for a test line about its place
    seating_um: int  # how far the reader looks for the control line, the least of all assays


def assumed() -> Assumed:
    """Read them all."""
    from reader import strip

    packs = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(PACKS.glob("*.toml"))]
    strips = [pack for pack in packs if pack["kind"] == "strip"]
    window = assays.PIXELS * assays.PIXEL_UM
    lines = [um for pack in strips for um in (*pack["test_um"], pack["control_um"])]
    return Assumed(
        pixel_um=assays.PIXEL_UM,
        pixels=assays.PIXELS,
        bench_pixels=physics.PIXELS,
        bench_window_mm=physics.WINDOW_MM,
        narrowest_line_um=min(pack["line_um"] for pack in strips),
        farthest_apart_um=max(abs(um - pack["control_um"]) for pack in strips for um in pack["test_um"]),
        outermost_um=min(min(um, window - um) for um in lines),
        apart_tolerance_um=strip.TEST_SEARCH_UM,
        seating_um=min(pack["search_um"] for pack in strips),
    )
