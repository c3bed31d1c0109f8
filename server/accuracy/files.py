"""The files that `doorstep accuracy` reads: curves, ratings and strip rows, as people and instruments export them.

Delimiters, decimal commas, byte-order marks, missing values and headers are told from the file itself. What cannot be
used is passed over and named in the notes; what would leave nothing, or could be misread, is refused in a sentence.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

from server.accuracy.table import FileError, Table, is_number, number, read_table

Truth = Literal["positive", "negative", "disputed", "unrated"]

# An 8-bit reader's darkest: more is another scale, on which the cut-offs would mean nothing.
COUNTS_MAX = 255

_AXIS = re.compile(r"(^|[^a-z])(t|time|cyc|cycles?|min|minutes?|s|sec|seconds?|h|hours?)([^a-z]|$)", re.IGNORECASE)
_CYCLE = re.compile(r"cyc", re.IGNORECASE)
_VOTES = {
    "y": "y", "yes": "y", "pos": "y", "positive": "y", "n": "n", "no": "n", "neg": "n", "negative": "n",
    "a": "a", "amb": "a", "ambiguous": "a", "": "", "na": "", "nan": "", "n/a": "",
}  # fmt: skip


@dataclass
class Curves:
    """A file of curves. ticks: the axis as whole numbers; ticks_per_unit: of the axis' own unit; missing values NaN."""

    file: str
    axis: str
    ticks: array[int]
    ticks_per_unit: int
    columns: list[tuple[str, array[float]]]
    notes: list[str]


@dataclass(frozen=True)
class Verdict:
    """What the raters said of one curve together: of one mind or not, and what most of them said."""

    unanimous: Truth = "unrated"
    majority: Truth = "unrated"


UNRATED = Verdict()


@dataclass
class Ratings:
    """Verdicts by curve name."""

    verdicts: dict[str, Verdict]
    notes: list[str] = field(default_factory=list[str])


@dataclass
class StripRow:
    """One strip: its name, what is known of it, and the darkening of each zone in 8-bit counts."""

    name: str
    truth: Truth
    zones: list[float]


def read_curves(file: Path) -> Curves:
    """Curves with their axis.

    The first column is the axis. Columns right after it that are named like an axis (time, cycle, …) and rise from row
    to row repeat it and are no curves; of all these, one named as a time is preferred to one named as a cycle. Rows
    without a place on the axis and columns without a number are passed over.
    """
    table = read_table(file, named=lambda rows: not all(is_number(cell) for cell in rows[0]))
    notes = list(table.notes)
    columns = [_column(table, at) for at in range(len(table.header))]
    first = next((at for at, column in enumerate(columns) if any(map(math.isfinite, column))), None)
    if first is None:
        sample = next((cell for row in table.rows for cell in row if cell), "")
        raise FileError(f"{file}: {sample[:40]!r} is not a number. Give the axis, then one curve a column.")
    if first and table.header[first:]:
        notes.append(f"columns without numbers before the axis, passed over: {_named(table.header[:first])}")
    columns, header = columns[first:], table.header[first:]
    columns, kept = _placed(columns)
    if kept < len(table.rows):
        notes.append(f"rows without a place on the axis, passed over: {len(table.rows) - kept}")
    leading = 1
    while leading < len(header) and _AXIS.search(header[leading]) and _rises(columns[leading]):
        leading += 1
    axes = [at for at in range(leading) if _rises(columns[at])]
    if not axes:
        raise FileError(f"{file}: the first column, {header[0]!r}, must be a cycle or time that rises from row to row.")
    axis = next((at for at in axes if _AXIS.search(header[at]) and not _CYCLE.search(header[at])), axes[0])
    notes.insert(0, f"axis: column {header[axis] or '(first)'}")
    again = [header[at] or "(first)" for at in range(leading) if at != axis]
    if again:
        notes.append(f"not curves, but the axis again: {', '.join(again)}")
    curves = list(zip(_unique(header[leading:]), columns[leading:], strict=True))
    empty = [name for name, column in curves if not any(map(math.isfinite, column))]
    if empty:
        notes.append(f"columns without a number, passed over: {_named(empty)}")
        curves = [(name, column) for name, column in curves if name not in set(empty)]
    if not curves:
        raise FileError(f"{file} has an axis but no curve: give one curve a column after it, in numbers.")
    missing = sum(not math.isfinite(value) for _, column in curves for value in column)
    if missing:
        notes.append(f"missing values: {missing} of {len(curves) * kept}")
    ticks, scale = _ticks(columns[axis], file)
    return Curves(file.name, header[axis] or "row", ticks, scale, curves, notes)


def _column(table: Table, at: int) -> array[float]:
    return array("d", [number(row[at]) for row in table.rows])


def _placed(columns: list[array[float]]) -> tuple[list[array[float]], int]:
    """The columns without the rows in which the first has no number, and how many rows are left."""
    places = [row for row, value in enumerate(columns[0]) if math.isfinite(value)]
    if len(places) == len(columns[0]):
        return columns, len(places)
    return [array("d", [column[row] for row in places]) for column in columns], len(places)


def _rises(column: Sequence[float]) -> bool:
    return all(math.isfinite(value) for value in column) and all(after > before for before, after in pairwise(column))


def _ticks(axis: Sequence[float], file: Path) -> tuple[array[int], int]:
    """The axis in whole ticks fine enough to keep its smallest step, and how many make one of its units."""
    span = axis[-1] - axis[0]
    step = min((after - before for before, after in pairwise(axis)), default=1.0)
    scale = 1000
    while step * scale < 10 and span * scale * 10 < 1e9:
        scale *= 10
    while span * scale > 1e9 and scale > 1:
        scale //= 10
    if span * scale > 1e9 or abs(axis[0]) * scale > 1e18:
        raise FileError(f"{file}: the axis spans more than 1e9; give it in seconds, minutes or cycles.")
    return array("q", [round((value - axis[0]) * scale) + round(axis[0] * scale) for value in axis]), scale


def _unique(names: list[str]) -> list[str]:
    """The names, with #2, #3 … after one that came before."""
    seen: Counter[str] = Counter()
    made: list[str] = []
    for place, name in enumerate(names, start=1):
        name = name or f"column {place}"
        seen[name] += 1
        made.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return made


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(name or "(no name)" for name in names[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def mangled(name: str) -> str:
    """A name as R's make.names writes it, whatever wrote it here: other characters become dots, case is dropped."""
    name = re.sub(r"[^a-z0-9]", ".", name.lower())
    return name[1:] if re.match(r"x[0-9.]", name) else name


def read_ratings(file: Path, curves: list[str]) -> Ratings:
    """What raters said of each curve, a column a rater: y, n or a.

    Unanimous y is positive, unanimous n negative, anything else disputed. Columns that hold anything but votes are
    passed over. A file without names, or numbered ones, is taken in the order of the curves, if it is as long.
    """
    table = read_table(file, named=lambda rows: not _all_votes(rows[0][1:]))
    rows = table.rows
    voters = [at for at in range(len(table.header)) if _all_votes([row[at] for row in rows])]
    names = [row[0] for row in rows]
    if set(names) & set(curves) and 0 in voters:  # a curve may be called "a" or "n"
        voters.remove(0)
    if not voters:
        raise FileError(f"{file} has no column of ratings: give y, n or a in one column a rater.")
    passed = [name for at, name in enumerate(table.header) if at and at not in voters]
    notes = list(table.notes)
    notes.append(f"raters: {len(voters)}" + (f"; columns passed over: {_named(passed)}" if passed else ""))
    verdicts = [_verdict([_VOTES[row[at].lower()] for at in voters]) for row in rows]
    numbered = names == [str(place) for place in range(1, len(rows) + 1)]
    if (0 in voters or numbered) and not set(names) & set(curves):
        if len(rows) != len(curves):
            raise FileError(f"{file} rates {len(rows)} curves without naming them, but there are {len(curves)}.")
        return Ratings(dict(zip(curves, verdicts, strict=True)), notes)
    matched, unmatched = _by_name(file, curves, names, verdicts)
    if unmatched:
        notes.append(f"rated, but no such curve: {_named(unmatched)}")
    unrated = len(curves) - len(matched)
    if unrated:
        notes.append(f"curves without a rating: {unrated}")
    return Ratings(matched, notes)


def _all_votes(cells: Sequence[str]) -> bool:
    """True when every cell is a vote or missing, and one at least is a vote."""
    return all(cell.lower() in _VOTES for cell in cells) and any(_VOTES[cell.lower()] for cell in cells)


def _by_name(
    file: Path, curves: list[str], names: list[str], verdicts: list[Verdict]
) -> tuple[dict[str, Verdict], list[str]]:
    exact = set(curves)
    loose: dict[str, list[str]] = {}
    for curve in curves:
        loose.setdefault(mangled(curve), []).append(curve)
    matched: dict[str, Verdict] = {}
    unmatched: list[str] = []
    for name, verdict in zip(names, verdicts, strict=True):
        near = loose.get(mangled(name), [])
        curve = name if name in exact else (near[0] if len(near) == 1 else None)
        if curve is None:
            unmatched.append(name)
        elif matched.setdefault(curve, verdict) != verdict:
            matched[curve] = Verdict("disputed", "disputed")
    if not matched:
        raise FileError(f"{file} names no curve of the other file: its first name is {names[0][:40]!r}.")
    return matched, unmatched


def _verdict(votes: list[str]) -> Verdict:
    cast = Counter(vote for vote in votes if vote)
    if not cast:
        return UNRATED
    said: dict[str, Truth] = {"y": "positive", "n": "negative", "a": "disputed"}
    most, count = cast.most_common(1)[0]
    majority: Truth = said[most] if 2 * count > cast.total() else "disputed"
    return Verdict(majority if len(cast) == 1 else "disputed", majority)


def read_strips(file: Path) -> tuple[list[StripRow], list[str]]:
    """(strips, notes): group (negative, positive, weak positive), run, then the zones; empty zones are left out."""
    table = read_table(file, named=lambda rows: not all(is_number(cell) for cell in rows[0][1:]))
    lowered = [name.lower() for name in table.header]
    zones = [at for at, name in enumerate(lowered) if re.fullmatch(r"(d|t|zone|line|test)[ _.]?\d+", name)]
    if not zones:
        zones = [at for at, name in enumerate(lowered) if name not in ("group", "run") and at > 0]
        if not any(lowered) and _counts_runs([row[1] for row in table.rows]):
            zones.remove(1)
    zones = [at for at in zones if any(is_number(row[at]) for row in table.rows)]
    if not zones:
        raise FileError(f"{file} has no column of zones in numbers: name them d1, d2 and so on.")
    group = lowered.index("group") if "group" in lowered else 0
    strips: list[StripRow] = []
    notes = list(table.notes)
    for place, row in enumerate(table.rows, start=1):
        said = " ".join(row[at] for at in range(len(row)) if at not in zones and row[at])
        name = said or f"strip {place}"
        values = [value for at in zones if math.isfinite(value := number(row[at]))]
        if not values:
            notes.append(f"no zone has a number, passed over: {name}")
            continue
        if max(map(abs, values)) > COUNTS_MAX:
            raise FileError(f"{file}, {name}: darkening is in 8-bit counts, at most {COUNTS_MAX}; scale it to that.")
        strips.append(StripRow(name, _group_truth(row[group] if group not in zones else ""), values))
    if not strips:
        raise FileError(f"{file} has no strip with a number in one of its zones.")
    return strips, notes


def _counts_runs(cells: Sequence[str]) -> bool:
    """True for a column of small whole numbers from 1 on: the number of a run, and no darkening."""
    return all(cell.isdecimal() and 1 <= int(cell) <= len(cells) for cell in cells) and "1" in cells


def _group_truth(group: str) -> Truth:
    words = re.findall(r"[a-z]+", group.lower())
    if {"negative", "neg", "blank", "ntc"} & set(words):
        return "negative"
    return "positive" if {"positive", "pos"} & set(words) else "unrated"
