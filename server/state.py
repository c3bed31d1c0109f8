"""What a request needs of the running server: its settings and a database session, as FastAPI dependencies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import HTTPConnection

from server.database.direct import Pool
from server.database.engine import Sessions
from server.hubs.throttle import Throttle
from server.openid.provider import Providers
from server.readers.keys import Keyring
from server.results.tasks import Wake
from server.settings import Settings

API_PATH = "/api/v1"
"""Where the interface for programs is."""


@dataclass(slots=True)
class State:
    """What lives as long as the application, in `app.state.doorstep`."""

    settings: Settings
    sessions: Sessions
    exchange_pool: Pool
    """Database connections of the exchanges."""
    keyring: Keyring
    exchanges: asyncio.Semaphore
    """Turns among the exchanges that are worked on at once."""
    throttle: Throttle
    """What is known of attempts at enrolment and at tokens."""
    providers: Providers
    """What is known of the organisations' sign-in providers."""
    wake: Wake
    """Told when results may wait for recomputation."""
    settle: Wake
    """Told when registrations may wait to be matched."""
    database_url: str
    """The running server's login, for what needs a connection of its own, such as listening."""


def state_of(connection: HTTPConnection) -> State:
    """The application's state, from any request."""
    return cast("State", connection.app.state.doorstep)


def settings_of(connection: HTTPConnection) -> Settings:
    """The application's settings, from any request."""
    return state_of(connection).settings


async def open_session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    """One transaction for the request: committed before the answer leaves, rolled back on any exception.

    It sees nothing until `tenancy.enter` binds it to an organisation.
    """
    async with state_of(connection).sessions() as session, session.begin():
        yield session


CurrentSettings = Annotated[Settings, Depends(settings_of)]
# scope="function": the commit happens before the answer is sent, so that no answer claims what was not kept.
RequestSession = Annotated[AsyncSession, Depends(open_session, scope="function")]
