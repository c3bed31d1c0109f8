"""Follow-ups, what was done with each, the policies they are opened under, and hours of work."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
TABLES = ("follow_up", "follow_up_event", "follow_up_policy", "working_hours")


def upgrade() -> None:
    _create_policy_tables()
    _create_follow_up_tables()
    for table in TABLES:
        here = "organisation_id = (SELECT doorstep_organisation())"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO {APP_ROLE}")
    # What was done is evidence.
    op.execute(f"REVOKE UPDATE ON follow_up_event FROM {APP_ROLE}")


def _create_policy_tables() -> None:
    op.create_table(
        "follow_up_policy",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("assay", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("urgency", sa.SmallInteger(), nullable=False),
        sa.Column("acknowledge_min", sa.Integer(), nullable=False),
        sa.Column("act_min", sa.Integer(), nullable=False),
        sa.Column("working_hours", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("deputy_id", sa.Uuid(), nullable=True),
        sa.Column("lead_id", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        *(
            sa.ForeignKeyConstraint([column], ["account.id"], name=op.f(f"fk_follow_up_policy_{column}"))
            for column in ("owner_id", "deputy_id", "lead_id", "made_by")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_follow_up_policy_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_up_policy")),
        sa.UniqueConstraint(
            "organisation_id",
            "assay",
            "outcome",
            "version",
            name=op.f("uq_follow_up_policy_organisation_id_assay_outcome_version"),
        ),
    )
    op.create_index(
        "ix_follow_up_policy_current",
        "follow_up_policy",
        ["organisation_id", "assay", "outcome"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "working_hours",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("days", ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("opens", sa.Time(), nullable=False),
        sa.Column("closes", sa.Time(), nullable=False),
        sa.Column("on_call_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["on_call_id"], ["account.id"], name=op.f("fk_working_hours_on_call_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_working_hours_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_working_hours")),
    )


def _create_follow_up_tables() -> None:
    op.create_table(
        "follow_up",
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("assay", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("urgency", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_for", sa.String(length=20), nullable=False),
        sa.Column("acknowledge_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contacted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending", sa.String(length=30), nullable=True),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("tries_needed", sa.SmallInteger(), nullable=False),
        sa.Column("escalation", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_follow_up_organisation_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_follow_up_owner_id")),
        sa.ForeignKeyConstraint(["result_id"], ["result.id"], name=op.f("fk_follow_up_result_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_follow_up_site_id")),
        sa.PrimaryKeyConstraint("result_id", name=op.f("pk_follow_up")),
        # No result waits without a time by which somebody must act.
        sa.CheckConstraint("(state IN (5, 6)) = (due_at IS NULL)", name=op.f("ck_follow_up_due")),
    )
    op.create_index(
        "ix_follow_up_due",
        "follow_up",
        ["organisation_id", "due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_follow_up_owner", "follow_up", ["organisation_id", "owner_id", "state"])
    op.create_index("ix_follow_up_opened", "follow_up", ["organisation_id", "opened_at"])
    op.create_table(
        "follow_up_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("act", sa.String(length=20), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("note", sa.String(length=2_000), nullable=False),
        sa.Column("detail", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_follow_up_event_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_follow_up_event_organisation_id")
        ),
        sa.ForeignKeyConstraint(["result_id"], ["follow_up.result_id"], name=op.f("fk_follow_up_event_result_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_up_event")),
        sa.UniqueConstraint("result_id", "version", name=op.f("uq_follow_up_event_result_id_version")),
    )


def downgrade() -> None:
    op.drop_table("follow_up_event")
    op.drop_table("follow_up")
    op.drop_table("working_hours")
    op.drop_table("follow_up_policy")
