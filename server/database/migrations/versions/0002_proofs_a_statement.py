"""Foreign keys of the rows that come by the thousand become checks a statement; indexes for what waits.

A foreign key is proved row by row: one query and one lock of the row it points at for each of 500 records, which took
13 of the 35 ms that PostgreSQL spent on such a batch. What is proved stays: a record belongs to a reader of its
organisation, a result and an event to a record, and none of what is pointed at can go or be changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Table, columns, the table they point at: what a statement that inserts must find there.
PROOFS = (
    ("sealed_record", ("organisation_id", "reader_id"), "reader"),
    ("result", ("organisation_id", "reader_id", "number"), "sealed_record"),
    ("reader_event", ("organisation_id", "reader_id", "number"), "sealed_record"),
)
FOREIGN_KEYS = (
    ("fk_sealed_record_organisation_id_reader_id", "sealed_record", "reader", ["organisation_id", "reader_id"]),
    ("fk_result_reader_id_number", "result", "sealed_record", ["reader_id", "number"]),
    ("fk_reader_event_reader_id_number", "reader_event", "sealed_record", ["reader_id", "number"]),
)


# What is pointed at, and what points, stays: so no row can come to point at nothing later.
KEPT = (
    ("reader", "DELETE OR UPDATE OF reader_id, organisation_id"),
    ("sealed_record", "DELETE OR UPDATE OF reader_id, number, organisation_id"),
    ("result", "UPDATE OF reader_id, number, organisation_id"),
    ("reader_event", "UPDATE OF reader_id, number, organisation_id"),
)


def upgrade() -> None:
    for table, columns, target in PROOFS:
        _prove(table, columns, target)
    op.execute(
        """
        CREATE FUNCTION refuse_loss() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN
            RAISE EXCEPTION 'a row of % stays where it is', TG_TABLE_NAME USING ERRCODE = 'foreign_key_violation';
        END $$
        """
    )
    for table, when in KEPT:
        op.execute(f"CREATE TRIGGER keep BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_loss()")
    for table in ("reader", "sealed_record"):
        op.execute(f"CREATE TRIGGER keep_whole BEFORE TRUNCATE ON {table} EXECUTE FUNCTION refuse_loss()")
    for name, table, _, _ in FOREIGN_KEYS:
        op.drop_constraint(name, table, type_="foreignkey")
    op.create_index(
        "ix_reader_event_damaged", "reader_event", ["reader_id", "number"], postgresql_where=sa.text("code = 6")
    )
    op.create_index(
        "ix_command_waiting", "command", ["reader_id", "number"], postgresql_where=sa.text("taken_at IS NULL")
    )


def _prove(table: str, columns: tuple[str, ...], target: str) -> None:
    """Every statement that inserts into `table` must point at rows that are there."""
    same = " AND ".join(f"there.{column} = added.{column}" for column in columns)
    named = ", ".join(columns)
    op.execute(
        f"""
        CREATE FUNCTION prove_{table}() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$ BEGIN
            -- A look-up a row, by index: a join might be planned while the tables are small, and kept.
            IF EXISTS (
                SELECT FROM (SELECT DISTINCT {named} FROM fresh) AS added
                WHERE (SELECT true FROM {target} AS there WHERE {same} LIMIT 1) IS NULL
            ) THEN
                RAISE EXCEPTION 'a row of {table} points at no {target}' USING ERRCODE = 'foreign_key_violation';
            END IF;
            RETURN NULL;
        END $$
        """  # noqa: S608 - made of the constants above
    )
    op.execute(
        f"CREATE TRIGGER prove AFTER INSERT ON {table} REFERENCING NEW TABLE AS fresh"
        f" FOR EACH STATEMENT EXECUTE FUNCTION prove_{table}()"
    )


def downgrade() -> None:
    op.drop_index("ix_command_waiting", "command")
    op.drop_index("ix_reader_event_damaged", "reader_event")
    for name, table, target, columns in FOREIGN_KEYS:
        op.create_foreign_key(name, table, target, columns, columns)
    for table in ("reader", "sealed_record"):
        op.execute(f"DROP TRIGGER keep_whole ON {table}")
    for table, _ in KEPT:
        op.execute(f"DROP TRIGGER keep ON {table}")
    op.execute("DROP FUNCTION refuse_loss()")
    for table, _, _ in PROOFS:
        op.execute(f"DROP TRIGGER prove ON {table}")
        op.execute(f"DROP FUNCTION prove_{table}()")
