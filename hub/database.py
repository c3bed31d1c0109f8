"""Opening the hub's SQLite file: one writer, durable writes, private permissions, migrations, and damage found at
the start.

SQLite's own words on durability: with `journal_mode=WAL` and `synchronous=FULL` the log is synced after every
transaction
(https://www.sqlite.org/pragma.html#pragma_synchronous), so a commit that returned survives a power cut.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Generator
from pathlib import Path

from hub.errors import DiskFull, StoreDamaged, StoreError, StoreReadOnly
from hub.schema import MIGRATIONS

FILE = "hub.sqlite3"
_BUSY_MS = 5_000


def private_folder(folder: Path) -> Path:
    """Make `folder` readable by its owner only (0700). Raises StoreReadOnly."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise StoreReadOnly(
            f"The data folder {folder} cannot be made private: {error.strerror}. Choose another with DOORSTEP_HUB_DATA."
        ) from error
    return folder


def open_writer(folder: Path) -> sqlite3.Connection:
    """Open, check and migrate the database; the caller holds the folder's lock. Raises StoreError and its kinds.

    The connection is in autocommit: every transaction is opened by `transaction`.
    """
    path = private_folder(folder) / FILE
    with named_errors():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    with named_errors():
        connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_MS / 1000)
    try:
        with named_errors():
            _configure(connection)
            _check(connection)
            _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(folder: Path) -> sqlite3.Connection | None:
    """Open for reading beside a running hub, or None when there is no database yet. Raises StoreError."""
    path = folder / FILE
    if not path.exists() or path.stat().st_size == 0:
        return None
    with named_errors():
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_MS / 1000
        )
        connection.execute("PRAGMA query_only = ON")
        if _version(connection) != len(MIGRATIONS):
            connection.close()
            raise StoreError(
                "The hub's database is of another version of Doorstep. Start `doorstep hub run` of this version once.",
                "store-version",
            )
    return connection


def move_aside(folder: Path) -> Path:
    """Move a damaged database and its log out of the way, keeping every byte; returns where it went."""
    aside = folder / f"damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    aside.mkdir(mode=0o700)
    for suffix in ("", "-wal", "-shm"):
        file = folder / (FILE + suffix)
        if file.exists():
            file.rename(aside / file.name)
    return aside


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """One durable transaction: all of it is on the disk when the block ends, or none of it. Raises StoreError."""
    with named_errors():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite has rolled back by itself after a full disk or a failed write
                connection.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def named_errors() -> Generator[None]:
    """Turn SQLite's and the system's errors into the hub's, each with what to do next."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_SHMSIZE")):
            raise DiskFull(
                "The disk is full or cannot be written. Free some space; nothing that was collected is lost."
            ) from error
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            raise StoreReadOnly("The hub's database cannot be written. Check the permissions of its folder.") from error
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise StoreDamaged("The hub's database is damaged.") from error
        raise StoreError(
            f"The hub's database failed ({name or type(error).__name__}). The log has the details."
        ) from error
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise DiskFull("The disk is full. Free some space; nothing that was collected is lost.") from error
        raise StoreReadOnly(f"The hub's database cannot be opened: {error.strerror}.") from error


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA secure_delete = ON")  # a replaced ticket secret does not linger in a free page


def _check(connection: sqlite3.Connection) -> None:
    row = connection.execute("PRAGMA quick_check(1)").fetchone()
    if row is None or row[0] != "ok":
        raise StoreDamaged("The hub's database is damaged.")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise StoreError("The hub's database was written by a newer Doorstep. Update Doorstep on this laptop.")
    for number in range(version, len(MIGRATIONS)):
        # One script, one transaction: a power cut leaves the version before or after, never between.
        connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")
