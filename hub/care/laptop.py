"""What can be checked on the laptop alone: versions, the data folder, the enrolment's files, the database, the disk."""

import os
import platform
import shlex
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hub import credentials, database
from hub.care import unit
from hub.care.findings import Finding, note, unknown, well, wrong
from hub.errors import NotEnrolled, StoreDamaged, StoreError, StoreReadOnly
from hub.lock import is_running
from hub.problems import KINDS
from reader import wire

DISK_FULL_BYTES = 50_000_000
DISK_LOW_BYTES = 500_000_000
QUICK_CHECK_S = 20.0
_STEPS = 20_000  # SQLite's own instructions between two looks at the clock
_PACKAGES = ("doorstep", "bleak", "bleak-retry-connector", "dbus-fast", "httpx", "cryptography", "cbor2", "joserfc")


def versions() -> dict[str, str | int]:
    """The software that a hub consists of, and the protocol's version."""
    found: dict[str, str | int] = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "protocol": wire.VERSION,
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # dbus-fast is there on Linux only
            found[package] = "not installed"
    return found


def checks(folder: Path) -> list[Finding]:
    """Everything about the laptop, at once and without a network."""
    found = list[Finding]()
    for name, check in _CHECKS:
        try:
            made = check(folder)
            found += [made] if isinstance(made, Finding) else made
        except OSError as error:  # a folder that cannot even be looked into
            found.append(_not_writable(name, f"{folder} cannot be looked into ({error.strerror})"))
    return found


def _versions(folder: Path) -> Finding:
    found = versions()
    said = f"Doorstep {found['doorstep']}, protocol {wire.VERSION}, Python {found['python']}, bleak {found['bleak']}."
    if _stands(folder, "version-too-old"):
        return wrong("Version", "version-too-old", f"The server no longer speaks this version. {said}",
                     KINDS["version-too-old"].next_step)  # fmt: skip
    return well("Version", said)


def _stands(folder: Path, code: str) -> bool:
    """Whether the running hub has noted a problem; no, where its database cannot say."""
    try:
        connection = database.open_reader(folder)
        if connection is None:
            return False
        with closing(connection), database.named_errors():
            return connection.execute("SELECT 1 FROM problems WHERE code = ?", (code,)).fetchone() is not None
    except (StoreError, OSError):
        return False  # told by the check of the database


def _enrolment(folder: Path) -> Iterator[Finding]:
    check = "Enrolment"
    try:
        enrolment = credentials.load(folder)
        credentials.load_key(folder)
    except NotEnrolled as error:
        yield wrong(check, "not-enrolled", _first_sentence(str(error)), KINDS["not-enrolled"].next_step)
        return
    yield well(check, f"This laptop is hub {enrolment.hub_id} of {enrolment.server}.")
    loose = [path.name for path in credentials.files(folder) if _others_may_read(path)]
    if loose:
        yield wrong("Key", "key-exposed", f"Other people of this laptop may read {' and '.join(loose)}.",
                    KINDS["key-exposed"].next_step)  # fmt: skip


def _folder(folder: Path) -> Iterator[Finding]:
    check = "Data folder"
    if not folder.exists():
        parent = next((above for above in folder.parents if above.exists()), Path("/"))
        if os.access(parent, os.W_OK):
            yield note(check, f"{folder} is not there yet; it is made when it is needed.")
        else:
            yield _not_writable(check, f"{folder} is not there and cannot be made in {parent}")
    elif not folder.is_dir():
        yield _not_writable(check, f"{folder} is not a folder")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield _not_writable(check, f"{folder} cannot be written")
    elif _others_may_read(folder):
        yield wrong(check, "folder-exposed", f"Other people of this laptop may look into {folder}.",
                    f"Run: chmod 700 {shlex.quote(str(folder))}")  # fmt: skip
    else:
        yield well(check, f"{folder} can be written, by you only.")


def _not_writable(check: str, words: str) -> Finding:
    return wrong(
        check, "store-read-only", f"{words}.", "Check its permissions, or choose another in DOORSTEP_HUB_DATA."
    )


def _others_may_read(path: Path) -> bool:
    """By the permission bits, which Windows does not have: there a person's own folders are private."""
    if os.name != "posix":
        return False
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def _disk(folder: Path) -> Finding:
    there = next((above for above in (folder, *folder.parents) if above.exists()), Path("/"))
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return unknown("Disk", f"How much room there is cannot be told: {error.strerror}.")
    said = f"{free / 1e9:.1f} GB are free."
    if free < DISK_FULL_BYTES:
        return wrong(
            "Disk", "disk-full", f"The disk is full: {free / 1e6:.0f} MB are free.", KINDS["disk-full"].next_step
        )
    if free < DISK_LOW_BYTES:
        return wrong("Disk", "disk-nearly-full", f"The disk is nearly full: {free / 1e6:.0f} MB are free.",
                     KINDS["disk-nearly-full"].next_step)  # fmt: skip
    return well("Disk", said)


def _database(folder: Path) -> Finding:
    check = "Database"
    try:
        connection = database.open_reader(folder)
        if connection is None:
            return note(check, "Nothing has been collected on this laptop yet.")
        with closing(connection), database.named_errors():
            sound = _quick_check(connection)
    except StoreDamaged:
        return wrong(check, "store-damaged", "The hub's database is damaged.",
                     "Run: doorstep hub run. It moves the database aside and begins another; the readers offer again "
                     "what they hold. Give the moved file to an engineer.")  # fmt: skip
    except StoreReadOnly as error:
        return wrong(check, "store-read-only", _first_sentence(str(error)), KINDS["store-read-only"].next_step)
    except StoreError as error:
        code = error.code if error.code in KINDS else "hub-failed"
        return wrong(check, code, _first_sentence(str(error)), KINDS[code].next_step)
    if sound is None:
        return unknown(
            check, f"It is too large to be checked in {QUICK_CHECK_S:.0f} seconds; it opens and can be read."
        )
    return well(check, "It is whole.")


def _quick_check(connection: sqlite3.Connection) -> bool | None:
    """True: whole; None: not finished in time. Raises StoreDamaged."""
    until = time.monotonic() + QUICK_CHECK_S
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        row = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
            return None
        raise
    if row is None or row[0] != "ok":
        raise StoreDamaged("The hub's database is damaged.")
    return True


def _running(folder: Path) -> Finding:
    check = "Running"
    if is_running(folder):
        return well(check, "The hub is running.")
    if sys.platform == "linux" and unit.path().exists():
        return wrong(check, "hub-stopped", "The hub is installed as a service and does not run.",
                     KINDS["hub-stopped"].next_step)  # fmt: skip
    return note(
        check, "The hub is not running.", "Run: doorstep hub run, or doorstep hub install to have it run by itself."
    )


def _first_sentence(words: str) -> str:
    return words.partition(". ")[0].rstrip(".") + "."


_CHECKS: tuple[tuple[str, Callable[[Path], Finding | Iterator[Finding]]], ...] = (
    ("Version", _versions),
    ("Enrolment", _enrolment),
    ("Data folder", _folder),
    ("Disk", _disk),
    ("Database", _database),
    ("Running", _running),
)
