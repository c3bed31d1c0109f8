"""Registrations that hubs seal in the field, and the organisations' keys for them.

A person may now be registered, and a specimen linked, by a hub instead of an account. An erased person's registrations
go with them: the function that erases, as it stands, is given that step.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
TABLES = ("registration_key", "registration")
_ERASER = "doorstep_erase(uuid, uuid[], uuid[])"
# Before the links that say whose a specimen is.
_BEFORE = "DELETE FROM public.specimen_link l"
_STEP = """DELETE FROM public.registration g
        WHERE g.organisation_id = here AND (
            g.patient_id = ANY (everybody) OR g.specimen IN (
                SELECT l.specimen FROM public.specimen_link l
                WHERE l.organisation_id = here AND l.patient_id = ANY (everybody) AND l.ended_at IS NULL
            ) OR g.specimen = ANY (specimens) AND NOT EXISTS (
                SELECT FROM public.result r WHERE r.organisation_id = here AND r.specimen = g.specimen
            )
        );
    """


def upgrade() -> None:
    _create_tables()
    here = "organisation_id = (SELECT doorstep_organisation())"
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP_ROLE}")
    for table, by in (("patient_change", "account_id"), ("specimen_link", "linked_by")):
        op.alter_column(table, by, nullable=True)
        op.add_column(table, sa.Column("hub_id", sa.LargeBinary(), nullable=True))
        op.create_foreign_key(op.f(f"fk_{table}_hub_id"), table, "hub", ["hub_id"], ["hub_id"])
        op.create_check_constraint(op.f(f"ck_{table}_author"), table, f"({by} IS NULL) <> (hub_id IS NULL)")
    _redefine(_BEFORE, _STEP + _BEFORE)


def _create_tables() -> None:
    op.create_table(
        "registration_key",
        sa.Column("key_id", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_registration_key_organisation_id")
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_registration_key")),
    )
    op.create_index(
        "ix_registration_key_current",
        "registration_key",
        ["organisation_id"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_table(
        "registration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("registration_id", sa.LargeBinary(), nullable=True),
        sa.Column("maker", sa.LargeBinary(), nullable=True),
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("sentence", sa.String(length=400), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("specimen", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("consent_asked", sa.String(length=200), nullable=False),
        sa.Column("consent_by", sa.String(length=100), nullable=False),
        sa.Column("consent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("local_identifiers", JSONB(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Uuid(), nullable=True),
        sa.Column("why", sa.String(length=400), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["hub_id"], ["hub.hub_id"], name=op.f("fk_registration_hub_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_registration_organisation_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_registration_patient_id")),
        sa.ForeignKeyConstraint(["settled_by"], ["account.id"], name=op.f("fk_registration_settled_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration")),
        sa.CheckConstraint("(state = 'quarantined') = (sealed <> '')", name=op.f("ck_registration_sealed")),
        sa.CheckConstraint(
            "(state IN ('waiting', 'undecided')) = (content <> '')", name=op.f("ck_registration_content")
        ),
    )
    op.create_index(
        "ix_registration_registration_id",
        "registration",
        ["organisation_id", "registration_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'quarantined'"),
    )
    op.create_index(
        "ix_registration_digest",
        "registration",
        ["organisation_id", "digest"],
        unique=True,
        postgresql_where=sa.text("state = 'quarantined'"),
    )
    op.create_index("ix_registration_state", "registration", ["organisation_id", "state", "received_at"])
    op.create_index("ix_registration_patient", "registration", ["patient_id"])
    op.create_index("ix_registration_specimen", "registration", ["organisation_id", "specimen"])


def _redefine(old: str, new: str) -> None:
    definition: str = (
        op.get_bind()
        .execute(sa.text("SELECT pg_get_functiondef(CAST(:name AS regprocedure))"), {"name": _ERASER})
        .scalar_one()
    )
    if definition.count(old) != 1:
        raise RuntimeError(f"{_ERASER} is not as this migration knows it")
    op.get_bind().exec_driver_sql(definition.replace(old, new).replace("%", "%%"))


def downgrade() -> None:
    _redefine(_STEP + _BEFORE, _BEFORE)
    for table, by in (("patient_change", "account_id"), ("specimen_link", "linked_by")):
        op.drop_constraint(op.f(f"ck_{table}_author"), table, type_="check")
        op.drop_constraint(op.f(f"fk_{table}_hub_id"), table, type_="foreignkey")
        op.drop_column(table, "hub_id")
        op.alter_column(table, by, nullable=False)
    for table in reversed(TABLES):
        op.drop_table(table)
