"""Access tokens of the JSON interface, and the acts that were done under an Idempotency-Key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
TABLES = ("access_token", "repeatable_act")


def upgrade() -> None:
    _create_tables()
    for table in TABLES:
        here = "organisation_id = (SELECT doorstep_organisation())"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP_ROLE}")
    # A program shows a token before its organisation is known: the one row of that very token may be read.
    op.execute(
        "CREATE POLICY look_up ON access_token FOR SELECT USING"
        " ('access-token:' || encode(secret_hash, 'hex') = (SELECT current_setting('doorstep.lookup', true)))"
    )


def _create_tables() -> None:
    op.create_table(
        "access_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("acts", ARRAY(sa.String(length=30)), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_access_token_account_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_access_token_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_token")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_access_token_secret_hash")),
    )
    op.create_index("ix_access_token_account", "access_token", ["account_id", "created_at"])
    op.create_table(
        "repeatable_act",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_repeatable_act_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_repeatable_act_organisation_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "key_hash", name=op.f("pk_repeatable_act")),
    )
    op.create_index("ix_repeatable_act_at", "repeatable_act", ["account_id", "at"])


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
