"""Work behind the requests: reviews every organisation's custody alerts now and then, whether or not anybody looks."""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from server.custody import alerts
from server.database import tenancy
from server.database.engine import Sessions
from server.organisations import repository as organisations

log = logging.getLogger("doorstep.custody")

REVIEW_EVERY_SECONDS = 60


async def work(sessions: Sessions, every_seconds: float = REVIEW_EVERY_SECONDS) -> None:
    """Review until cancelled. Any number of processes may: an alert is raised and cleared once."""
    while True:
        try:
            await review_all(sessions)
        except (SQLAlchemyError, OSError) as error:
            log.warning("the review of custody alerts was interrupted (%s); it goes on later", type(error).__name__)
        await asyncio.sleep(every_seconds)


async def review_all(sessions: Sessions) -> None:
    """Review each organisation in a transaction of its own."""
    async with tenancy.transaction(sessions) as session:
        every = [one.id for one in await organisations.organisations(session)]
    for organisation_id in every:
        async with tenancy.transaction(sessions, organisation_id) as session:
            await alerts.review(session, organisation_id)
