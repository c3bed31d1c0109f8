"""Makes the source of an image lighter for the reader's heap: the same program, with fewer names kept at run time."""

from collections.abc import Collection, Mapping

from .constants import Folded, FoldError, Result, Value, fold
from .names import shorten

__all__ = ["FoldError", "Folded", "Result", "Value", "fold", "lighten", "shorten"]


def lighten(sources: Mapping[str, str], untouched: Collection[str] = (), public: bool = False) -> dict[str, str]:
    """The texts of `sources` (by path) with constants folded and names shortened; `untouched` files stay as they are.

    `public`: what has no leading underscore is read and called from outside too. Raises FoldError and SyntaxError.
    """
    return shorten(fold(sources, untouched, public).texts, untouched, public)
