"""Readers as models and a radio at memory speed, for what needs thousands of records or hundreds of runs of the real
hub: the protocol and its cryptography are real, airtime and flash are not.

The readers stand in the bench's process (`reader.py` behind `air.py`); the hub's process reaches them by a bleak
backend (`backend.py`), a plug-in like any other radio: `install(folder)` makes it one for processes that have `folder`
on PYTHONPATH.
"""

from pathlib import Path

_ENTRY = "[doorstep.radios]\nmodelled = emulator.modelled.backend:backends\n"


def install(folder: Path) -> None:
    """Make DOORSTEP_HUB_RADIO=modelled:PORT known to every process with `folder` on its PYTHONPATH."""
    about = folder / "doorstep_modelled_radio-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: doorstep-modelled-radio\nVersion: 1\n")
    (about / "entry_points.txt").write_text(_ENTRY)
