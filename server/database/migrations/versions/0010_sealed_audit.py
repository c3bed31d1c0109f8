"""The audit log is sealed by a chain of digests; entries say which transaction wrote them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION doorstep_epoch() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT max(id) FROM public.server_epoch $$
        """
    )
    # What stands there gets this transaction: it is sealed with the first that follow.
    op.execute("ALTER TABLE audit_entry ADD COLUMN epoch bigint NOT NULL DEFAULT doorstep_epoch()")
    op.execute("ALTER TABLE audit_entry ADD COLUMN xact bigint NOT NULL DEFAULT (pg_current_xact_id()::text)::bigint")
    op.create_index("ix_audit_unsealed", "audit_entry", ["organisation_id", "epoch", "xact"])
    op.create_index("ix_audit_at", "audit_entry", ["organisation_id", "at"])
    op.create_index("ix_audit_action", "audit_entry", ["organisation_id", "action", "id"])
    op.create_table(
        "audit_seal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("from_xact", sa.BigInteger(), nullable=False),
        sa.Column("to_xact", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_audit_seal_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_seal")),
    )
    op.create_index("ix_audit_seal_organisation", "audit_seal", ["organisation_id", "id"])
    here = "organisation_id = (SELECT doorstep_organisation())"
    op.execute("ALTER TABLE audit_seal ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE audit_seal FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_organisation ON audit_seal USING ({here}) WITH CHECK ({here})")
    op.execute(f"GRANT SELECT, INSERT ON audit_seal TO {APP_ROLE}")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_seal FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute("CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON audit_seal EXECUTE FUNCTION refuse_change()")


def downgrade() -> None:
    op.drop_table("audit_seal")
    op.drop_index("ix_audit_action", "audit_entry")
    op.drop_index("ix_audit_at", "audit_entry")
    op.drop_index("ix_audit_unsealed", "audit_entry")
    op.drop_column("audit_entry", "xact")
    op.drop_column("audit_entry", "epoch")
    op.execute("DROP FUNCTION doorstep_epoch()")
