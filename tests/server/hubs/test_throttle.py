"""A flood of wrong codes and assertions is told to wait; a hub that is in order never is, and cannot be shut out."""

import os

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey

from server.hubs import throttle
from server.hubs.throttle import Allowance, Throttle, TooMany
from tests.server.conftest import ORIGIN, Ward
from tests.server.hubs import client


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock(application: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The application counts by a clock that stands, and few tokens at once."""
    monkeypatch.setattr(throttle, "TOKENS", 5)
    made = Clock()
    application.state.doorstep.throttle = Throttle(clock=made)
    return made


def from_address(application: FastAPI, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False, client=(address, 4000))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60)


async def flood(http: httpx.AsyncClient, hub_id: str) -> httpx.Response:
    """Wrong assertions in the name of a hub, until one is told to wait."""
    wrong = ECKey.generate_key("P-384")
    for _ in range(throttle.FAILURES + 1):
        response = await client.ask(http, client.assertion(wrong, client.claims(hub_id)))
        if response.status_code == 429:
            return response
        assert response.status_code == 401
    raise AssertionError("nobody was told to wait")


async def test_wrong_codes_in_a_row_are_told_to_wait_as_a_problem(
    ward: Ward, application: FastAPI, clock: Clock
) -> None:
    body = {"code": "AAAAAA-BBBBBB-CCCCCC-DDDDDD", "name": "Laptop", "key": client.public(ward.key)}
    async with from_address(application, "192.0.2.1") as guessing:
        for _ in range(throttle.FAILURES):
            assert (await guessing.post("/hub/v1/enrol", json=body)).status_code == 403
        refused = await guessing.post("/hub/v1/enrol", json=body)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "busy"
    assert 1 <= int(refused.headers["retry-after"]) <= 60 / throttle.FAILURES_PER_MINUTE + 1
    good = {**body, "code": await client.code(ward.sessions, ward.organisation)}
    async with from_address(application, "192.0.2.2") as elsewhere:
        assert (await elsewhere.post("/hub/v1/enrol", json=good)).status_code == 200, "others do not wait for it"


async def test_nobody_elsewhere_can_shut_a_hub_out_by_failing_in_its_name(
    ward: Ward, application: FastAPI, clock: Clock
) -> None:
    async with from_address(application, "198.51.100.7") as hostile:
        await flood(hostile, ward.hub_id)
    async with from_address(application, "203.0.113.5") as honest:
        assert (await client.ask(honest, client.assertion(ward.key, client.claims(ward.hub_id)))).status_code == 200


async def test_a_hub_known_at_an_address_goes_on_beside_one_that_fails_there(
    ward: Ward, other_ward: Ward, application: FastAPI, clock: Clock
) -> None:
    async with from_address(application, "203.0.113.9") as shared:
        assert (await client.ask(shared, client.assertion(ward.key, client.claims(ward.hub_id)))).status_code == 200
        await flood(shared, other_ward.hub_id)
        assert (await client.ask(shared, client.assertion(ward.key, client.claims(ward.hub_id)))).status_code == 200


async def test_a_hub_that_asks_for_token_upon_token_is_told_to_wait(
    ward: Ward, application: FastAPI, clock: Clock
) -> None:
    async with from_address(application, "203.0.113.77") as greedy:
        given: list[int] = []
        for _ in range(throttle.TOKENS + 1):
            response = await client.ask(greedy, client.assertion(ward.key, client.claims(ward.hub_id)))
            given.append(response.status_code)
        assert given == [200] * throttle.TOKENS + [429]
        clock.at += 60 / throttle.TOKENS_PER_MINUTE
        again = await client.ask(greedy, client.assertion(ward.key, client.claims(ward.hub_id)))
        assert again.status_code == 200


def test_a_wait_ends_by_itself_and_is_made_no_longer_by_asking() -> None:
    clock = Clock()
    counted = Throttle(clock=clock)
    for _ in range(throttle.FAILURES):
        counted.admit("192.0.2.1")
        counted.failed("192.0.2.1")
    with pytest.raises(TooMany) as refused:
        counted.admit("192.0.2.1")
    for _ in range(1_000):
        with pytest.raises(TooMany):
            counted.admit("192.0.2.1")
    clock.at += int(refused.value.headers["Retry-After"])
    counted.admit("192.0.2.1")


def test_memory_is_bounded_however_many_addresses_and_hubs_there_are() -> None:
    allowance = Allowance(3, 1, keys_max=100)
    for _ in range(5_000):
        allowance.spend(os.urandom(8))
    assert len(allowance) == 100


def test_the_addresses_of_one_household_are_one() -> None:
    assert throttle.network("2001:db8::1") == throttle.network("2001:db8::ffff:2")
    assert throttle.network("2001:db8::1") != throttle.network("2001:db8:0:1::1")
    assert throttle.network("::ffff:192.0.2.1") == throttle.network("192.0.2.1")
    assert throttle.network(None) == throttle.network("not an address")
