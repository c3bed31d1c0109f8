"""A table from a delimited text file, bounded in size: its dialect told from the file itself, every cell as text."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

LARGEST_FILE = 32 * 1024 * 1024
MOST_ROWS = 20_000
MOST_COLUMNS = 10_000
LONGEST_CELL = 1_000

_DELIMITERS = "\t;|,"
_MISSING = {"", "na", "nan", "n/a", "#n/a", "null", "none", "-", "--", ".", "undetermined", "inf", "-inf"}
_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
_EUROPEAN = re.compile(r"[-+]?\d{1,3}(\.\d{3})+(,\d+)?")
_SEPARATOR = re.compile(r"sep=[,;|]", re.IGNORECASE)  # what Excel writes before the header
_CLOCK = re.compile(r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]?\d(?:\.\d+)?)")


class FileError(Exception):
    """A file that cannot be used; the text says what to do."""


@dataclass
class Table:
    """header: one name a column, "" where there is none. rows: cells as text, each row as long as the header."""

    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list[str])


def read_table(file: Path, named: Callable[[list[list[str]]], bool]) -> Table:
    """The table of a file; `named` is asked whether the first of its rows names the columns. Raises `FileError`."""
    text = _text(file)
    lines = [line for line in text.splitlines() if line.strip()]
    comments = sum(line.lstrip().startswith("#") for line in lines)
    lines = [line for line in lines if not line.lstrip().startswith("#")]
    delimiter = _delimiter(lines)
    if lines and _SEPARATOR.fullmatch(lines[0].strip()):
        delimiter = lines.pop(0).strip()[-1]
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True):
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
            if len(rows) > MOST_ROWS or len(cells) > MOST_COLUMNS:
                raise FileError(f"{file} has more than {MOST_ROWS} rows or {MOST_COLUMNS} columns: split it.")
            if cells and max(map(len, cells)) > LONGEST_CELL:
                raise FileError(f"{file}, row {len(rows)}: a cell is longer than {LONGEST_CELL} characters.")
    except csv.Error as problem:
        raise FileError(f"{file} is not a CSV file ({problem}): export it again.") from None
    table = _squared(file, rows, named)
    if comments:
        table.notes.append(f"lines that begin with #, passed over: {comments}")
    _plain_numbers(table, delimiter)
    return table


def _text(file: Path) -> str:
    try:
        if not file.is_file():
            raise FileError(f"There is no file {file}: check the name.")
        with file.open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
    except OSError as problem:
        raise FileError(f"{file} cannot be read ({problem.strerror}): check its permissions.") from None
    if len(raw) > LARGEST_FILE:
        raise FileError(f"{file} is larger than {LARGEST_FILE // 2**20} MiB: split it.")
    marked = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    # Instruments' own exports often are in Windows' Latin alphabet, in which every byte but five is a letter or sign.
    for encoding in (marked, "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise FileError(f"{file} is not text in UTF-8: export it again as CSV.")


def _delimiter(lines: list[str]) -> str:
    """The delimiter that cuts the most of the first lines alike; spaces where nothing else cuts any."""
    sample = lines[:20]
    best, most = " ", 0.0
    # A comma may be inside the numbers, so it is asked last, and wins only where it cuts more lines alike.
    for candidate in _DELIMITERS:
        counts = [_outside_quotes(line, candidate) for line in sample]
        usual = max(set(counts), key=counts.count) if counts else 0
        alike = counts.count(usual) / len(counts) if usual else (0.1 if any(counts) else 0.0)
        if alike > most:
            best, most = candidate, alike
    return best


def _outside_quotes(line: str, candidate: str) -> int:
    return sum(part.count(candidate) for part in line.split('"')[::2])


def _squared(file: Path, rows: list[list[str]], named: Callable[[list[list[str]]], bool]) -> Table:
    """The rows under a header, all of one length."""
    if not rows or max(map(len, rows)) < 2:
        raise FileError(f"{file} needs a header, rows and at least two columns: export it again as CSV.")
    notes: list[str] = []
    if named(rows):
        header, body = rows[0], rows[1:]
    else:
        header, body = [""] * max(map(len, rows)), rows
        notes.append("no header: columns are named by their place")
    if not body:
        raise FileError(f"{file} has a header but no row: export it again as CSV.")
    # R writes row names without a name for their column.
    if all(len(row) == len(header) + 1 for row in body):
        header = ["", *header]
    short = [place for place, row in enumerate(body, start=1) if len(row) < len(header)]
    for place, row in enumerate(body, start=1):
        if any(row[len(header) :]):
            raise FileError(f"{file}, data row {place}: {len(row)} cells where the header has {len(header)}.")
        row[:] = (row + [""] * len(header))[: len(header)]
    if short:
        notes.append(f"rows shorter than the header, the rest taken as missing: {len(short)}, the first is {short[0]}")
    while len(header) > 2 and not header[-1] and not any(row[-1] for row in body):
        header = header[:-1]
        for row in body:
            row.pop()
    return Table(header, body, notes)


def _plain_numbers(table: Table, delimiter: str) -> None:
    """Write decimal commas and thousands' signs as a plain number, and times of day as seconds."""
    cells = [cell for row in table.rows for cell in row if "," in cell]
    # 1,234 alone may be either; where commas delimit, a number in quotes has them for thousands.
    thousands = delimiter == "," and all(_THOUSANDS.fullmatch(cell) for cell in cells if _numeric(cell))
    for row in table.rows:
        for at, cell in enumerate(row):
            if "," in cell and _numeric(cell):
                if thousands or ("." in cell and _THOUSANDS.fullmatch(cell)):
                    row[at] = cell.replace(",", "")
                else:
                    row[at] = cell.replace(".", "").replace(",", ".")
            elif ":" in cell and (clock := _CLOCK.fullmatch(cell)):
                hours, minutes, seconds = clock.groups()
                row[at] = str(int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds))


def _numeric(cell: str) -> bool:
    return any(form.fullmatch(cell) for form in (_COMMA, _THOUSANDS, _EUROPEAN))


def number(cell: str) -> float:
    """The number in a cell; NaN where it is missing or something else."""
    if cell.lower() in _MISSING:
        return math.nan
    try:
        value = float(cell) if "_" not in cell else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def is_number(cell: str) -> bool:
    """True for a number or a missing one; a name that looks like neither is False."""
    return cell.lower() in _MISSING or math.isfinite(number(cell.replace(",", ".", 1)))
