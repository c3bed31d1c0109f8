"""Reminders: when somebody is told next, who was told, and procrastinate's own tables in a schema of their own."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"


def upgrade() -> None:
    op.add_column("follow_up", sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE follow_up SET remind_at = due_at")
    op.create_check_constraint(op.f("ck_follow_up_remind"), "follow_up", "(due_at IS NULL) = (remind_at IS NULL)")
    op.create_index(
        "ix_follow_up_remind",
        "follow_up",
        ["organisation_id", "remind_at"],
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("urgency", sa.SmallInteger(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_notice_organisation_id")),
        sa.ForeignKeyConstraint(["recipient_id"], ["account.id"], name=op.f("fk_notice_recipient_id")),
        sa.ForeignKeyConstraint(["result_id"], ["follow_up.result_id"], name=op.f("fk_notice_result_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint(
            "result_id",
            "opened_at",
            "due_at",
            "level",
            "recipient_id",
            name=op.f("uq_notice_result_id_opened_at_due_at_level_recipient_id"),
        ),
    )
    op.create_index(
        "ix_notice_unsent",
        "notice",
        ["organisation_id", "recipient_id"],
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    here = "organisation_id = (SELECT doorstep_organisation())"
    op.execute("ALTER TABLE notice ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE notice FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_organisation ON notice USING ({here}) WITH CHECK ({here})")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON notice TO {APP_ROLE}")
    _create_jobs()


def _create_jobs() -> None:
    connection = op.get_bind()
    op.execute("CREATE SCHEMA jobs")
    before = connection.exec_driver_sql("SHOW search_path").scalar_one()
    op.execute("SET LOCAL search_path TO jobs")
    # The driver's own call without parameters: the text holds percent signs that are none.
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(SchemaManager.get_schema())
    connection.execute(sa.text("SELECT set_config('search_path', :before, true)"), {"before": before})
    op.execute(f"GRANT USAGE ON SCHEMA jobs TO {APP_ROLE}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO {APP_ROLE}")
    op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO {APP_ROLE}")


def downgrade() -> None:
    op.execute("DROP SCHEMA jobs CASCADE")
    op.drop_table("notice")
    op.drop_column("follow_up", "remind_at")
