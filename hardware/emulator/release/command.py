"""`doorstep release`: build the image that readers update to, look into one, and say what everything is made of."""

import hashlib
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

FAILED, USAGE = 1, 2

app = typer.Typer(help="Build a release.", no_args_is_help=True, add_completion=False)

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files; made if need be.")]


@app.command()
def build(
    out: Out,
    follows: Annotated[
        int, typer.Option("--from", metavar="N", help="The least release that it may follow.", min=0, max=2**32 - 1)
    ] = 1,
    firmware: Annotated[
        Path | None, typer.Option("--firmware", metavar="DIR", help="Firmware of another checkout.")
    ] = None,
) -> None:
    """Write the image of the firmware as it stands, and print its SHA-256.

    The same source makes the same bytes, so that whoever builds it again can tell that an image holds nothing else.
    """
    from emulator.image import ImageError
    from emulator.release import making
    from emulator.release.manifest import ManifestRefused, read
    from emulator.wiring import FIRMWARE

    try:
        named, data = making.make(firmware or FIRMWARE, follows)
        made = read(data)
        making.keep(out, named.file, data)
    except (ImageError, ManifestRefused, making.NoRelease) as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{out} cannot be written: {error.strerror}.")
    print(f"{hashlib.sha256(data).hexdigest()}  {named.file}")
    said = f"Image {made.id.hex()}: release {named.release} ({named.version}) for {named.model}"
    print(f"{said}, {len(made.content)} files, {len(data)} bytes.", file=sys.stderr)


@app.command()
def show(file: Annotated[Path, typer.Argument(metavar="FILE", help="An image.")]) -> None:
    """Check an image and print its manifest."""
    from emulator.release.manifest import ManifestRefused, read
    from reader import wire

    try:
        with file.open("rb") as opened:
            image = read(opened.read(wire.IMAGE_MAX + 1))
    except OSError as error:
        _stop(f"{file} cannot be read: {error.strerror}.", USAGE)
    except ManifestRefused as error:
        _stop(f"{file} is no image of a release. {error}")
    print(image.text.decode("ascii"), end="")
    print(f"Image {image.id.hex()}; every file is as its hash says.", file=sys.stderr)


@app.command()
def sbom(out: Out) -> None:
    """Write the bills of materials of firmware, hub and server, CycloneDX 1.6 as JSON, and print their SHA-256."""
    from emulator.image import ImageError
    from emulator.release import making, materials
    from emulator.release.distributions import NoBill
    from emulator.wiring import FIRMWARE

    try:
        bills = materials.bills(FIRMWARE.parent)
        for name, data in bills.items():
            making.keep(out, name, data)
    except (ImageError, NoBill, making.NoRelease) as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{out} cannot be written: {error.strerror}.")
    for name, data in bills.items():
        print(f"{hashlib.sha256(data).hexdigest()}  {name}")


def _stop(sentence: str, status: int = FAILED) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(status)
