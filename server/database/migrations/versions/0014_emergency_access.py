"""Uses of emergency access and the privacy lead who is told of them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
TABLES = ("emergency_access", "privacy_lead")


def upgrade() -> None:
    op.create_table(
        "emergency_access",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("sign_in", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=1_000), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_by", sa.Uuid(), nullable=True),
        sa.Column("review_note", sa.String(length=2_000), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_emergency_access_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_emergency_access_organisation_id")
        ),
        sa.ForeignKeyConstraint(["reviewed_by"], ["account.id"], name=op.f("fk_emergency_access_reviewed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency_access")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_emergency_access_reason")),
        sa.CheckConstraint("reviewed_by <> account_id", name=op.f("ck_emergency_access_reviewed_by_another")),
        sa.CheckConstraint(
            "(reviewed_at IS NULL) = (reviewed_by IS NULL)", name=op.f("ck_emergency_access_reviewed_at")
        ),
    )
    op.create_index("ix_emergency_access_began", "emergency_access", ["organisation_id", "began_at"])
    op.create_index(
        "ix_emergency_access_open",
        "emergency_access",
        ["sign_in"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "privacy_lead",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_privacy_lead_account_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_privacy_lead_organisation_id")),
        sa.ForeignKeyConstraint(["set_by"], ["account.id"], name=op.f("fk_privacy_lead_set_by")),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_privacy_lead")),
    )
    for table in TABLES:
        here = "organisation_id = (SELECT doorstep_organisation())"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {APP_ROLE}")
    # Who had it, why and until when is never altered; how it went on is.
    columns = "ended_at, told_at, tries, retry_at, reviewed_at, reviewed_by, review_note"
    op.execute(f"GRANT UPDATE ({columns}) ON emergency_access TO {APP_ROLE}")
    op.execute(f"GRANT UPDATE ON privacy_lead TO {APP_ROLE}")


def downgrade() -> None:
    op.drop_table("privacy_lead")
    op.drop_table("emergency_access")
