"""The first tables, their row-level security and the role that it binds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"

TENANT_TABLES = (
    "account",
    "audit_entry",
    "command",
    "custody",
    "enrolment_code",
    "hub",
    "quarantine",
    "reader",
    "reader_event",
    "reader_key",
    "result",
    "sealed_record",
    "sighting",
    "sign_in",
    "site",
    "spent_assertion",
    "ticket_issue",
)

# Before an organisation is known, one row may be read by naming its key: see server/database/tenancy.py.
LOOK_UPS = {
    "organisation": "(SELECT current_setting('doorstep.lookup', true)) IN ('organisation:' || name, 'organisations')",
    "hub": "'hub:' || encode(hub_id, 'hex') = (SELECT current_setting('doorstep.lookup', true))",
    "enrolment_code": "'enrolment:' || encode(code_hash, 'hex') = (SELECT current_setting('doorstep.lookup', true))",
    "account": "'account:' || email = (SELECT current_setting('doorstep.lookup', true))",
    "sign_in": "'sign-in:' || encode(id_hash, 'hex') = (SELECT current_setting('doorstep.lookup', true))",
    "reader": "(SELECT starts_with(current_setting('doorstep.lookup', true), 'readers:')) AND"
    " encode(reader_id, 'hex') = ANY"
    " (SELECT unnest(string_to_array(substr(current_setting('doorstep.lookup', true), 9), ',')))",
}


def upgrade() -> None:
    _create_role()
    _create_tables()
    # Sealed bytes are random to a compressor: do not try.
    op.execute("ALTER TABLE sealed_record ALTER COLUMN sealed SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE quarantine ALTER COLUMN content SET STORAGE EXTERNAL")
    _secure()


def _create_role() -> None:
    """The role the server acts as. It outlives a downgrade, because other databases of the cluster may use it."""
    op.execute(
        f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
                CREATE ROLE {APP_ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
            END IF;
            IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                EXECUTE format('GRANT {APP_ROLE} TO %I', current_user);
            END IF;
        END $$
        """  # noqa: S608 - the role's name is the constant above
    )


def _create_tables() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("name", name=op.f("uq_organisation_name")),
    )
    op.create_table(
        "server_epoch",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_epoch")),
    )
    op.create_table(
        "sign_in_throttle",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_throttle")),
    )
    op.create_index(op.f("ix_sign_in_throttle_failed_at"), "sign_in_throttle", ["failed_at"], unique=False)
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_account_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("email", name=op.f("uq_account_email")),
    )
    op.create_index(op.f("ix_account_organisation_id"), "account", ["organisation_id"], unique=False)
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("purpose", sa.String(length=200), nullable=True),
        sa.Column("subject_kind", sa.String(length=30), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("detail", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_audit_entry_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_subject", "audit_entry", ["organisation_id", "subject_kind", "subject"], unique=False)
    op.create_table(
        "site",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_site_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_site_organisation_id_name")),
    )
    op.create_index(op.f("ix_site_organisation_id"), "site", ["organisation_id"], unique=False)
    op.create_table(
        "enrolment_code",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hub_id", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_enrolment_code_organisation_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_enrolment_code_site_id")),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_enrolment_code")),
    )
    op.create_index(op.f("ix_enrolment_code_organisation_id"), "enrolment_code", ["organisation_id"], unique=False)
    op.create_table(
        "hub",
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("public_key", JSONB(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("software", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_hub_organisation_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_hub_site_id")),
        sa.PrimaryKeyConstraint("hub_id", name=op.f("pk_hub")),
    )
    op.create_index(op.f("ix_hub_organisation_id"), "hub", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_hub_site_id"), "hub", ["site_id"], unique=False)
    op.create_table(
        "reader",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("firmware", sa.String(length=64), nullable=True),
        sa.Column("battery_percent", sa.Integer(), nullable=True),
        sa.Column("flags", sa.BigInteger(), nullable=True),
        sa.Column("down_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_reader_organisation_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_reader_site_id")),
        sa.PrimaryKeyConstraint("reader_id", name=op.f("pk_reader")),
        sa.UniqueConstraint("organisation_id", "reader_id", name=op.f("uq_reader_organisation_id_reader_id")),
    )
    op.create_index(op.f("ix_reader_site_id"), "reader", ["site_id"], unique=False)
    op.create_table(
        "sign_in",
        sa.Column("id_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_sign_in_account_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_sign_in_organisation_id")),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_sign_in")),
    )
    op.create_index(op.f("ix_sign_in_account_id"), "sign_in", ["account_id"], unique=False)
    op.create_index(op.f("ix_sign_in_organisation_id"), "sign_in", ["organisation_id"], unique=False)
    op.create_table(
        "command",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_command_organisation_id")),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.reader_id"], name=op.f("fk_command_reader_id")),
        sa.PrimaryKeyConstraint("reader_id", "number", name=op.f("pk_command")),
    )
    op.create_index(op.f("ix_command_organisation_id"), "command", ["organisation_id"], unique=False)
    op.create_table(
        "custody",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("held_to", sa.BigInteger(), nullable=False),
        sa.Column("held_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issued_to", sa.BigInteger(), nullable=False),
        sa.Column("released_to", sa.BigInteger(), nullable=False),
        sa.Column("forked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_custody_organisation_id")),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.reader_id"], name=op.f("fk_custody_reader_id")),
        sa.PrimaryKeyConstraint("reader_id", name=op.f("pk_custody")),
    )
    op.create_index(op.f("ix_custody_organisation_id"), "custody", ["organisation_id"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("reader_id", sa.LargeBinary(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["hub_id"], ["hub.hub_id"], name=op.f("fk_quarantine_hub_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_quarantine_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint(
            "organisation_id", "digest", "code", name=op.f("uq_quarantine_organisation_id_digest_code")
        ),
    )
    op.create_index(op.f("ix_quarantine_reader_id"), "quarantine", ["reader_id"], unique=False)
    op.create_table(
        "reader_key",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_reader_key_organisation_id")),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.reader_id"], name=op.f("fk_reader_key_reader_id")),
        sa.PrimaryKeyConstraint("reader_id", "generation", name=op.f("pk_reader_key")),
    )
    op.create_index(op.f("ix_reader_key_organisation_id"), "reader_key", ["organisation_id"], unique=False)
    op.create_table(
        "sealed_record",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("chain_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "reader_id"],
            ["reader.organisation_id", "reader.reader_id"],
            name=op.f("fk_sealed_record_organisation_id_reader_id"),
        ),
        sa.PrimaryKeyConstraint("reader_id", "number", name=op.f("pk_sealed_record")),
    )
    op.create_table(
        "sighting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("boot_id", sa.LargeBinary(), nullable=False),
        sa.Column("uptime_ms", sa.BigInteger(), nullable=False),
        sa.Column("hub_ms", sa.BigInteger(), nullable=False),
        sa.Column("uncertainty_ms", sa.BigInteger(), nullable=False),
        sa.Column("hub_posted_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_number", sa.BigInteger(), nullable=False),
        sa.Column("next_number", sa.BigInteger(), nullable=False),
        sa.Column("released_to", sa.BigInteger(), nullable=False),
        sa.Column("down_number", sa.BigInteger(), nullable=False),
        sa.Column("battery_percent", sa.SmallInteger(), nullable=False),
        sa.Column("flags", sa.BigInteger(), nullable=False),
        sa.Column("firmware", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["hub_id"], ["hub.hub_id"], name=op.f("fk_sighting_hub_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_sighting_organisation_id")),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.reader_id"], name=op.f("fk_sighting_reader_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sighting")),
        sa.UniqueConstraint(
            "reader_id", "hub_id", "boot_id", "uptime_ms", name=op.f("uq_sighting_reader_id_hub_id_boot_id_uptime_ms")
        ),
    )
    op.create_index("ix_sighting_anchor", "sighting", ["reader_id", "boot_id", "uptime_ms"], unique=False)
    op.create_index(op.f("ix_sighting_organisation_id"), "sighting", ["organisation_id"], unique=False)
    op.create_table(
        "spent_assertion",
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("jti_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["hub_id"], ["hub.hub_id"], name=op.f("fk_spent_assertion_hub_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_spent_assertion_organisation_id")
        ),
        sa.PrimaryKeyConstraint("hub_id", "jti_hash", name=op.f("pk_spent_assertion")),
    )
    op.create_index(op.f("ix_spent_assertion_expires_at"), "spent_assertion", ["expires_at"], unique=False)
    op.create_index(op.f("ix_spent_assertion_organisation_id"), "spent_assertion", ["organisation_id"], unique=False)
    op.create_table(
        "ticket_issue",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["hub_id"], ["hub.hub_id"], name=op.f("fk_ticket_issue_hub_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_ticket_issue_organisation_id")),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.reader_id"], name=op.f("fk_ticket_issue_reader_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_issue")),
    )
    op.create_index("ix_ticket_issue_latest", "ticket_issue", ["hub_id", "reader_id", "expires_at"], unique=False)
    op.create_index(op.f("ix_ticket_issue_organisation_id"), "ticket_issue", ["organisation_id"], unique=False)
    op.create_table(
        "reader_event",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.SmallInteger(), nullable=False),
        sa.Column("detail", sa.String(length=64), nullable=True),
        sa.Column("numbers", JSONB(), nullable=False),
        sa.Column("firmware", sa.String(length=64), nullable=False),
        sa.Column("boot_id", sa.LargeBinary(), nullable=False),
        sa.Column("uptime_ms", sa.BigInteger(), nullable=False),
        sa.Column("wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("clock_source", sa.SmallInteger(), nullable=False),
        sa.Column("wall_uncertainty_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["reader_id", "number"],
            ["sealed_record.reader_id", "sealed_record.number"],
            name=op.f("fk_reader_event_reader_id_number"),
        ),
        sa.PrimaryKeyConstraint("reader_id", "number", name=op.f("pk_reader_event")),
    )
    op.create_index("ix_reader_event_received", "reader_event", ["organisation_id", "received_at"], unique=False)
    op.create_table(
        "result",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("hub_id", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("specimen", sa.String(length=64), nullable=False),
        sa.Column("assay", sa.String(length=64), nullable=False),
        sa.Column("assay_version", sa.BigInteger(), nullable=False),
        sa.Column("lot", sa.String(length=64), nullable=True),
        sa.Column("serial", sa.String(length=64), nullable=True),
        sa.Column("operator", sa.String(length=64), nullable=True),
        sa.Column("gtin", sa.String(length=64), nullable=True),
        sa.Column("expiry", sa.String(length=64), nullable=True),
        sa.Column("calibration", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("algorithm", sa.String(length=64), nullable=False),
        sa.Column("firmware", sa.String(length=64), nullable=False),
        sa.Column("analytes", JSONB(), nullable=False),
        sa.Column("boot_id", sa.LargeBinary(), nullable=False),
        sa.Column("uptime_ms", sa.BigInteger(), nullable=False),
        sa.Column("wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("clock_source", sa.SmallInteger(), nullable=False),
        sa.Column("wall_uncertainty_ms", sa.BigInteger(), nullable=True),
        sa.Column("started_ms", sa.BigInteger(), nullable=True),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("read_ms", sa.BigInteger(), nullable=True),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tested_uncertainty_ms", sa.BigInteger(), nullable=True),
        sa.Column("time_basis", sa.String(length=20), nullable=False),
        sa.Column("ambient_cc", sa.Integer(), nullable=True),
        sa.Column("lowest_cc", sa.Integer(), nullable=True),
        sa.Column("highest_cc", sa.Integer(), nullable=True),
        sa.Column("battery_mv", sa.Integer(), nullable=True),
        sa.Column("checks", sa.BigInteger(), nullable=False),
        sa.Column("recomputed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recomputation", sa.String(length=20), nullable=True),
        sa.Column("recomputed_outcome", sa.SmallInteger(), nullable=True),
        sa.Column("recomputed_reason", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["reader_id", "number"],
            ["sealed_record.reader_id", "sealed_record.number"],
            name=op.f("fk_result_reader_id_number"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_result")),
        sa.UniqueConstraint("reader_id", "number", name=op.f("uq_result_reader_id_number")),
    )
    op.create_index(
        "ix_result_recompute",
        "result",
        ["organisation_id"],
        unique=False,
        postgresql_where=sa.text("recomputed_at IS NULL"),
    )
    op.create_index("ix_result_specimen", "result", ["organisation_id", "specimen"], unique=False)
    op.create_index(
        "ix_result_untimed",
        "result",
        ["reader_id", "boot_id"],
        unique=False,
        postgresql_where=sa.text("time_basis <> 'anchor'"),
    )
    op.create_index("ix_result_worklist", "result", ["organisation_id", "outcome", "received_at"], unique=False)


def _secure() -> None:
    """Row-level security on every table that belongs to an organisation, forced on the owner too; least grants."""
    op.execute(
        """
        CREATE FUNCTION doorstep_organisation() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT nullif(current_setting('doorstep.organisation', true), '')::uuid $$
        """
    )
    for table in ("organisation", *TENANT_TABLES):
        column = "id" if table == "organisation" else "organisation_id"
        here = f"{column} = (SELECT doorstep_organisation())"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO {APP_ROLE}")
    for table, condition in LOOK_UPS.items():
        op.execute(f"CREATE POLICY look_up ON {table} FOR SELECT USING ({condition})")
    for table in ("sign_in", "spent_assertion"):
        op.execute(f"GRANT DELETE ON {table} TO {APP_ROLE}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_throttle TO {APP_ROLE}")
    op.execute(f"REVOKE UPDATE ON audit_entry FROM {APP_ROLE}")
    op.execute(f"GRANT SELECT ON server_epoch TO {APP_ROLE}")
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege'; END $$
        """
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entry"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute("CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON audit_entry EXECUTE FUNCTION refuse_change()")
    # gen_random_uuid is the server's strong random source; its version and variant bits leave too few in one half.
    op.execute(
        "INSERT INTO server_epoch (epoch, why, began_at)"
        " SELECT substr(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 1, 8), 'first', now()"
    )


def downgrade() -> None:
    op.drop_table("result")
    op.drop_table("reader_event")
    op.drop_table("ticket_issue")
    op.drop_table("spent_assertion")
    op.drop_table("sighting")
    op.drop_table("sealed_record")
    op.drop_table("reader_key")
    op.drop_table("quarantine")
    op.drop_table("custody")
    op.drop_table("command")
    op.drop_table("sign_in")
    op.drop_table("reader")
    op.drop_table("hub")
    op.drop_table("enrolment_code")
    op.drop_table("site")
    op.drop_table("audit_entry")
    op.drop_table("account")
    op.drop_table("sign_in_throttle")
    op.drop_table("server_epoch")
    op.drop_table("organisation")
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("DROP FUNCTION doorstep_organisation()")
