"""The reader as it is designed, built once."""

import pytest

from enclosure.assembly import Piece, assembly
from enclosure.dimensions import Dimensions


@pytest.fixture(scope="session")
def design() -> Dimensions:
    return Dimensions()


@pytest.fixture(scope="session")
def pieces(design: Dimensions) -> list[Piece]:
    return assembly(design)
