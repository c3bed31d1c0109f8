"""Keeps the heap small: what only a test needs is loaded for it and dropped after."""

import gc
import sys

# What a test loads, in any order; none of it is needed while the reader waits.
FOR_A_TEST = (
    "amplification",
    "assays",
    "cassettes",
    "copies",
    "curvetest",
    "faults",
    "floats",
    "gs1",
    "heattest",
    "identify",
    "lists",
    "outcome",
    "packrules",
    "packs",
    "profile",
    "quality",
    "quantity",
    "strip",
    "striptest",
)

# What an update loads; see `reader.renewal` and `reader.receiving`.
FOR_AN_UPDATE = ("copies", "manifest", "receiving", "renewal", "slots")


def forget(*names):
    """Drop modules of `reader` from memory; they come back from flash when they are next imported."""
    import reader

    for name in names:
        sys.modules.pop("reader." + name, None)
        if hasattr(reader, name):
            delattr(reader, name)
    gc.collect()
