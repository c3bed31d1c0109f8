"""The strip's optics by the thin-lens equations, from the dimensions that the enclosure is made from.

magnification m = image distance / object distance        pixel on the membrane = pitch / m
focus: 1 / focal = 1 / object + 1 / image                 blur of a point moved by s = aperture x s / object
"""

import math
from dataclasses import dataclass

from enclosure.assumed import Assumed
from enclosure.dimensions import Dimensions

WAVELENGTH_UM = 0.525  # green LED


@dataclass(frozen=True)
class Budget:
    """Lengths on the membrane; micrometres end in `_um`, millimetres in `_mm`."""

    magnification: float
    pixel_um: float
    field_mm: float
    reading_width_um: float  # across the strip: how high a pixel is
    half_angle_deg: float  # of the outermost ray against the axis
    edge_light: float  # light at the window's edge over that at its middle: cosine to the fourth
    focus_error_um: float  # how far the plane of sharpest image lies from the membrane
    defocus_blur_um: float  # with the membrane in its place
    diffraction_um: float  # diameter of the Airy disc
    depth_of_field_mm: float  # either way until the blur is one pixel
    height_blur_um: float  # at the limit of the membrane's tolerance
    height_shift_um: float  # of the test line that is farthest from its control line, there
    line_pixels: float
    lens_focal_mm: float
    focal_needed_mm: float


def budget(d: Dimensions, assumed: Assumed) -> Budget:
    """Compute all of it."""
    u, v = d.membrane_to_lens, d.lens_to_array
    m = v / u
    pixel = 1000 * d.pixel_pitch / m
    field = d.array_pixels * d.pixel_pitch / m
    sharp_object = 1 / (1 / d.lens_focal - 1 / v)
    error = abs(sharp_object - u)
    blur = 1000 * d.lens_aperture / u
    angle = math.atan(field / 2 / u)
    return Budget(
        magnification=m,
        pixel_um=pixel,
        field_mm=field,
        reading_width_um=1000 * d.pixel_height / m,
        half_angle_deg=math.degrees(angle),
        edge_light=math.cos(angle) ** 4,
        focus_error_um=1000 * error,
        defocus_blur_um=blur * error,
        diffraction_um=2.44 * WAVELENGTH_UM * (d.lens_focal / d.lens_aperture) * (1 + m) / m,
        depth_of_field_mm=pixel / blur,
        height_blur_um=blur * (error + d.membrane_tolerance),
        height_shift_um=assumed.farthest_apart_um * d.membrane_tolerance / u,
        line_pixels=assumed.narrowest_line_um / pixel,
        lens_focal_mm=d.lens_focal,
        focal_needed_mm=1 / (1 / u + 1 / v),
    )


def disagreements(d: Dimensions, assumed: Assumed) -> list[str]:
    """Where the optics do not do what firmware and bench assume, a sentence each."""
    b = budget(d, assumed)
    found: list[str] = []
    if d.array_pixels != assumed.pixels or assumed.pixels != assumed.bench_pixels:
        found.append(
            f"The array has {d.array_pixels} pixels, the firmware {assumed.pixels}, the bench {assumed.bench_pixels}."
        )
    half_pixel = assumed.pixel_um / 2
    if abs(b.pixel_um - assumed.pixel_um) * assumed.pixels > half_pixel:
        found.append(
            f"A pixel sees {b.pixel_um:.2f} µm, the firmware takes {assumed.pixel_um}: over half a pixel at the end."
        )
    if abs(1000 * (b.field_mm - assumed.bench_window_mm)) > half_pixel:
        found.append(f"The array sees {b.field_mm:.3f} mm, the bench shows it {assumed.bench_window_mm} mm.")
    if d.window_length < assumed.bench_window_mm:
        found.append(f"The cassette's window is {d.window_length} mm, the bench shows {assumed.bench_window_mm} mm.")
    if b.height_blur_um > b.pixel_um:
        found.append(f"A membrane at its tolerance is blurred by {b.height_blur_um:.0f} µm, more than a pixel.")
    if b.height_shift_um > assumed.apart_tolerance_um:
        found.append(f"A membrane at its tolerance moves a test line by {b.height_shift_um:.0f} µm out of its search.")
    if b.line_pixels < 4:
        found.append(f"The narrowest line is {b.line_pixels:.1f} pixels wide; its shape needs 4.")
    return found


def page(d: Dimensions, assumed: Assumed) -> str:
    """The budget for people, Markdown."""
    b = budget(d, assumed)
    rows = [
        ("Window on the membrane", f"{b.field_mm:.2f} mm", f"{assumed.bench_window_mm:g} mm in the bench"),
        ("Pixels", f"{d.array_pixels}", f"{assumed.pixels} in the firmware, {assumed.bench_pixels} in the bench"),
        ("Pixel pitch of the array", f"{1000 * d.pixel_pitch:.1f} µm", "TSL1401CL datasheet"),
        ("Pixel along the strip", f"{b.pixel_um:.2f} µm", f"{assumed.pixel_um} µm in the firmware (`TRACE_STEP`)"),
        ("Pixel across the strip", f"{b.reading_width_um:.0f} µm", f"of a membrane {d.window_width:g} mm wide"),
        (
            "Magnification",
            f"{b.magnification:.4f}",
            f"{d.lens_to_array:g} mm image over {d.membrane_to_lens:g} mm object distance",
        ),
        (
            "Focal length in focus",
            f"{b.focal_needed_mm:.3f} mm",
            f"lens of {b.lens_focal_mm:g} mm, f/{d.lens_focal / d.lens_aperture:g}",
        ),
        (
            "Outermost ray",
            f"{b.half_angle_deg:.1f} degrees",
            f"light there {100 * b.edge_light:.0f} % of the middle's; the white reference cancels it",
        ),
        ("Narrowest line", f"{b.line_pixels:.1f} pixels", f"{assumed.narrowest_line_um} µm in the packs"),
        ("Blur in focus", f"{b.defocus_blur_um:.1f} µm", "membrane in its place"),
        ("Diffraction", f"{b.diffraction_um:.0f} µm", f"Airy disc at {1000 * WAVELENGTH_UM:.0f} nm, on the membrane"),
        ("Depth of field", f"± {b.depth_of_field_mm:.2f} mm", "until the blur is one pixel"),
        ("Blur at the height tolerance", f"{b.height_blur_um:.0f} µm", f"membrane ± {d.membrane_tolerance:g} mm"),
        (
            "Test line moved at the tolerance",
            f"{b.height_shift_um:.0f} µm",
            f"search of ± {assumed.apart_tolerance_um} µm about its place",
        ),
        (
            "Play of the cassette in the tray",
            f"± {1000 * d.fit:.0f} µm across",
            f"along the strip the reader searches ± {assumed.seating_um} µm",
        ),
    ]
    limit_mm = assumed.apart_tolerance_um / assumed.farthest_apart_um * d.membrane_to_lens
    lines = [
        "# The strip's optics in numbers",
        "",
        "Made by `make hardware` from `hardware/board/enclosure/dimensions.py`, `firmware/reader/assays.py`,",
        "`firmware/packs/` and `hardware/emulator/physics.py`; a test holds them to each other. A thin lens.",
        "",
        "| what | enclosure | compare |",
        "|---|---|---|",
        *(f"| {what} | {value} | {beside} |" for what, value, beside in rows),
        "",
        f"The tightest of these is how high the membrane lies: {d.membrane_tolerance:g} mm out of its place",
        f"moves a test line that is {assumed.farthest_apart_um / 1000:g} mm from its control line by",
        f"{b.height_shift_um:.0f} µm. The reader looks for it within {assumed.apart_tolerance_um} µm, so a",
        f"cassette whose membrane lies more than ± {limit_mm:.2f} mm from the height in the drawing needs a tray of its own.",
        "Measure ten cassettes of every kind before it is used.",
        "",
        f"The array reads a line {b.reading_width_um:.0f} µm wide along the middle of the strip. It cannot see a fault",
        "of the membrane beside it.",
        "",
    ]
    return "\n".join(lines)
