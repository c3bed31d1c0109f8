"""Evidence is append-only to the application; what hubs claim is no longer custody; alarms, and attempts at quarantine.

Until now a hub's word of a reader's next number raised `issued_to`, and its word of what was released was believed
whole: both are brought back to what is held.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
OPENED = ("custody", "sealed_record", "reader_event")
# Rows of these are written once.
WRITTEN_ONCE = ("sealed_record", "reader_event", "sighting", "ticket_issue", "reader_key")
NEW_TABLES = ("custody_alert", "custody_policy", "quarantine_attempt")
# What a reader said, as it was opened: recomputation and times stand beside it.
SAID = (
    "specimen, assay, assay_version, lot, serial, operator, gtin, expiry, calibration, outcome, reason, algorithm,"
    " firmware, analytes, boot_id, uptime_ms, wall_ms, clock_source, wall_uncertainty_ms, started_ms, due_ms, read_ms,"
    " ambient_cc, lowest_cc, highest_cc, battery_mv, checks"
)


def upgrade() -> None:
    for table in WRITTEN_ONCE:
        op.execute(f"REVOKE UPDATE ON {table} FROM {APP_ROLE}")
    op.execute(f"REVOKE UPDATE ON quarantine FROM {APP_ROLE}")
    op.execute(f"GRANT UPDATE (status, processed_at) ON quarantine TO {APP_ROLE}")
    # Its owner too must mean it, by disabling the trigger.
    op.execute("CREATE TRIGGER keep_bytes BEFORE UPDATE ON sealed_record FOR EACH ROW EXECUTE FUNCTION refuse_loss()")
    op.execute(
        f"CREATE TRIGGER keep_said BEFORE UPDATE OF {SAID} ON result FOR EACH ROW EXECUTE FUNCTION refuse_loss()"
    )
    op.add_column("custody", sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("custody", sa.Column("down_to", sa.BigInteger(), nullable=False, server_default="0"))
    op.alter_column("custody", "down_to", server_default=None)
    op.add_column("command", sa.Column("refusal", sa.SmallInteger(), nullable=True))
    op.create_index("ix_sighting_next", "sighting", ["reader_id", "next_number"])
    _correct_custody()
    _create_tables()


def _correct_custody() -> None:
    """As the owner whom row-level security binds otherwise."""
    for table in OPENED:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(
        """
        UPDATE custody SET released_to = least(released_to, held_to), issued_to = greatest(held_to, s.number),
            heard_at = s.received_at, down_to = coalesce((
                SELECT max((numbers ->> 0)::bigint) FROM reader_event e
                WHERE e.reader_id = custody.reader_id AND e.code = 5 AND jsonb_typeof(numbers -> 0) = 'number'
            ), 0)
        FROM (
            SELECT c.reader_id, last.number, last.received_at FROM custody c LEFT JOIN LATERAL (
                SELECT number, received_at FROM sealed_record
                WHERE sealed_record.reader_id = c.reader_id ORDER BY number DESC LIMIT 1
            ) AS last ON true
        ) AS s
        WHERE s.reader_id = custody.reader_id
        """
    )
    for table in OPENED:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def _create_tables() -> None:
    op.create_table(
        "custody_alert",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_custody_alert_organisation_id")
        ),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.reader_id"], name=op.f("fk_custody_alert_reader_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custody_alert")),
    )
    op.create_index(
        "ix_custody_alert_open",
        "custody_alert",
        ["organisation_id", "reader_id", "kind"],
        unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "custody_policy",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("silent_hours", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_custody_policy_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_custody_policy")),
    )
    op.create_table(
        "quarantine_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("quarantine_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_quarantine_attempt_organisation_id")
        ),
        sa.ForeignKeyConstraint(["quarantine_id"], ["quarantine.id"], name=op.f("fk_quarantine_attempt_quarantine_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine_attempt")),
    )
    op.create_index("ix_quarantine_attempt_of", "quarantine_attempt", ["quarantine_id", "id"])
    op.create_index(op.f("ix_quarantine_attempt_organisation_id"), "quarantine_attempt", ["organisation_id"])
    here = "organisation_id = (SELECT doorstep_organisation())"
    for table in NEW_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {APP_ROLE}")
    op.execute(f"GRANT UPDATE (cleared_at) ON custody_alert TO {APP_ROLE}")
    op.execute(f"GRANT UPDATE ON custody_policy TO {APP_ROLE}")


def downgrade() -> None:
    for table in reversed(NEW_TABLES):
        op.drop_table(table)
    op.drop_index("ix_sighting_next", "sighting")
    op.drop_column("command", "refusal")
    op.drop_column("custody", "down_to")
    op.drop_column("custody", "heard_at")
    op.execute("DROP TRIGGER keep_said ON result")
    op.execute("DROP TRIGGER keep_bytes ON sealed_record")
    for table in (*WRITTEN_ONCE, "quarantine"):
        op.execute(f"GRANT UPDATE ON {table} TO {APP_ROLE}")
