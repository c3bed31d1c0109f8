"""The log: JSON lines in a private, rotated file. Identifiers and numbers go in; secrets, names and what records hold
never do (`hub.redaction`).

A line's words are fixed in the source; what varies is a named field beside them, so that a field can be refused.
"""

import json
import logging
import logging.handlers
import os
import time
from pathlib import Path
from typing import Any

from hub import redaction

FILE_BYTES = 2_000_000
FILES = 5
_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_OURS = "hub"


def to_file(path: Path, level: int = logging.INFO) -> None:
    """Send the process's log to `path` (0600), at most 5 files of 2 MB. Replaces what an earlier call set."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    handler = _PrivateFile(path, maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8")
    handler.setFormatter(_Lines())
    handler.addFilter(_worth_keeping)
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, _PrivateFile):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(level)


def files(path: Path) -> list[Path]:
    """The log at `path` and its older parts, the newest first, those that exist."""
    return [file for file in (path, *(Path(f"{path}.{n}") for n in range(1, FILES))) if file.is_file()]


def _worth_keeping(record: logging.LogRecord) -> bool:
    """Of libraries only warnings: httpx logs every address asked for, bleak every notification."""
    return _is_ours(record) or record.levelno >= logging.WARNING


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == _OURS


class _PrivateFile(logging.handlers.RotatingFileHandler):
    def _open(self) -> Any:
        stream = super()._open()
        os.chmod(self.baseFilename, 0o600)
        return stream

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk must not stop the hub; the problem is shown by other means."""


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        what = record.getMessage()
        if not _is_ours(record):
            what = what.partition("\n")[0]  # asyncio goes on with the task, its error and that error's words
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "from": record.name,
            "what": redaction.text(what),
        }
        extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        extra |= extra.pop("fields", {})  # an event's own fields, whose names (such as "name") a record may not have
        line |= redaction.clean(extra)
        if record.exc_info and record.exc_info[1] is not None:
            line["trace"] = redaction.trace(record.exc_info[1])
        return json.dumps(line)
