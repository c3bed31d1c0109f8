"""The circuit that is kept, and how a copy of it is broken."""

import pytest

from circuit import outputs
from circuit.netlist import Netlist


@pytest.fixture(scope="session")
def netlist() -> Netlist:
    return outputs.kept()
