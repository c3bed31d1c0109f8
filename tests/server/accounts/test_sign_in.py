"""Signing in and out: who gets in, who does not, and what nobody can find out or break by trying."""

import re
import statistics
import time
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from pwdlib import PasswordHash

from server.accounts import passwords, repository, service
from server.accounts.service import EmailTaken
from server.database import tenancy
from tests.server.running import PASSWORD, Organisation, Running


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def sign_in(browser: httpx.Client, email: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
    token = form_token(browser.get("/sign-in"))
    return browser.post("/sign-in", data={"csrf": token, "email": email, "password": password, **fields})


def rows(running: Running, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(running.owner_url) as link:
        return link.execute(statement, values).fetchall()  # pyright: ignore[reportArgumentType]


def test_a_person_signs_in_sees_the_worklist_and_signs_out(browser: httpx.Client, organisation: Organisation) -> None:
    assert browser.get("/").headers["location"] == "/sign-in"
    answer = sign_in(browser, organisation.email.upper())
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = browser.get("/")
    assert page.status_code == 200
    assert "Worklist" in page.text
    answer = browser.post("/sign-out", data={"csrf": form_token(page)})
    assert answer.headers["location"] == "/sign-in?signed-out"
    assert browser.get("/").headers["location"] == "/sign-in"


def test_the_page_that_was_wanted_comes_after_signing_in(browser: httpx.Client, organisation: Organisation) -> None:
    wanted = browser.get("/?outcome=positive").headers["location"]
    assert wanted == "/sign-in?next=/%3Foutcome%3Dpositive"
    page = browser.get(wanted)
    fields = {"csrf": form_token(page), "email": organisation.email, "password": PASSWORD}
    assert 'name="next" value="/?outcome=positive"' in page.text
    answer = browser.post("/sign-in", data={**fields, "next": "/?outcome=positive"})
    assert answer.headers["location"] == "/?outcome=positive"


@pytest.mark.parametrize("foreign", ["https://example.net/", "//example.net", "/\\example.net", "javascript:alert(1)"])
def test_signing_in_never_leads_to_another_site(
    browser: httpx.Client, organisation: Organisation, foreign: str
) -> None:
    assert sign_in(browser, organisation.email, next=foreign).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_person_get_the_same_answer(
    browser: httpx.Client, organisation: Organisation
) -> None:
    wrong = sign_in(browser, organisation.email, "wrong staple lantern")
    unknown = sign_in(browser, "nobody@example.org", "wrong staple lantern")
    assert wrong.status_code == unknown.status_code == 401
    same = [re.sub(r"csrf\" value=\"\w+|clinician\d+@|nobody@", "", page.text) for page in (wrong, unknown)]
    assert same[0] == same[1]
    assert "The email address or the password is not right" in wrong.text
    assert "wrong staple lantern" not in wrong.text


@pytest.mark.usefixtures("real_passwords")
def test_an_unknown_person_takes_as_long_as_a_known_one(running: Running, organisation: Organisation) -> None:
    sessions, secret = running.app.state.doorstep.sessions, running.settings.session_secret_bytes()

    def seconds(email: str, address: str) -> float:
        begun = time.perf_counter()
        with pytest.raises(service.SignInRefused):
            running.call(service.sign_in(sessions, email, "wrong", address, secret, timedelta(hours=1)))
        return time.perf_counter() - begun

    passwords.prepare()
    known = [seconds(organisation.email, f"192.0.2.{index}") for index in range(7)]
    unknown = [seconds(f"nobody{index}@example.org", f"192.0.2.{index}") for index in range(7)]
    # The work is the same; what a shared machine adds is not. Without the stand-in hash the ratio is near zero.
    assert 0.5 < statistics.median(unknown) / statistics.median(known) < 2


def test_tries_from_one_address_are_slowed_and_a_person_elsewhere_is_not(
    running: Running, organisation: Organisation
) -> None:
    sessions, secret = running.app.state.doorstep.sessions, running.settings.session_secret_bytes()

    def attempt(password: str, address: str) -> service.Opened:
        work = service.sign_in(sessions, organisation.email, password, address, secret, timedelta(hours=1))
        return running.call(work)

    for _ in range(repository.FREE_FAILURES):
        with pytest.raises(service.SignInRefused):
            attempt("wrong", "198.51.100.1")
    deepened(running)
    with pytest.raises(service.TooSoon) as slowed:
        attempt(PASSWORD, "198.51.100.1")
    assert 1 <= slowed.value.retry_after_s <= repository.LONGEST_WAIT_S
    assert attempt(PASSWORD, "203.0.113.9").account_id


def test_asking_while_a_wait_runs_does_not_make_it_longer(running: Running) -> None:
    sessions = running.app.state.doorstep.sessions
    begun = datetime.now(UTC)

    async def tries() -> list[float | None]:
        waits: list[float | None] = []
        async with tenancy.transaction(sessions) as session:
            for second in [*range(6), *([6] * 5), 400]:
                waits.append(await repository.count_attempt(session, b"k" * 32, begun + timedelta(seconds=second)))
        return waits

    waits = running.call(tries())
    assert waits[:4] == [None] * 4, "three failures are free, the fourth waits 1 s"
    assert waits[6:11] == [waits[6]] * 5
    assert waits[-1] is None


def test_the_wait_grows_to_five_minutes_and_no_further(running: Running) -> None:
    sessions = running.app.state.doorstep.sessions
    begun = datetime.now(UTC)

    async def tries() -> list[float]:
        waits: list[float] = []
        moment = begun
        async with tenancy.transaction(sessions) as session:
            for _ in range(40):
                wait = await repository.count_attempt(session, b"g" * 32, moment)
                if wait is not None:
                    waits.append(wait)
                    moment += timedelta(seconds=wait)
        return waits

    waits = running.call(tries())
    assert waits[:6] == [1, 2, 4, 8, 16, 32]
    assert waits[-1] == max(waits) == repository.LONGEST_WAIT_S


def test_a_form_without_its_token_is_refused(browser: httpx.Client, organisation: Organisation) -> None:
    browser.get("/sign-in")
    fields = {"email": organisation.email, "password": PASSWORD}
    assert browser.post("/sign-in", data=fields).status_code == 403
    assert browser.post("/sign-in", data={**fields, "csrf": "0" * 64}).status_code == 403
    sign_in(browser, organisation.email)
    assert browser.post("/sign-out", data={"csrf": "x"}).status_code == 403
    assert browser.get("/").status_code == 200


def test_a_token_of_one_browser_is_worth_nothing_in_another(
    running: Running, browser: httpx.Client, organisation: Organisation
) -> None:
    token = form_token(browser.get("/sign-in"))
    with httpx.Client(base_url=running.url, headers={"Accept": "text/html"}) as other:
        other.get("/sign-in")
        fields = {"csrf": token, "email": organisation.email, "password": PASSWORD}
        assert other.post("/sign-in", data=fields).status_code == 403


def test_only_the_hash_of_a_session_is_stored_and_its_cookie_is_guarded(
    running: Running, browser: httpx.Client, organisation: Organisation
) -> None:
    answer = sign_in(browser, organisation.email)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    secret = browser.cookies["doorstep-session"]
    stored = rows(running, "SELECT id_hash FROM sign_in WHERE organisation_id = %s", organisation.id)
    assert len(stored) == 1
    assert secret.encode() not in bytes(stored[0][0])  # pyright: ignore[reportArgumentType]
    assert len(bytes(stored[0][0])) == 32  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "change", ["expires_at = now() - interval '1 second'", "seen_at = now() - interval '61 minutes'"]
)
def test_a_session_ends_by_age_and_by_idleness(
    running: Running, browser: httpx.Client, organisation: Organisation, change: str
) -> None:
    sign_in(browser, organisation.email)
    assert browser.get("/").status_code == 200
    with psycopg.connect(running.owner_url) as link:
        link.execute(f"UPDATE sign_in SET {change} WHERE organisation_id = %s", (organisation.id,))  # pyright: ignore[reportArgumentType]
    assert browser.get("/").headers["location"] == "/sign-in"


def test_a_closed_account_is_out_at_once(running: Running, browser: httpx.Client, organisation: Organisation) -> None:
    sign_in(browser, organisation.email)
    with psycopg.connect(running.owner_url) as link:
        link.execute("UPDATE account SET active = false WHERE email = %s", (organisation.email,))
    assert browser.get("/").headers["location"] == "/sign-in"
    assert sign_in(browser, organisation.email).status_code == 401


def test_a_page_that_refreshes_itself_does_not_keep_a_session_awake(
    running: Running, browser: httpx.Client, organisation: Organisation
) -> None:
    sign_in(browser, organisation.email)
    with psycopg.connect(running.owner_url) as link:
        link.execute(
            "UPDATE sign_in SET seen_at = now() - interval '50 minutes' WHERE organisation_id = %s", (organisation.id,)
        )
    browser.get("/worklist/list")
    idle = "SELECT seen_at < now() - interval '49 minutes' FROM sign_in WHERE organisation_id = %s"
    assert rows(running, idle, organisation.id) == [(True,)]
    browser.get("/")
    assert rows(running, idle, organisation.id) == [(False,)]


def test_signing_in_and_out_are_in_the_audit_log(
    running: Running, browser: httpx.Client, organisation: Organisation
) -> None:
    sign_in(browser, organisation.email)
    browser.post("/sign-out", data={"csrf": form_token(browser.get("/quarantine"))})
    actions = rows(
        running,
        "SELECT action FROM audit_entry WHERE organisation_id = %s AND actor_kind = 'account' ORDER BY id",
        organisation.id,
    )
    assert [action for (action,) in actions] == ["sign-in", "quarantine.read", "sign-out"]


def test_a_form_is_read_within_bounds(browser: httpx.Client) -> None:
    browser.get("/sign-in")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.post("/sign-in", content="a=" + "b" * 20_000, headers=form).status_code == 413
    many = "&".join(f"f{index}=1" for index in range(100))
    assert browser.post("/sign-in", content=many, headers=form).status_code == 415
    assert browser.post("/sign-in", content="{}", headers={"Content-Type": "application/json"}).status_code == 415
    assert browser.post("/sign-in", content=b"email=\xff\xfe", headers=form).status_code == 415


@pytest.mark.parametrize(
    ("email", "password", "told"),
    [
        ("new@example.org", "short", "at least 12"),
        ("new@example.org", "aaaaaaaaaaaaaaaa", "different"),
        ("longname@example.org", "longname-forever", "email address"),
        ("not an address", PASSWORD, "name@example.org"),
    ],
)
def test_an_account_is_not_made_with_a_bad_address_or_password(
    running: Running, organisation: Organisation, email: str, password: str, told: str
) -> None:
    async def make() -> None:
        async with tenancy.transaction(running.app.state.doorstep.sessions) as session:
            await service.create_user(session, email, "Kit", "clinician", password, organisation.id)

    with pytest.raises((passwords.WeakPassword, service.EmailRefused), match=told):
        running.call(make())


def test_one_address_has_one_account_over_all_organisations(running: Running, organisation: Organisation) -> None:
    other = running.organisation()

    async def make() -> None:
        async with tenancy.transaction(running.app.state.doorstep.sessions) as session:
            await service.create_user(session, organisation.email, "Kit", "clinician", PASSWORD, other.id)

    with pytest.raises(EmailTaken):
        running.call(make())


def deepened(running: Running) -> None:
    """As after many more failures of everybody here: the waits are then long enough for a slow machine to see them."""
    assert rows(running, "UPDATE sign_in_throttle SET failures = failures + 6, failed_at = now() RETURNING 1")


def test_nobody_of_the_same_network_keeps_a_person_out_of_the_browser_they_use(
    running: Running, browser: httpx.Client, organisation: Organisation
) -> None:
    assert sign_in(browser, organisation.email).status_code == 303
    browser.post("/sign-out", data={"csrf": form_token(browser.get("/account"))})
    with httpx.Client(base_url=running.url, headers={"Accept": "text/html"}, timeout=60) as neighbour:
        assert [sign_in(neighbour, organisation.email, "wrong").status_code for _ in range(3)] == [401] * 3
        deepened(running)
        assert sign_in(neighbour, organisation.email).status_code == 429
        # A name made up, or one that another person earned, is nobody's.
        other = running.organisation()
        assert sign_in(neighbour, other.email).status_code == 303
        neighbour.cookies.delete("doorstep-session")
        assert sign_in(neighbour, organisation.email).status_code == 429
        name = neighbour.cookies["doorstep-device"].partition(".")[0]
        neighbour.cookies.set("doorstep-device", f"{name}.{'A' * 43}", domain="127.0.0.1")
        assert sign_in(neighbour, organisation.email).status_code == 429
    assert sign_in(browser, organisation.email.upper()).status_code == 303


def test_a_browser_that_is_known_is_slowed_by_its_own_failures(
    running: Running, browser: httpx.Client, organisation: Organisation
) -> None:
    assert sign_in(browser, organisation.email).status_code == 303
    browser.post("/sign-out", data={"csrf": form_token(browser.get("/account"))})
    assert [sign_in(browser, organisation.email, "wrong").status_code for _ in range(3)] == [401] * 3
    deepened(running)
    assert sign_in(browser, organisation.email).status_code == 429


def test_a_browser_remembers_the_last_few_people_who_signed_in_in_it(
    running: Running, browser: httpx.Client, organisation: Organisation
) -> None:
    for _ in range(9):
        sign_in(browser, running.organisation().email)
        browser.cookies.delete("doorstep-session")
    assert browser.cookies["doorstep-device"].count(".") == 8


def test_a_password_is_kept_as_rfc_9106_recommends(real_passwords: PasswordHash) -> None:
    """RFC 9106 section 4: of its two choices the second, for less memory: 64 MiB, three passes, four lanes."""
    assert real_passwords.hash(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
