"""The one name of MicroPython that modules shared with CPython import; the board's own stubs check the reader."""

from typing import TypeVar

_T = TypeVar("_T")

def const(value: _T, /) -> _T: ...
