"""A dry run of retention each month where an organisation wants it, and which administrators were told of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
GRANTS = {
    "retention_monthly": "SELECT, INSERT, DELETE",
    "retention_look": "SELECT, INSERT, UPDATE",
    "retention_notice": "SELECT, INSERT, UPDATE",
}


def upgrade() -> None:
    _create_tables()
    here = "organisation_id = (SELECT doorstep_organisation())"
    for table, granted in GRANTS.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT {granted} ON {table} TO {APP_ROLE}")


def _create_tables() -> None:
    op.create_table(
        "retention_monthly",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_retention_monthly_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_retention_monthly")),
    )
    op.create_table(
        "retention_look",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_retention_look_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_look")),
        sa.UniqueConstraint("organisation_id", "month", name=op.f("uq_retention_look_organisation_id_month")),
    )
    op.create_table(
        "retention_notice",
        sa.Column("look_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_retention_notice_account_id")),
        sa.ForeignKeyConstraint(["look_id"], ["retention_look.id"], name=op.f("fk_retention_notice_look_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_retention_notice_organisation_id")
        ),
        sa.PrimaryKeyConstraint("look_id", "account_id", name=op.f("pk_retention_notice")),
    )
    op.create_index(
        "ix_retention_notice_unsent",
        "retention_notice",
        ["organisation_id"],
        postgresql_where=sa.text("sent_at IS NULL"),
    )


def downgrade() -> None:
    for table in reversed(GRANTS):
        op.drop_table(table)
