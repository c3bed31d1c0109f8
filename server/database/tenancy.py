"""The one place where a database session is given an organisation: no query crosses it.

Row-level security is enabled and forced on every tenant table. Its policies compare `organisation_id` with the setting
`doorstep.organisation`, which is set here for the length of one transaction; where it is not set, no row is seen
and none can be written. Before an organisation is known (a hub that shows an assertion, a person that shows a
session), one row may be read by naming its key exactly: `doorstep.lookup`, such as "hub:0123456789abcdef".
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from server.database.engine import Sessions

_ENTER = text(
    "SELECT set_config('doorstep.organisation', :organisation, true), set_config('doorstep.lookup', '', true)"
)
_LOOK_UP = text("SELECT set_config('doorstep.lookup', :key, true)")


async def enter(session: AsyncSession, organisation_id: UUID) -> None:
    """Bind the session's present transaction to an organisation. Gone at commit or rollback."""
    await (await session.connection()).execute(_ENTER, {"organisation": str(organisation_id)})


async def look_up(session: AsyncSession, kind: str, key: str) -> None:
    """Let the session's present transaction read the rows of `kind` whose key is `key` in any organisation.

    Kinds: organisation (name), hub (id in hex), enrolment (hash of the code in hex), account (e-mail address, lower
    case), sign-in (hash of the session id in hex), access-token (hash of the token in hex), readers (ids in hex, comma
    between), openid (name of a provider), openid-listed (none: the providers of the sign-in page). For reading only.
    """
    await (await session.connection()).execute(_LOOK_UP, {"key": f"{kind}:{key}"})


async def every_organisation(session: AsyncSession) -> None:
    """Let the session's present transaction read the list of organisations, for work behind the requests."""
    await (await session.connection()).execute(_LOOK_UP, {"key": "organisations"})


@asynccontextmanager
async def transaction(sessions: Sessions, organisation_id: UUID | None = None) -> AsyncGenerator[AsyncSession]:
    """One transaction, bound to `organisation_id` when given: committed at the end, rolled back on any exception."""
    async with sessions() as session, session.begin():
        if organisation_id is not None:
            await enter(session, organisation_id)
        yield session
