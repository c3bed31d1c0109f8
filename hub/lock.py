"""One running hub a data folder: a lock that the system drops with the process, whatever ends it."""

import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from hub.errors import AlreadyRunning, StoreReadOnly

_FILE = "hub.lock"


class FolderLock:
    """`with FolderLock(folder): ...` Raises AlreadyRunning when another process holds it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def __enter__(self) -> Self:
        try:
            file = os.open(self._folder / _FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreReadOnly(
                f"The data folder {self._folder} cannot be written: {error.strerror}. Check the disk, or choose "
                "another folder with DOORSTEP_HUB_DATA."
            ) from error
        if not take(file):
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
            os.close(file)
            raise AlreadyRunning(
                f"A hub is already running with the data folder {self._folder} (process {holder or 'unknown'}). "
                "Stop it first, or choose another folder with DOORSTEP_HUB_DATA."
            )
        with contextlib.suppress(OSError):  # a full disk: the number is only told to people, the lock holds without it
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)  # closing drops the lock
            self._file = None


def is_running(folder: Path) -> bool:
    """Whether a hub runs with this folder."""
    try:
        file = os.open(folder / _FILE, os.O_RDWR)
    except OSError:
        return False
    try:
        return not take(file)
    finally:
        os.close(file)


if sys.platform == "win32":
    import msvcrt

    def take(file: int) -> bool:
        """Lock an open file for this process, at once or not at all; closing it lets go."""
        try:
            os.lseek(file, 64, os.SEEK_SET)  # beyond the process id, which others may read
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(file, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def take(file: int) -> bool:
        """Lock an open file for this process, at once or not at all; closing it lets go."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
