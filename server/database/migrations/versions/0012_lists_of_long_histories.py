"""Indexes for what grew with the history: an assay that is rarely used, and what waits, in the order of its list.

By EXPLAIN with a million results: the worklist of an assay with few results walked all of one outcome to find them
(545 ms, and 16 with ten thousand results); a team's list was put together whole before its first page was taken.

Each index is built with writes to its table held back, some seconds for a million results; hubs offer again what was
refused meanwhile. Whoever holds the table for longer than the time-out of a lock makes the migration give up instead.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_result_assay", "result", ["organisation_id", "outcome", "assay", "received_at", "id"])
    op.create_index(
        "ix_follow_up_waiting",
        "follow_up",
        ["organisation_id", "urgency", "due_at", "result_id"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_quarantine_open", "quarantine", ["organisation_id", "code"], postgresql_where=sa.text("status = 'open'")
    )


def downgrade() -> None:
    op.drop_index("ix_quarantine_open", "quarantine")
    op.drop_index("ix_follow_up_waiting", "follow_up")
    op.drop_index("ix_result_assay", "result")
