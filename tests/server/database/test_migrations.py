"""Migrations run up, down and up again on a database of their own, and end where the models are."""

import threading
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from server.database import epoch, migrate
from server.database.engine import driver_url
from server.database.tables import metadata
from tests.server.conftest import Database


@pytest.fixture
def blank(database: Database) -> Iterator[str]:
    """Address of an empty database, as its owner."""
    engine = create_engine(driver_url(database.owner), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE migrations"))
    yield make_url(database.owner).set(database="migrations").render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE migrations WITH (FORCE)"))
    engine.dispose()


def relations(url: str) -> set[str]:
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            )
        )
        found = {row[0] for row in rows}
    engine.dispose()
    return found


def test_migrations_go_up_down_and_up_again(blank: str) -> None:
    assert migrate.current(blank) is None
    migrate.upgrade(blank)
    assert migrate.current(blank) == migrate.head()
    up = relations(blank)
    migrate.downgrade(blank, "base")
    assert migrate.current(blank) is None
    assert relations(blank) == {"alembic_version", "alembic_version_pkc"}
    migrate.upgrade(blank)
    assert relations(blank) == up


def test_the_migrated_tables_are_those_of_the_models(blank: str) -> None:
    migrate.upgrade(blank)
    engine = create_engine(driver_url(blank))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_two_that_migrate_at_once_do_it_once(blank: str) -> None:
    failures: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(blank)
        except Exception as error:  # noqa: BLE001 - whatever a thread meets is shown below
            failures.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert migrate.current(blank) == migrate.head()


def test_a_migration_gives_up_rather_than_wait_long_for_a_lock(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.upgrade(blank)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_MS", 200)
    engine = create_engine(driver_url(blank))
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE result IN ACCESS SHARE MODE"))
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate.downgrade(blank, "base")
    engine.dispose()
    assert migrate.current(blank) == migrate.head()


def test_an_epoch_is_there_from_the_start_and_a_new_one_is_another(blank: str) -> None:
    migrate.upgrade(blank)
    engine = create_engine(driver_url(blank))
    made = epoch.begin(blank, "restored")
    with engine.connect() as connection:
        epochs = [bytes(row.epoch) for row in connection.execute(text("SELECT epoch FROM server_epoch ORDER BY id"))]
    engine.dispose()
    assert len(epochs) == 2
    assert epochs[1] == made
    assert {len(one) for one in epochs} == {8}
    assert len(set(epochs)) == 2
