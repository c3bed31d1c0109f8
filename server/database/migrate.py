"""Brings the tables to a revision: Alembic from Python, with time-outs and a lock so that two never run at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from server.database.engine import driver_url

# A migration that cannot get its lock at once gives up rather than queue every request behind it.
LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 600_000
# Any number that nothing else in this database locks: "doorstep" as eight bytes, as a signed 64-bit number.
ADVISORY_LOCK = int.from_bytes(b"doorstep", "big", signed=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def head() -> str:
    """The newest revision of the source."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError("the package holds no migration")
    return revision


def current(owner_url: str) -> str | None:
    """The revision that the database is at, None when it is empty."""
    engine = create_engine(driver_url(owner_url))
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`. Raises SQLAlchemy's errors, among them a lock that could not be had in 5 s."""
    _run(owner_url, revision, up=True)


def downgrade(owner_url: str, revision: str) -> None:
    """Migrate down to `revision`; "base" is the empty database. Data is lost."""
    _run(owner_url, revision, up=False)


def _run(owner_url: str, revision: str, *, up: bool) -> None:
    options = f"-c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC"
    engine = create_engine(driver_url(owner_url), connect_args={"options": options, "connect_timeout": 10})
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
            _migrate(connection, revision, up=up)
    finally:
        engine.dispose()


def _migrate(connection: Connection, revision: str, *, up: bool) -> None:
    config = _config()
    config.attributes["connection"] = connection
    if up:
        command.upgrade(config, revision)
    else:
        command.downgrade(config, revision)
