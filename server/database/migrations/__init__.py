"""Alembic migrations, run by `server.database.migrate`."""
