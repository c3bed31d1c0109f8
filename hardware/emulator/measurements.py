"""Traces measured by others that strips and tubes on the bench can replay.

They are read from the folder named by DOORSTEP_DATA, else from `../shared/data` beside the repository, and never
copied in. Sources are in that folder's README: a photodiode strip reader's counts, and real-time isothermal curves.
"""

import csv
import os
from pathlib import Path

_FILE_MAX = 4 * 1024 * 1024
_COUNTS_FULL = 255.0  # the strip reader's counts are of 8 bits

# Column of time and seconds in its unit.
_TIME = {"LAMP": ("Time", 60.0), "C17": ("C17.t", 1.0), "C67": ("t.C67", 1.0)}


def folder() -> Path:
    """Where the measurements are looked for."""
    named = os.environ.get("DOORSTEP_DATA")
    if named:
        return Path(named)
    return Path(__file__).resolve().parents[2].parent / "shared" / "data"


class Measurements:
    """The folder's files, read when asked for."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or folder()

    @property
    def present(self) -> bool:
        """Whether the files are at hand."""
        return (self.path / "lateral-flow" / "taltech.csv").is_file() and (self.path / "amplification").is_dir()

    def darkening(self, group: str, run: int) -> float:
        """Mean darkening of one strip's zones, 0 to 1 of white; KeyError for a row that is not there."""
        for row in self._rows("lateral-flow/taltech.csv"):
            if row["group"] == group and int(row["run"]) == run:
                zones = [float(row[name]) for name in ("d1", "d2", "d3", "d4")]
                return sum(zones) / len(zones) / _COUNTS_FULL
        raise KeyError(f"taltech.csv has no {group} run {run}")

    def curve(self, file: str, column: str) -> list[tuple[float, float]]:
        """(seconds, value) of one curve, in order; KeyError for a column that is not there."""
        time, seconds = _TIME[file]
        points = [
            (float(row[time]) * seconds, float(row[column]))
            for row in self._rows(f"amplification/{file}.csv")
            if row[column] not in ("", "NA")
        ]
        return sorted(points)

    def _rows(self, name: str) -> list[dict[str, str]]:
        path = self.path / name
        if path.stat().st_size > _FILE_MAX:
            raise ValueError(f"{path.name} is over {_FILE_MAX} bytes")
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
