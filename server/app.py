"""Puts the application together: routers, errors, the database and the work behind the requests."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import server.accounts.endpoints
import server.accounts.factor_pages
import server.accounts.own_pages
import server.accounts.token_pages
import server.api.routes
import server.audit.endpoints
import server.board.endpoints
import server.corrections.endpoints
import server.custody.endpoints
import server.custody.pages
import server.emergency.endpoints
import server.followup.endpoints
import server.followup.policy_pages
import server.hubs.endpoints
import server.notices.webhook_pages
import server.openid.endpoints
import server.openid.password_pages
import server.patients.endpoints
import server.patients.merging_pages
import server.quality.pages
import server.recalls.endpoints
import server.registrations.pages
import server.retention.endpoints
import server.staff.pages
import server.updates.endpoints
import server.updates.pages
import server.worklist.endpoints
from reader import wire
from server import jobs, problems
from server.custody import watch
from server.database.direct import make_pool
from server.database.engine import make_engine, make_sessions
from server.hubs.throttle import Throttle
from server.limits import BodyLimit, RequestLimit
from server.openid.provider import Providers
from server.readers.keys import Keyring
from server.registrations import settling
from server.results import tasks
from server.settings import Settings
from server.state import State
from server.web import installation

log = logging.getLogger("doorstep.app")

# Every router of the server, in one place. A new room adds its own here.
ROUTERS = (
    server.hubs.endpoints.router,
    server.custody.endpoints.router,
    server.updates.endpoints.router,
    server.custody.pages.router,
    server.quality.pages.router,
    server.accounts.endpoints.router,
    server.accounts.own_pages.router,
    server.accounts.factor_pages.router,
    server.openid.endpoints.router,
    server.accounts.token_pages.router,
    server.openid.password_pages.router,
    server.staff.pages.router,
    server.worklist.endpoints.router,
    server.corrections.endpoints.router,
    server.followup.endpoints.router,
    server.followup.policy_pages.router,
    server.registrations.pages.router,
    server.patients.endpoints.router,
    server.patients.merging_pages.router,
    server.recalls.endpoints.router,
    server.updates.pages.router,
    server.retention.endpoints.router,
    server.notices.webhook_pages.router,
    server.board.endpoints.router,
    server.audit.endpoints.router,
    server.emergency.endpoints.router,
    server.api.routes.router,
)


def create_app(settings: Settings, database_url: str) -> FastAPI:
    """The application over a migrated database.

    `settings.check()` must have passed; `database_url` is the running server's login, which acts as `doorstep_app`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        # The exchanges have connections of their own, at most half; a process has no more in all than it may.
        own = max(1, min(settings.exchanges_max, settings.database_pool // 2))
        pool = make_pool(database_url, own)
        engine = make_engine(database_url, max(1, settings.database_pool - own - (jobs.POOL if settings.jobs else 0)))
        state = State(
            settings=settings,
            sessions=make_sessions(engine),
            exchange_pool=pool,
            keyring=Keyring(settings.master_key_bytes()),
            exchanges=asyncio.Semaphore(settings.exchanges_max),
            throttle=Throttle(),
            providers=Providers(),
            wake=tasks.Wake(),
            settle=tasks.Wake(),
            database_url=database_url,
        )
        app.state.doorstep = state
        pool.open()
        workers = [
            asyncio.create_task(tasks.work(state.sessions, state.keyring, state.wake), name="recomputation"),
            asyncio.create_task(watch.work(state.sessions), name="custody alerts"),
            asyncio.create_task(settling.work(state.sessions, state.settle), name="registrations"),
        ]
        if settings.jobs:
            workers.append(asyncio.create_task(jobs.work(database_url, state.sessions, settings), name="jobs"))
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await asyncio.to_thread(pool.close)
            await state.providers.close()
            await engine.dispose()

    app = FastAPI(
        title="Doorstep", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    problems.install(app)
    # The exchange takes larger bodies, and bounds them itself.
    app.add_middleware(BodyLimit, own_bound=frozenset((wire.EXCHANGE_PATH,)))
    app.add_middleware(RequestLimit, most=settings.requests_max)
    for router in ROUTERS:
        app.include_router(router)
    installation.install(app, settings)
    return app
