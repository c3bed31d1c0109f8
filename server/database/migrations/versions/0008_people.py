"""People, which specimens are theirs, and the history of both."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
TABLES = ("patient", "patient_change", "specimen_link")


def upgrade() -> None:
    _create_people()
    _create_links()
    for table in TABLES:
        here = "organisation_id = (SELECT doorstep_organisation())"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO {APP_ROLE}")
    op.execute(f"REVOKE UPDATE ON patient_change FROM {APP_ROLE}")


def _create_people() -> None:
    op.create_table(
        "patient",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("given", sa.String(length=100), nullable=False),
        sa.Column("family", sa.String(length=100), nullable=False),
        sa.Column("family_plain", sa.String(length=100), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("nhs_number", sa.String(length=10), nullable=True),
        sa.Column("nhs_status", sa.String(length=20), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("phone_plain", sa.String(length=9), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("address", sa.String(length=400), nullable=False),
        sa.Column("postcode", sa.String(length=12), nullable=False),
        sa.Column("language", sa.String(length=60), nullable=False),
        sa.Column("safe_contact", sa.String(length=400), nullable=False),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["merged_into"], ["patient.id"], name=op.f("fk_patient_merged_into")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_patient_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
    )
    op.create_index(
        "ix_patient_nhs_number",
        "patient",
        ["organisation_id", "nhs_number"],
        unique=True,
        postgresql_where=sa.text("nhs_number IS NOT NULL AND merged_into IS NULL"),
    )
    op.create_index("ix_patient_birth_date", "patient", ["organisation_id", "birth_date"])
    op.create_index("ix_patient_family", "patient", ["organisation_id", "family_plain"])
    op.create_index(
        "ix_patient_phone",
        "patient",
        ["organisation_id", "phone_plain"],
        postgresql_where=sa.text("phone_plain <> ''"),
    )
    op.create_table(
        "patient_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=True),
        sa.Column("before", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_patient_change_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_patient_change_organisation_id")
        ),
        sa.ForeignKeyConstraint(["other_id"], ["patient.id"], name=op.f("fk_patient_change_other_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_patient_change_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_change")),
    )
    op.create_index("ix_patient_change", "patient_change", ["patient_id", "id"])


def _create_links() -> None:
    op.create_table(
        "specimen_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("specimen", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("linked_by", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("why_ended", sa.String(length=400), nullable=False),
        sa.ForeignKeyConstraint(["ended_by"], ["account.id"], name=op.f("fk_specimen_link_ended_by")),
        sa.ForeignKeyConstraint(["linked_by"], ["account.id"], name=op.f("fk_specimen_link_linked_by")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_specimen_link_organisation_id")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_specimen_link_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_specimen_link")),
    )
    op.create_index(
        "ix_specimen_link_current",
        "specimen_link",
        ["organisation_id", "specimen"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_specimen_link_patient", "specimen_link", ["patient_id"])


def downgrade() -> None:
    op.drop_table("specimen_link")
    op.drop_table("patient_change")
    op.drop_table("patient")
