"""`doorstep hub bundle`: one file that an engineer can work with and that tells nothing about a person.

Nothing is copied as it is. What goes in is asked for piece by piece, and every word of it passes `hub.redaction`; names
given by people, such as those of laptops and readers, are left out as well as the name of who is signed in.
"""

import getpass
import json
import os
import re
import sqlite3
import tempfile
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

from hub import database, logbook, redaction, status
from hub.care import findings, laptop
from hub.care.findings import Finding
from hub.errors import StoreError, UsageError
from hub.schema import MIGRATIONS
from hub.settings import HubSettings

COUNT_S = 20.0
_STEPS = 20_000
_ABOUT = """\
What this file is for: an engineer finds out with it why this hub does not work as it should.

What is in it:
  doctor.json    what `doorstep hub doctor` found
  status.json    how many records wait, here and on readers, and which problems stand
  settings.json  how this hub is set up
  versions.json  the software on this laptop
  database.json  how many rows each table has, and none of them
  log/           what the hub did and when

What is not in it: keys, tickets, records (sealed or not), results, specimen codes, names of persons, laptops or
readers. Readers and hubs stand in it by their numbers. It is text: unzip it and read it before you give it away.
"""


def make(
    file: Path, settings: HubSettings, found: list[Finding], logs: dict[str, Path], replace: bool = False
) -> list[str]:
    """Write the support file; returns the names of what is in it. `logs` are logs by the names they get.

    Raises UsageError when the file is there already or cannot be written.
    """
    if file.exists() and not replace:
        raise UsageError(f"{file} is there already. Choose another name, or add --replace.")
    contents = {
        "README.txt": _ABOUT,
        "doctor.json": _json(findings.as_json(found)),
        "status.json": _json(_status(settings.data)),
        "settings.json": _json(settings.model_dump(mode="json")),
        "versions.json": _json(laptop.versions()),
        "database.json": _json(_counts(settings.data)),
    }
    for name, path in logs.items():
        for number, part in enumerate(logbook.files(path)):
            contents[f"log/{name}{f'.{number}' if number else ''}"] = _log(part)
    try:
        _write(file, {name: _without_person(text) for name, text in contents.items()})
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}. Choose another place.") from error
    return list(contents)


def _json(value: Any) -> str:
    return json.dumps(redaction.clean(value), indent=1)


def _status(folder: Path) -> Any:
    try:
        return status.read(folder)
    except (StoreError, OSError) as error:
        return {"failed": redaction.trace_words(error)}


def _counts(folder: Path) -> dict[str, Any]:
    """The schema's version and the rows of each table; what could not be counted in time is null."""
    counts: dict[str, Any] = {"version_known": len(MIGRATIONS)}
    try:
        connection = database.open_reader(folder)
        if connection is None:
            return {**counts, "failed": "There is no database yet."}
        with closing(connection), database.named_errors():
            until = time.monotonic() + COUNT_S
            connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            counts["version"] = connection.execute("PRAGMA user_version").fetchone()[0]
            counts["bytes"] = (folder / database.FILE).stat().st_size
            named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            counts["rows"] = [[table, _count(connection, table)] for (table,) in connection.execute(named).fetchall()]
    except (StoreError, OSError) as error:
        counts["failed"] = redaction.trace_words(error)
    return counts


def _count(connection: sqlite3.Connection, table: str) -> int | None:
    try:
        return connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608  a name of the schema
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
            return None
        raise


def _log(part: Path) -> str:
    """A log's lines, each read and cleaned once more: an older version may have written it."""
    kept = list[str]()
    try:
        with part.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                kept.append(_line(line))
    except OSError as error:
        kept.append(json.dumps({"failed": redaction.trace_words(error)}))
    return "".join(f"{line}\n" for line in kept)


def _line(line: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return json.dumps({"failed": "not a line of this log"})
    return json.dumps(redaction.clean(value))


def _without_person(text: str) -> str:
    """Without the home folder and the login name of who is signed in, which stand in paths."""
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~").replace(json.dumps(home)[1:-1], "~")
    try:
        login = getpass.getuser()
    except (OSError, KeyError):
        return text  # nobody of that number has a name
    return re.sub(rf"(?<=[/\\]){re.escape(login)}(?=[/\\\"\s]|$)", "~", text)


def _write(file: Path, contents: dict[str, str]) -> None:
    """The whole file or none, for its owner only (0600, as mkstemp makes it)."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry, text in contents.items():
                archive.writestr(entry, text)
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
