"""How long what is kept, erasures with what they destroyed, and the one way in which evidence can be destroyed.

What hubs brought stays written once. The exception is one function of the tables' owner, which the server's role may
call and cannot change: it destroys the bytes of a record, and what was opened from them, only where an erasure is under
way, nobody is waited for, and the bytes still are what the chain says; and it leaves a row that says so.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

APP_ROLE = "doorstep_app"
TABLES = ("retention_rule", "erasure", "erased_record", "erased_person")
# How far an erasure has come; all else of it is written once.
PROGRESS = "results, people, bytes_set_aside, held_back, finished_at, digest"


def upgrade() -> None:
    _create_tables()
    here = "organisation_id = (SELECT doorstep_organisation())"
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_organisation ON {table} USING ({here}) WITH CHECK ({here})")
        op.execute(f"GRANT SELECT ON {table} TO {APP_ROLE}")
    op.execute(f"GRANT INSERT, UPDATE ON retention_rule TO {APP_ROLE}")
    op.execute(f"GRANT INSERT, UPDATE ({PROGRESS}) ON erasure TO {APP_ROLE}")
    _keep_certificates()
    _let_erased_bytes_go()
    op.execute(_ERASE)
    op.execute(_CLEAR)
    for signature in ("doorstep_erase(uuid, uuid[], uuid[])", "doorstep_clear(uuid, timestamptz, integer)"):
        op.execute(f"REVOKE EXECUTE ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {APP_ROLE}")


def _create_tables() -> None:
    op.create_table(
        "retention_rule",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("months", sa.Integer(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_retention_rule_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "kind", name=op.f("pk_retention_rule")),
        sa.CheckConstraint("months > 0", name=op.f("ck_retention_rule_months")),
    )
    op.create_table(
        "erasure",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("because", sa.String(length=20), nullable=False),
        sa.Column("cutoffs", JSONB(), nullable=False),
        sa.Column("named", JSONB(), nullable=False),
        sa.Column("results", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("bytes_set_aside", sa.Integer(), nullable=False),
        sa.Column("held_back", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_erasure_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        sa.CheckConstraint("(finished_at IS NULL) = (digest IS NULL)", name=op.f("ck_erasure_finished")),
    )
    op.create_index("ix_erasure_made", "erasure", ["organisation_id", "made_at"])
    op.create_table(
        "erased_record",
        sa.Column("reader_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("chain_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.id"], name=op.f("fk_erased_record_erasure_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_erased_record_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["reader_id", "number"],
            ["sealed_record.reader_id", "sealed_record.number"],
            name=op.f("fk_erased_record_reader_id_number"),
        ),
        sa.PrimaryKeyConstraint("reader_id", "number", name=op.f("pk_erased_record")),
    )
    op.create_index("ix_erased_record_erasure", "erased_record", ["erasure_id"])
    op.create_index("ix_erased_record_result", "erased_record", ["result_id"])
    op.create_table(
        "erased_person",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.id"], name=op.f("fk_erased_person_erasure_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_erased_person_organisation_id")
        ),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_erased_person")),
    )
    op.create_index("ix_erased_person_erasure", "erased_person", ["erasure_id"])


def _keep_certificates() -> None:
    """A finished erasure is a certificate: nobody alters it, and what was destroyed is never said otherwise."""
    op.execute("CREATE TRIGGER keep BEFORE DELETE ON erasure FOR EACH ROW EXECUTE FUNCTION refuse_loss()")
    op.execute(
        "CREATE TRIGGER keep_finished BEFORE UPDATE ON erasure FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL)"
        " EXECUTE FUNCTION refuse_loss()"
    )
    for table in ("erased_record", "erased_person"):
        op.execute(
            f"CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_loss()"
        )


def _let_erased_bytes_go() -> None:
    """The bytes of a record can become none, where `erased_record` says so and all else of the row stays."""
    op.execute(
        """
        CREATE FUNCTION refuse_loss_unless_erased() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN
            IF NEW.sealed = '' AND to_jsonb(NEW) - 'sealed' = to_jsonb(OLD) - 'sealed' AND EXISTS (
                SELECT FROM public.erased_record e WHERE e.reader_id = OLD.reader_id AND e.number = OLD.number
            ) THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'a row of % stays where it is', TG_TABLE_NAME USING ERRCODE = 'foreign_key_violation';
        END $$
        """
    )
    op.execute("DROP TRIGGER keep_bytes ON sealed_record")
    op.execute(
        "CREATE TRIGGER keep_bytes BEFORE UPDATE ON sealed_record"
        " FOR EACH ROW EXECUTE FUNCTION refuse_loss_unless_erased()"
    )


# `chosen` results and whatever is said to be `persons`' now. What is under way is locked first, so that a follow-up
# that is opened meanwhile is seen or waits and finds nothing.
_ERASE = """
CREATE FUNCTION doorstep_erase(which uuid, chosen uuid[], persons uuid[], OUT results integer, OUT people integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    here uuid := public.doorstep_organisation();
    everybody uuid[];
    gone uuid[];
    specimens text[];
BEGIN
    PERFORM FROM public.erasure WHERE id = which AND organisation_id = here AND finished_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such erasure is under way' USING ERRCODE = 'insufficient_privilege';
    END IF;
    WITH RECURSIVE entry AS (
        SELECT id FROM public.patient WHERE organisation_id = here AND id = ANY (persons)
        UNION
        SELECT p.id FROM public.patient p JOIN entry ON p.merged_into = entry.id WHERE p.organisation_id = here
    )
    SELECT coalesce(array_agg(id), '{}') INTO everybody FROM entry;
    PERFORM FROM public.patient WHERE id = ANY (everybody) ORDER BY id FOR UPDATE;
    SELECT coalesce(array_agg(id), '{}'), coalesce(array_agg(DISTINCT specimen), '{}') INTO gone, specimens FROM (
        SELECT r.id, r.specimen FROM public.result r
        WHERE r.organisation_id = here AND (
            r.id = ANY (chosen) OR r.specimen IN (
                SELECT l.specimen FROM public.specimen_link l
                WHERE l.organisation_id = here AND l.patient_id = ANY (everybody) AND l.ended_at IS NULL
            )
        )
        ORDER BY r.id FOR UPDATE
    ) AS locked;
    PERFORM FROM public.follow_up WHERE result_id = ANY (gone) ORDER BY result_id FOR UPDATE;
    IF EXISTS (SELECT FROM public.follow_up WHERE result_id = ANY (gone) AND due_at IS NOT NULL) THEN
        RAISE EXCEPTION 'somebody is waited for' USING ERRCODE = 'object_in_use';
    END IF;
    IF EXISTS (
        SELECT FROM public.result r
        JOIN public.custody c ON c.reader_id = r.reader_id
        JOIN public.sealed_record s ON s.reader_id = r.reader_id AND s.number = r.number
        WHERE r.id = ANY (gone) AND (s.number > c.held_to OR substr(sha256(s.sealed), 1, 16) <> s.chain_hash)
    ) THEN
        RAISE EXCEPTION 'a record is not proved to be what its chain says' USING ERRCODE = 'object_in_use';
    END IF;
    INSERT INTO public.erased_record (reader_id, number, organisation_id, erasure_id, result_id, chain_hash, at)
        SELECT s.reader_id, s.number, here, which, r.id, s.chain_hash, now()
        FROM public.result r JOIN public.sealed_record s ON s.reader_id = r.reader_id AND s.number = r.number
        WHERE r.id = ANY (gone);
    UPDATE public.quarantine q
        SET content = '', sentence = 'Erased.', status = 'processed', processed_at = coalesce(q.processed_at, now())
        FROM public.result r JOIN public.sealed_record s ON s.reader_id = r.reader_id AND s.number = r.number
        WHERE r.id = ANY (gone) AND q.organisation_id = here AND q.reader_id = s.reader_id AND q.number = s.number
          AND substr(q.digest, 1, 16) = s.chain_hash;
    UPDATE public.sealed_record s SET sealed = ''
        FROM public.result r WHERE r.id = ANY (gone) AND s.reader_id = r.reader_id AND s.number = r.number;
    DELETE FROM public.notice WHERE result_id = ANY (gone);
    DELETE FROM public.follow_up_event WHERE result_id = ANY (gone);
    DELETE FROM public.follow_up WHERE result_id = ANY (gone);
    DELETE FROM public.acknowledgement WHERE result_id = ANY (gone);
    DELETE FROM public.recalled_result WHERE result_id = ANY (gone);
    DELETE FROM public.correction WHERE result_id = ANY (gone);
    DELETE FROM public.result WHERE id = ANY (gone);
    DELETE FROM public.specimen_link l
        WHERE l.organisation_id = here AND (
            l.patient_id = ANY (everybody) OR l.specimen = ANY (specimens) AND NOT EXISTS (
                SELECT FROM public.result r WHERE r.organisation_id = here AND r.specimen = l.specimen
            )
        );
    DELETE FROM public.patient_change WHERE patient_id = ANY (everybody);
    UPDATE public.patient_change SET other_id = NULL WHERE other_id = ANY (everybody);
    UPDATE public.patient SET merged_into = NULL WHERE id = ANY (everybody);
    DELETE FROM public.patient WHERE id = ANY (everybody);
    INSERT INTO public.erased_person (patient_id, organisation_id, erasure_id, at)
        SELECT unnest(everybody), here, which, now() ON CONFLICT (patient_id) DO NOTHING;
    results := cardinality(gone);
    people := cardinality(everybody);
END $$
"""

# Bytes that were set aside and dealt with before a time.
_CLEAR = """
CREATE FUNCTION doorstep_clear(which uuid, before timestamptz, portion integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    here uuid := public.doorstep_organisation();
    cleared integer;
BEGIN
    PERFORM FROM public.erasure WHERE id = which AND organisation_id = here AND finished_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such erasure is under way' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE public.quarantine SET content = '', sentence = 'Erased.'
        WHERE id IN (
            SELECT id FROM public.quarantine
            WHERE organisation_id = here AND status = 'processed' AND processed_at < before AND content <> ''
            ORDER BY id LIMIT portion FOR UPDATE
        );
    GET DIAGNOSTICS cleared = ROW_COUNT;
    RETURN cleared;
END $$
"""


def downgrade() -> None:
    op.execute("DROP FUNCTION doorstep_clear(uuid, timestamptz, integer)")
    op.execute("DROP FUNCTION doorstep_erase(uuid, uuid[], uuid[])")
    op.execute("DROP TRIGGER keep_bytes ON sealed_record")
    op.execute("CREATE TRIGGER keep_bytes BEFORE UPDATE ON sealed_record FOR EACH ROW EXECUTE FUNCTION refuse_loss()")
    op.execute("DROP FUNCTION refuse_loss_unless_erased()")
    for table in ("erased_person", "erased_record", "erasure", "retention_rule"):
        op.drop_table(table)
