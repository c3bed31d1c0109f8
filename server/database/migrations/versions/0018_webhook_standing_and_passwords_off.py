"""When an organisation's webhook last delivered and last failed; since when its people sign in by its provider only."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook", sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("webhook", sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("webhook", sa.Column("failure", sa.String(length=60), nullable=False, server_default=""))
    op.add_column("openid_provider", sa.Column("passwords_off_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("openid_provider", "passwords_off_at")
    op.drop_column("webhook", "failure")
    op.drop_column("webhook", "failed_at")
    op.drop_column("webhook", "delivered_at")
