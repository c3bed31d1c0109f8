"""Alembic's entry: runs the migrations on the connection that `server.database.migrate` opened."""

from alembic import context

from server.database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_type=True, transactional_ddl=True)
context.run_migrations()
