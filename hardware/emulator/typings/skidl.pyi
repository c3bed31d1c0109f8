"""The part of SKiDL 3.0.0 that the board uses; SKiDL has no types and is not in the main environment."""

import logging
from collections.abc import Sequence

SKIDL: str
NETLIST: str
POWER: int

class _Types:
    PASSIVE: object
    INPUT: object
    OUTPUT: object
    BIDIR: object
    OPENCOLL: object
    PWRIN: object
    PWROUT: object
    NOCONNECT: object

class Pin:
    types: type[_Types]
    num: str
    name: str
    part: Part
    def __init__(self, *, num: str, name: str, func: object) -> None: ...

class Net:
    name: str
    drive: int
    pins: list[Pin]
    def __init__(self, name: str, *, circuit: Circuit) -> None: ...
    def connect(self, *pins: Pin) -> Net: ...

class Part:
    ref: str
    name: str
    fields: dict[str, str]
    def __init__(
        self,
        *,
        name: str,
        ref: str,
        tag: str,
        value: str,
        footprint: str,
        tool: str,
        dest: str,
        circuit: Circuit,
        pins: Sequence[Pin],
    ) -> None: ...
    def __getitem__(self, pin: str) -> Pin: ...

class Circuit:
    parts: list[Part]
    nets: list[Net]
    NC: Net
    def ERC(self) -> None: ...
    def get_nets(self) -> list[Net]: ...

erc_logger: logging.Logger
