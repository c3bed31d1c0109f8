"""Writes tables for spreadsheets (RFC 4180) such that no cell is ever run as a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv; charset=utf-8"
# Without it spreadsheets take UTF-8 for something else.
MARK = "\ufeff"
# What a spreadsheet takes for a formula; OWASP, "CSV Injection".
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def lines(rows: Iterable[Sequence[str | int]]) -> str:
    """Rows as text, each ended by CR LF. A text that a spreadsheet would compute is marked as text by an apostrophe."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows([[_plain(cell) for cell in row] for row in rows])
    return written.getvalue()


def headers(name: str) -> dict[str, str]:
    """The headers of an answer that is kept as the file `name`, which is plain ASCII."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


def _plain(cell: str | int) -> str | int:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
