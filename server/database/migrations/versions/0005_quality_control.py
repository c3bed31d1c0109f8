"""Quality-control tests have a table of their own; a cassette is found in every test that names it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"


def upgrade() -> None:
    op.create_table(
        "quality_test",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("material", sa.String(length=64), nullable=False),
        sa.Column("material_lot", sa.String(length=64), nullable=True),
        sa.Column("level", sa.String(length=64), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("assay", sa.String(length=64), nullable=False),
        sa.Column("assay_version", sa.BigInteger(), nullable=False),
        sa.Column("lot", sa.String(length=64), nullable=True),
        sa.Column("serial", sa.String(length=64), nullable=True),
        sa.Column("operator", sa.String(length=64), nullable=True),
        sa.Column("gtin", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("algorithm", sa.String(length=64), nullable=False),
        sa.Column("firmware", sa.String(length=64), nullable=False),
        sa.Column("analytes", JSONB(), nullable=False),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tested_uncertainty_ms", sa.BigInteger(), nullable=True),
        sa.Column("time_basis", sa.String(length=20), nullable=False),
        sa.Column("checks", sa.BigInteger(), nullable=False),
        sa.Column("recomputed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recomputation", sa.String(length=20), nullable=True),
        sa.Column("recomputed_outcome", sa.SmallInteger(), nullable=True),
        sa.Column("recomputed_reason", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["reader_id", "number"],
            ["sealed_record.reader_id", "sealed_record.number"],
            name=op.f("fk_quality_test_reader_id_number"),
        ),
        sa.PrimaryKeyConstraint("reader_id", "number", name=op.f("pk_quality_test")),
    )
    op.create_index("ix_quality_test_state", "quality_test", ["organisation_id", "reader_id", "assay", "number"])
    op.create_index("ix_quality_test_received", "quality_test", ["organisation_id", "received_at"])
    op.create_index(
        "ix_quality_test_recompute",
        "quality_test",
        ["organisation_id"],
        postgresql_where=sa.text("recomputed_at IS NULL"),
    )
    for table in ("quality_test", "result"):
        op.create_index(
            f"ix_{table}_cassette",
            table,
            ["organisation_id", "gtin", "lot", "serial"],
            postgresql_where=sa.text("serial IS NOT NULL"),
        )
    here = "organisation_id = (SELECT doorstep_organisation())"
    op.execute("ALTER TABLE quality_test ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE quality_test FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_organisation ON quality_test USING ({here}) WITH CHECK ({here})")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON quality_test TO {APP_ROLE}")


def downgrade() -> None:
    op.drop_index("ix_result_cassette", "result")
    op.drop_table("quality_test")
