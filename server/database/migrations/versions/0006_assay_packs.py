"""Assay packs that an organisation loads, and which command carries which of them to a reader."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
NEW_TABLES = ("assay_pack", "assay_sending")


def upgrade() -> None:
    op.create_table(
        "assay_pack",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("assay", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("pack", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_assay_pack_organisation_id")),
        sa.PrimaryKeyConstraint("organisation_id", "assay", "version", name=op.f("pk_assay_pack")),
    )
    op.create_table(
        "assay_sending",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("assay", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_assay_sending_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["reader_id", "number"],
            ["command.reader_id", "command.number"],
            name=op.f("fk_assay_sending_reader_id_number"),
        ),
        sa.PrimaryKeyConstraint("reader_id", "number", name=op.f("pk_assay_sending")),
    )
    op.create_index("ix_assay_sending_newest", "assay_sending", ["organisation_id", "assay", "reader_id", "number"])
    here = "organisation_id = (SELECT doorstep_organisation())"
    for table in NEW_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        # A version is never changed and never goes: not by the role that the server runs as.
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {APP_ROLE}")


def downgrade() -> None:
    for table in reversed(NEW_TABLES):
        op.drop_table(table)
