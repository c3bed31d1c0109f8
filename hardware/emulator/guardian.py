"""Ends what was started for a folder when who started it is gone: by kill -9 too, which nobody can answer themselves.

A process of its own, in a session of its own, reads from a pipe whose other end only we hold. The system closes that
end however we end; one byte before that says that all was put away in order. Left alone it ends every process that
names the folder on its command line or in its environment: the programs, what they started, and PostgreSQL.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

_IN_ORDER = b"."
_TERM_S = 10.0


class Guardian:
    """`with Guardian(folder):` around whatever starts processes for that folder. `remove` takes the folder away too,
    when it comes to that."""

    def __init__(self, folder: Path, *, remove: bool = False) -> None:
        self._folder, self._remove = folder.resolve(), remove
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "emulator.guardian", *(["--remove"] if self._remove else [])],
            # Not on its command line or in its environment: it would find itself.
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(os.fsencode(self._folder) + b"\n")
        self._process.stdin.flush()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process is not None
        self._process.communicate(_IN_ORDER)


def end_all(folder: Path) -> None:
    """End every process that names `folder`: asked first, and killed when it does not."""
    for _ in range(5):  # one that was being started while we looked is found the next time
        found = [process for process in psutil.process_iter() if _names(process, str(folder))]
        if not found:
            return
        for process in found:
            _send(process, process.terminate)
        _, left = psutil.wait_procs(found, timeout=_TERM_S)
        for process in left:
            _send(process, process.kill)
        psutil.wait_procs(left, timeout=_TERM_S)


def _send(process: psutil.Process, signal: object) -> None:
    assert callable(signal)
    try:
        signal()
    except psutil.NoSuchProcess:
        return  # it has just ended


def _names(process: psutil.Process, folder: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        said = [*process.cmdline(), *process.environ().values()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False  # ended, or somebody else's
    return any(word == folder or word.startswith(folder + os.sep) for word in said)


def _unmount_all(folder: Path) -> None:
    """Trials mount small disks on folders of theirs."""
    for part in psutil.disk_partitions(all=True):
        if part.mountpoint.startswith(f"{folder}{os.sep}"):
            subprocess.run(["umount", "-l", part.mountpoint], check=False)


def main() -> None:
    """The process that watches."""
    folder = Path(os.fsdecode(sys.stdin.buffer.readline().rstrip(b"\n")))
    if sys.stdin.buffer.read() == _IN_ORDER or not folder.is_absolute():
        return
    end_all(folder)
    if "--remove" in sys.argv[1:]:
        _unmount_all(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
