"""The log: JSON lines in a private, rotated file. Identifiers and numbers go in; secrets and what records hold never
do."""

import json
import logging
import logging.handlers
import os
import time
from pathlib import Path
from typing import Any

_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SECRET = ("secret", "token", "authorization", "assertion", "key", "code_value")
_LOUD = ("httpx", "httpcore", "bleak", "bleak_retry_connector", "asyncio", "bumble")


def to_file(path: Path, level: int = logging.INFO) -> None:
    """Send the process's log to `path` (0600), at most 5 files of 2 MB. Replaces what an earlier call set."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    handler = _PrivateFile(path, maxBytes=2_000_000, backupCount=4, encoding="utf-8")
    handler.setFormatter(_Lines())
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, _PrivateFile):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(level)
    for name in _LOUD:  # httpx logs every address asked for, bleak every notification
        logging.getLogger(name).setLevel(logging.WARNING)


class _PrivateFile(logging.handlers.RotatingFileHandler):
    def _open(self) -> Any:
        stream = super()._open()
        os.chmod(self.baseFilename, 0o600)
        return stream

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk must not stop the hub; the problem is shown by other means."""


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "from": record.name,
            "what": record.getMessage(),
        }
        extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        extra |= extra.pop("fields", {})  # an event's own fields, whose names (such as "name") a record may not have
        for name, value in extra.items():
            line[name] = "(not logged)" if any(word in name.lower() for word in _SECRET) else value
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
