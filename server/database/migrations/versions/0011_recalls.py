"""Recalls with the results they marked, and who acknowledged negatives."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"


def upgrade() -> None:
    # Recalls look through results in the order of their arrival, whatever the outcome, a portion at a time.
    op.create_index("ix_result_received", "result", ["organisation_id", "received_at", "id"])
    _create_recall()
    _create_acknowledgement()
    for table in ("recall", "recalled_result", "acknowledgement"):
        here = "organisation_id = (SELECT doorstep_organisation())"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {APP_ROLE}")
    # What was recalled, and why, is never altered; how far it was looked through and its lifting are.
    columns = "lifted_at, lifted_by, why_lifted, looked_to, looked_id, whole_at"
    op.execute(f"GRANT UPDATE ({columns}) ON recall TO {APP_ROLE}")


def _create_recall() -> None:
    op.create_table(
        "recall",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("lot", sa.String(length=64), nullable=True),
        sa.Column("reader_id", sa.LargeBinary(), nullable=True),
        sa.Column("firmware", sa.String(length=64), nullable=True),
        sa.Column("algorithm", sa.String(length=64), nullable=True),
        sa.Column("tested_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tested_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=2_000), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Uuid(), nullable=True),
        sa.Column("why_lifted", sa.String(length=2_000), nullable=False),
        sa.Column("looked_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_id", sa.Uuid(), nullable=True),
        sa.Column("whole_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_recall_organisation_id")),
        sa.ForeignKeyConstraint(["made_by"], ["account.id"], name=op.f("fk_recall_made_by")),
        sa.ForeignKeyConstraint(["lifted_by"], ["account.id"], name=op.f("fk_recall_lifted_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall")),
        # A recall of everything is none that a person meant.
        sa.CheckConstraint("num_nonnulls(lot, reader_id, firmware, algorithm) > 0", name=op.f("ck_recall_of_what")),
        sa.CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name=op.f("ck_recall_lifted")),
    )
    op.create_index("ix_recall_made", "recall", ["organisation_id", "made_at"])
    op.create_index("ix_recall_in_force", "recall", ["organisation_id"], postgresql_where=sa.text("lifted_at IS NULL"))
    op.create_table(
        "recalled_result",
        sa.Column("recall_id", sa.Uuid(), nullable=False),
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("did", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_recalled_result_organisation_id")
        ),
        sa.ForeignKeyConstraint(["recall_id"], ["recall.id"], name=op.f("fk_recalled_result_recall_id")),
        sa.ForeignKeyConstraint(["result_id"], ["result.id"], name=op.f("fk_recalled_result_result_id")),
        sa.PrimaryKeyConstraint("recall_id", "result_id", name=op.f("pk_recalled_result")),
    )
    op.create_index("ix_recalled_result", "recalled_result", ["result_id"])


def _create_acknowledgement() -> None:
    op.create_table(
        "acknowledgement",
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_acknowledgement_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_acknowledgement_organisation_id")
        ),
        sa.ForeignKeyConstraint(["result_id"], ["result.id"], name=op.f("fk_acknowledgement_result_id")),
        sa.PrimaryKeyConstraint("result_id", name=op.f("pk_acknowledgement")),
    )


def downgrade() -> None:
    op.drop_table("acknowledgement")
    op.drop_table("recalled_result")
    op.drop_table("recall")
    op.drop_index("ix_result_received", "result")
