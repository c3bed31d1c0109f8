"""No query crosses an organisation: every table, as the role that the server runs as."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from reader import outcome, wire
from server.accounts.service import Viewer
from server.custody import again, alerts
from server.database import tenancy
from server.database.engine import APP_ROLE, Sessions, make_engine
from server.database.tables import metadata
from tests.reader.stubs.packs import pack
from tests.server import factory
from tests.server.audit.test_sealing import seal
from tests.server.conftest import ACTOR, Database, Ward
from tests.server.quality.test_records import control
from tests.server.registrations import sealing as sealing_registrations

# Tables that belong to no organisation, and why.
GLOBAL = {
    "server_epoch": "one server, one history",
    "firmware_release": "releases are the installation's, and no secret; what is sent to whom is an organisation's",
    "sign_in_throttle": "before sign-in no organisation is known; it holds keyed hashes only",
}
TENANT = sorted(set(metadata.tables) - set(GLOBAL))


@pytest.fixture
async def full(ward: Ward) -> Ward:
    """A ward with rows in as many tables as an ordinary day fills."""
    from server.accounts import service as accounts
    from server.assays import service as assays
    from server.results import service as results

    reader = await ward.reader()
    event = reader.seal(factory.event(moment=reader.moment()))
    positive = reader.seal(factory.result(outcome_code=outcome.POSITIVE, moment=reader.moment()))
    await ward.exchange([event, *reader.results(1), positive, b"junk"], sightings=[factory.sighting(reader)])
    withheld = await ward.reader("Withheld")
    await ward.exchange(withheld.results(3)[2:])
    await ward.exchange([reader.seal(control(reader))])
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await alerts.set_silence(session, ward.id, 100, ACTOR)
        await alerts.review(session, ward.id)
    await asyncio.to_thread(again.process, ward.pool, ward.keyring, ward.id, ACTOR)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await assays.load(session, ward.organisation, pack("sars2-ag", version=2), ACTOR)
        await assays.send(session, ward.keyring, ward.organisation, "sars2-ag", 2, None, ACTOR)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        account = await accounts.create_user(
            session, f"{os.urandom(4).hex()}@example.org", "A Person", "clinician", "correct staple lantern", ward.id
        )
        await session.flush()
        await (await session.connection()).execute(
            text(
                "INSERT INTO sign_in (id_hash, organisation_id, account_id, csrf, created_at, expires_at, seen_at)"
                " VALUES (:id, :organisation, :account, 'x', now(), now(), now())"
            ),
            {"id": os.urandom(32), "organisation": ward.id, "account": account.id},
        )
    await sealing_registrations.offer(ward, await sealing_registrations.registered(ward, specimen="S-FIELD"))
    await _rollout(ward)
    await _second_factor(ward, account.id)
    await _provider(ward, account.id)
    await _emergency(ward, account.id)
    await _program(ward, account.id)
    [row] = await ward.rows("SELECT result_id AS id FROM follow_up")
    await _follow_up(ward, account.id, row.id)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await results.read_patient_data(session, ward.keyring, ACTOR, ward.id, "care", row.id)
    assert await seal(ward) > 0
    return ward


async def _rollout(ward: Ward) -> None:
    from server.accounts import service as accounts
    from server.database.columns import now
    from server.updates import repository
    from tests.server.updates import images

    rollout_id = await images.started(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await accounts.create_user(session, f"{os.urandom(4).hex()}@example.org", "A Lead", "lead", None, ward.id)
        await session.flush()
        await repository.tell_leads(session, rollout_id, now())


async def _second_factor(ward: Ward, account_id: UUID) -> None:
    from server.accounts import factor_repository
    from server.accounts.models import SecondFactor

    async with tenancy.transaction(ward.sessions, ward.id) as session:
        factor = SecondFactor(account_id=account_id, organisation_id=ward.id, secret=b"encrypted")
        assert await factor_repository.begin(session, factor)
        await factor_repository.keep_recovery(session, ward.id, account_id, [os.urandom(32)])
        await factor_repository.set_rule(session, ward.id, ["auditor"])


async def _provider(ward: Ward, account_id: UUID) -> None:
    from server.database.columns import now
    from server.openid import repository

    values = {
        "name": f"ward-{os.urandom(4).hex()}", "label": "Ward", "listed": False, "issuer": "https://ward.example.org",
        "client_id": "doorstep", "client_secret": b"encrypted", "acr": [], "amr": [], "set_at": now(),
    }  # fmt: skip
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await repository.keep_provider(session, ward.id, values)
        assert await repository.link(session, ward.id, "https://ward.example.org", "subject", account_id, now())


async def _emergency(ward: Ward, account_id: UUID) -> None:
    from server.database.columns import now
    from server.emergency import repository
    from server.emergency.models import EmergencyAccess, PrivacyLead

    async with tenancy.transaction(ward.sessions, ward.id) as session:
        lead = PrivacyLead(organisation_id=ward.id, account_id=account_id, set_by=account_id)
        await repository.set_privacy_lead(session, lead)
        access = EmergencyAccess(
            organisation_id=ward.id, account_id=account_id, sign_in=os.urandom(32), role="operator",
            reason="Nobody else was there", ends_at=now() + timedelta(hours=1),
        )  # fmt: skip
        assert await repository.add(session, access)


async def _program(ward: Ward, account_id: UUID) -> None:
    from server.accounts import tokens
    from server.accounts.service import Viewer
    from server.api import repeating

    viewer = Viewer(account_id, ward.id, "", "A Person", "a@example.org", "clinician", "csrf", b"a session")

    async def done() -> UUID:
        return account_id

    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await tokens.make(session, viewer, "A program", 1, None)
        await repeating.once(session, viewer, "key", "nothing", None, done)


async def _follow_up(ward: Ward, account_id: UUID, result_id: UUID) -> None:
    from server.database.columns import now
    from server.followup import escalation, repository, service
    from server.followup.models import Acknowledgement, FollowUpPolicy, WorkingHours
    from server.followup.states import Act, Step
    from server.patients import service as patients
    from server.recalls import service as recalls
    from server.recalls.repository import Scope

    person = Viewer(account_id, ward.id, ward.organisation.name, "A Person", "a@example.org", "clinician", "csrf", b"")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.act(session, person, result_id, 0, Step(Act.ACKNOWLEDGE))
        session.add(
            WorkingHours(
                organisation_id=ward.id, zone="Europe/London", days=[0, 1, 2, 3, 4], opens=time(8), closes=time(18)
            )
        )
        policy = FollowUpPolicy(
            organisation_id=ward.id, assay="*", outcome=outcome.POSITIVE, version=0, urgency=1, acknowledge_min=60,
            act_min=240, working_hours=True, tries=3, made_by=account_id,
        )  # fmt: skip
        await repository.supersede(session, policy)
        assert await escalation.escalate(session, now() + timedelta(days=30)) == 1
        patient = await patients.register(session, person, patients.Entry("A", "Person"))
        await patients.link(session, person, "S-1", patient.id, ("name", "address"))
    lead = replace(person, role="lead")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        recall = await recalls.make(session, lead, Scope(firmware=factory.FIRMWARE), "The limits were wrong")
        session.add(Acknowledgement(result_id=result_id, organisation_id=ward.id, account_id=account_id))
    assert await recalls.go_on(ward.sessions, ward.id, recall.id)
    await _corrected_told_and_erased(ward, lead, result_id)


async def _corrected_told_and_erased(ward: Ward, lead: Viewer, result_id: UUID) -> None:
    from server.accounts import service as accounts
    from server.corrections import service as corrections
    from server.corrections.models import Kind
    from server.database.columns import now
    from server.followup import escalation
    from server.notices import webhook
    from server.patients import service as patients
    from server.retention import monthly
    from server.retention import service as retention
    from server.retention.models import Because
    from server.settings import Settings

    reader = await ward.reader("Erased")
    body = factory.result(specimen="ERASED-1", moment=reader.moment(), changes={wire.RES_SERIAL: "0002"})
    await ward.exchange([reader.seal(body)])
    settings = Settings.model_validate({"master_key": bytes(range(32)).hex()})
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await webhook.put(session, settings, ACTOR, ward.id, "https://alerts.example.org/")
        await escalation.escalate(session, now() + timedelta(days=60))
        await corrections.correct(session, lead, result_id, 0, Kind.WITHDRAWN, None, "Swapped")
        patient = await patients.register(session, lead, patients.Entry("An", "Other"))
        await patients.link(session, lead, "ERASED-1", patient.id, ("name", "address"))
        await retention.set_rules(session, ACTOR, ward.id, {retention.Kind.RESULTS: 120})
        email = f"{os.urandom(4).hex()}@example.org"
        await accounts.create_user(session, email, "A Person", "administrator", None, ward.id)
        await session.flush()
        await monthly.choose(session, ACTOR, ward.id, wanted=True)
        assert await monthly.look(session, ward.id, now(), ZoneInfo("Europe/London"))
        erasure = await retention.begin_person(session, ACTOR, ward.id, patient.id, Because.ASKED)
    assert await retention.go_on(ward.sessions, ward.id, erasure.id)


@pytest.fixture
async def app_connection(database: Database) -> AsyncIterator[AsyncConnection]:
    engine = make_engine(database.app, pool=1)
    async with engine.connect() as connection, connection.begin():
        yield connection
    await engine.dispose()


async def enter(connection: AsyncConnection, organisation_id: UUID | str) -> None:
    await connection.execute(
        text("SELECT set_config('doorstep.organisation', :id, true)"), {"id": str(organisation_id)}
    )


async def count(connection: AsyncConnection, table: str) -> int:
    return (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


async def test_the_server_runs_as_a_role_that_cannot_bypass_row_level_security(app_connection: AsyncConnection) -> None:
    row = (
        await app_connection.execute(
            text("SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        )
    ).one()
    assert tuple(row) == (APP_ROLE, False, False)
    # Nor can it become one that can: the embedded cluster lets it in under its own name only.
    assert (await app_connection.execute(text("SELECT session_user"))).scalar_one() == APP_ROLE
    owned = await app_connection.execute(text("SELECT tablename FROM pg_tables WHERE tableowner = current_user"))
    assert owned.all() == []


async def test_every_table_of_an_organisation_is_secured_and_forced(app_connection: AsyncConnection) -> None:
    rows = await app_connection.execute(
        text(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
    )
    secured = {row.relname: (row.relrowsecurity, row.relforcerowsecurity) for row in rows}
    assert set(secured) == {*TENANT, *GLOBAL, "alembic_version"}
    assert {table for table in TENANT if secured[table] != (True, True)} == set()
    rows = await app_connection.execute(
        text(
            "SELECT tablename, with_check IS NOT NULL AS checked FROM pg_policies WHERE policyname = 'own_organisation'"
        )
    )
    assert {(row.tablename, row.checked) for row in rows} == {(table, True) for table in TENANT}
    rows = await app_connection.execute(text("SELECT tablename, cmd FROM pg_policies WHERE policyname = 'look_up'"))
    assert {row.cmd for row in rows} == {"SELECT"}


async def test_each_table_shows_its_own_organisation_and_nothing_to_another_or_to_none(
    full: Ward, other_ward: Ward, app_connection: AsyncConnection
) -> None:
    own: dict[str, int] = {}
    for organisation_id in (full.id, other_ward.id, ""):
        await enter(app_connection, organisation_id)
        for table in TENANT:
            column = "id" if table == "organisation" else "organisation_id"
            seen = await app_connection.execute(text(f"SELECT DISTINCT {column} FROM {table}"))
            organisations = {row[0] for row in seen}
            if organisation_id == full.id:
                own[table] = len(organisations)
            assert organisations <= ({organisation_id} if organisation_id else set()), table
    empty = {table for table, found in own.items() if found == 0}
    assert empty == set(), "fill these in `full`, or this test shows nothing of them"


async def test_nothing_can_be_written_for_another_organisation_or_for_none(
    full: Ward, other_ward: Ward, app_connection: AsyncConnection
) -> None:
    for table in TENANT:
        if table == "organisation":
            continue
        columns = [column.name for column in metadata.tables[table].columns if not column.identity]
        names = ", ".join(columns)
        await enter(app_connection, full.id)
        for organisation_id in (other_ward.id, ""):
            # The very same row, were it not for whose it says it is.
            values = names.replace("organisation_id", "CAST(:other AS uuid)")
            copied = f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} LIMIT 1"
            may = await app_connection.execute(text(f"SELECT has_any_column_privilege('{table}', 'INSERT')"))
            refusal = r"row-level security|not-null" if may.scalar_one() else "permission denied"
            with pytest.raises(DBAPIError, match=refusal):
                async with app_connection.begin_nested():
                    await app_connection.execute(text(copied), {"other": organisation_id or None})


async def test_what_another_organisation_has_cannot_be_changed(
    full: Ward, other_ward: Ward, app_connection: AsyncConnection
) -> None:
    await enter(app_connection, other_ward.id)
    changeable = 0
    for table in TENANT:
        grants = await app_connection.execute(
            text(
                "SELECT column_name FROM information_schema.column_privileges WHERE table_name = :table"
                " AND privilege_type = 'UPDATE' AND grantee = :role"
            ),
            {"table": table, "role": APP_ROLE},
        )
        column = "id" if table == "organisation" else "organisation_id"
        for (name,) in grants.all():
            changeable += 1
            result = await app_connection.execute(
                text(f"UPDATE {table} SET {name} = {name} WHERE {column} = :id"), {"id": full.id}
            )
            assert result.rowcount == 0, (table, name)
    assert changeable > 50, "the tables of an ordinary day can be changed at all"


async def test_what_is_looked_up_by_its_key_is_one_row_and_can_only_be_read(
    full: Ward, app_connection: AsyncConnection
) -> None:
    await enter(app_connection, "")
    lookup = text("SELECT set_config('doorstep.lookup', :key, true)")
    await app_connection.execute(lookup, {"key": f"hub:{full.hub_id}"})
    assert await count(app_connection, "hub") == 1
    assert {table: await count(app_connection, table) for table in TENANT if table != "hub"} == dict.fromkeys(
        (table for table in TENANT if table != "hub"), 0
    )
    changed = await app_connection.execute(text("UPDATE hub SET name = 'stolen'"))
    assert changed.rowcount == 0
    for key in ("hub:", "hub:%", "", "organisation:", "readers:", "readers:,", "account:", "openid:"):
        await app_connection.execute(lookup, {"key": key})
        assert {table for table in TENANT if await count(app_connection, table)} == set(), key


async def test_the_organisation_is_gone_with_the_transaction(full: Ward, sessions: Sessions) -> None:
    async with sessions() as session:
        async with session.begin():
            await tenancy.enter(session, full.id)
            assert await count(await session.connection(), "result") == 3
        async with session.begin():
            assert await count(await session.connection(), "result") == 0


async def test_the_audit_log_takes_no_change_from_anybody(
    full: Ward, database: Database, app_connection: AsyncConnection
) -> None:
    await enter(app_connection, full.id)
    for statement in ("UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
        with pytest.raises(DBAPIError):
            async with app_connection.begin_nested():
                await app_connection.execute(text(statement))
    from sqlalchemy import create_engine

    from server.database.engine import driver_url

    owner = create_engine(driver_url(database.owner))
    for statement in ("UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
        with pytest.raises(DBAPIError, match="append-only"), owner.begin() as connection:
            connection.execute(text(statement))
    owner.dispose()
