"""The database: engine, tenancy, migrations and the embedded PostgreSQL."""
