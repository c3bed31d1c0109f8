"""Releases of the readers' application and rollouts of one to an organisation's readers.

Releases belong to no organisation: they are the installation's, and no row of them is ever changed.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
# What of a row is changed once it is there: how a rollout and its readers stand, never what or whom it is for.
CHANGED = {
    "rollout": "state, why, wave, settled_at, changed_at",
    "rollout_reader": "stage, changed_at, number, stop_number, after_record, record, trial_record, detail,"
    " excused_record, active",
    "rollout_notice": "sent_at, tries, retry_at",
}


def upgrade() -> None:
    _create_release()
    _create_rollout()
    _create_rollout_reader()
    _create_rollout_notice()
    # Only what a stage and a fault after an update are read from.
    op.create_index(
        "ix_reader_event_updates", "reader_event", ["reader_id", "number"], postgresql_where=sa.text("code IN (2, 8)")
    )
    op.execute(f"GRANT SELECT, INSERT ON firmware_release TO {APP_ROLE}")
    here = "organisation_id = (SELECT doorstep_organisation())"
    for table, columns in CHANGED.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE ({columns}) ON {table} TO {APP_ROLE}")


def _create_release() -> None:
    op.create_table(
        "firmware_release",
        sa.Column("image_id", sa.LargeBinary(), nullable=False),
        sa.Column("model", sa.String(length=160), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("follows", sa.BigInteger(), nullable=False),
        sa.Column("manifest_bytes", sa.Integer(), nullable=False),
        sa.Column("manifest_hash", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("bill", sa.LargeBinary(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_firmware_release")),
        sa.UniqueConstraint("model", "release", name=op.f("uq_firmware_release_model_release")),
        sa.CheckConstraint("follows < release", name=op.f("ck_firmware_release_follows")),
        sa.CheckConstraint("size = length(content)", name=op.f("ck_firmware_release_size")),
    )
    # Kept as it is, so that a part of it is read without the rest.
    op.execute("ALTER TABLE firmware_release ALTER COLUMN content SET STORAGE EXTERNAL")


def _create_rollout() -> None:
    op.create_table(
        "rollout",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("why", sa.String(length=400), nullable=False),
        sa.Column("canary", sa.Integer(), nullable=False),
        sa.Column("shares", JSONB(), nullable=False),
        sa.Column("soak_hours", sa.Integer(), nullable=False),
        sa.Column("limit_percent", sa.Integer(), nullable=False),
        sa.Column("wave", sa.SmallInteger(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["firmware_release.image_id"], name=op.f("fk_rollout_image_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_rollout_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout")),
        sa.CheckConstraint("state IN ('running', 'paused', 'stopped', 'done')", name=op.f("ck_rollout_state")),
    )
    op.create_index(
        "ix_rollout_under_way",
        "rollout",
        ["organisation_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('running', 'paused')"),
    )
    op.create_index("ix_rollout_started", "rollout", ["organisation_id", "started_at", "id"])


def _create_rollout_reader() -> None:
    op.create_table(
        "rollout_reader",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("wave", sa.SmallInteger(), nullable=False),
        sa.Column("stage", sa.String(length=10), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("stop_number", sa.BigInteger(), nullable=True),
        sa.Column("after_record", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.BigInteger(), nullable=True),
        sa.Column("trial_record", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.String(length=64), nullable=False),
        sa.Column("excused_record", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_rollout_reader_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["reader_id", "number"],
            ["command.reader_id", "command.number"],
            name=op.f("fk_rollout_reader_reader_id_number"),
        ),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.reader_id"], name=op.f("fk_rollout_reader_reader_id")),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.id"], name=op.f("fk_rollout_reader_rollout_id")),
        sa.PrimaryKeyConstraint("rollout_id", "reader_id", name=op.f("pk_rollout_reader")),
        sa.CheckConstraint("(stage = 'waiting') = (number IS NULL)", name=op.f("ck_rollout_reader_sent")),
    )
    op.create_index(op.f("ix_rollout_reader_organisation_id"), "rollout_reader", ["organisation_id"])
    op.create_index(
        "ix_rollout_reader_active", "rollout_reader", ["reader_id"], unique=True, postgresql_where=sa.text("active")
    )
    op.create_index("ix_rollout_reader_stage", "rollout_reader", ["rollout_id", "stage", "reader_id"])
    op.create_index("ix_rollout_reader_reader", "rollout_reader", ["reader_id"])


def _create_rollout_notice() -> None:
    op.create_table(
        "rollout_notice",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_rollout_notice_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_rollout_notice_organisation_id")
        ),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.id"], name=op.f("fk_rollout_notice_rollout_id")),
        sa.PrimaryKeyConstraint("rollout_id", "paused_at", "account_id", name=op.f("pk_rollout_notice")),
    )
    op.create_index(
        "ix_rollout_notice_unsent", "rollout_notice", ["organisation_id"], postgresql_where=sa.text("sent_at IS NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_reader_event_updates", "reader_event")
    for table in reversed(CHANGED):
        op.drop_table(table)
    op.drop_table("firmware_release")
