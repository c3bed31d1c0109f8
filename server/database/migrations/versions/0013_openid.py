"""Sign-in by an organisation's own provider: the provider, the links to its subjects, and sessions that came by it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
TABLES = ("openid_provider", "openid_link")


def upgrade() -> None:
    op.add_column("sign_in", sa.Column("by_provider", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sign_in", sa.Column("factor_met", sa.Boolean(), nullable=False, server_default=sa.false()))
    _create_tables()
    for table in TABLES:
        here = "organisation_id = (SELECT doorstep_organisation())"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
    # Before anybody is known the provider is found by the name in the address, or because it is on the sign-in page.
    asked = "(SELECT current_setting('doorstep.lookup', true))"
    op.execute(
        "CREATE POLICY look_up ON openid_provider FOR SELECT"
        f" USING ('openid:' || name = {asked} OR (listed AND {asked} = 'openid-listed:'))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON openid_provider TO {APP_ROLE}")
    op.execute(f"GRANT SELECT, INSERT, DELETE ON openid_link TO {APP_ROLE}")


def _create_tables() -> None:
    op.create_table(
        "openid_provider",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.String(length=400), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("client_secret", sa.LargeBinary(), nullable=False),
        sa.Column("acr", JSONB(), nullable=False),
        sa.Column("amr", JSONB(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_openid_provider_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_openid_provider")),
        sa.UniqueConstraint("name", name=op.f("uq_openid_provider_name")),
    )
    op.create_table(
        "openid_link",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(length=400), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_openid_link_account_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_openid_link_organisation_id")),
        sa.PrimaryKeyConstraint("organisation_id", "issuer", "subject", name=op.f("pk_openid_link")),
        sa.UniqueConstraint(
            "organisation_id", "issuer", "account_id", name=op.f("uq_openid_link_organisation_id_issuer_account_id")
        ),
    )
    op.create_index(op.f("ix_openid_link_account_id"), "openid_link", ["account_id"])


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    # What a provider vouched for must not go on as a session that a password opened.
    op.execute("DELETE FROM sign_in WHERE by_provider")
    op.drop_column("sign_in", "factor_met")
    op.drop_column("sign_in", "by_provider")
