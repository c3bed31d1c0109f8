"""What every `doorstep` command of the server shares: settings, one transaction, and how an answer or an error is said.

A wrong argument or setting gets a sentence on standard error and exit status 2, a fault outside (no database) exit
status 1; nobody sees a traceback.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import psycopg
import typer
from psycopg_pool import PoolTimeout
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from server import settings as settings_module
from server.database import embedded, tenancy
from server.database.direct import Pool, make_pool
from server.database.engine import Sessions, make_engine, make_sessions
from server.problems import Problem
from server.readers.keys import Keyring
from server.settings import Settings, SettingsError

FAILED, USAGE = 1, 2

T = TypeVar("T")


def load_settings() -> Settings:
    """The settings; ends the command when one is wrong."""
    try:
        return settings_module.load()
    except SettingsError as error:
        stop(str(error), USAGE)


def keyring(settings: Settings) -> Keyring:
    """The readers' keys under the master key; ends the command without one."""
    try:
        return Keyring(settings.master_key_bytes())
    except SettingsError as error:
        stop(str(error), USAGE)


def addresses(settings: Settings) -> tuple[str, str]:
    """(the running server's database address, its owner's); the embedded one lives as long as this process."""
    try:
        return embedded.addresses(settings)
    except (SettingsError, ValueError) as error:
        stop(str(error), USAGE)
    except embedded.NotStarted as error:
        stop(str(error), FAILED)


def transact(settings: Settings, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Run `work` in one transaction of the running server's login, on a migrated database."""
    app_url, owner_url = addresses(settings)
    try:
        embedded.require_migrated(settings, owner_url)
        return asyncio.run(_in_transaction(app_url, work))
    except (Problem, SettingsError) as error:
        stop(str(error), USAGE)
    except (DBAPIError, OSError, ValueError) as error:
        stop(fault(error), FAILED)


async def _in_transaction(app_url: str, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    engine = make_engine(app_url, pool=1)
    try:
        async with tenancy.transaction(make_sessions(engine)) as session:
            return await work(session)
    finally:
        await engine.dispose()


def exchange(settings: Settings, work: Callable[[Sessions, Pool], Awaitable[T]]) -> T:
    """Run `work` with sessions and with connections as exchanges have them, on a migrated database."""
    app_url, owner_url = addresses(settings)
    try:
        embedded.require_migrated(settings, owner_url)
        return asyncio.run(_exchange(app_url, work))
    except (Problem, SettingsError) as error:
        stop(str(error), USAGE)
    except (DBAPIError, psycopg.Error, PoolTimeout) as error:
        stop(fault(error), FAILED)


async def _exchange(app_url: str, work: Callable[[Sessions, Pool], Awaitable[T]]) -> T:
    engine, pool = make_engine(app_url, pool=1), make_pool(app_url, 1)
    pool.open()
    try:
        return await work(make_sessions(engine), pool)
    finally:
        pool.close()
        await engine.dispose()


@contextmanager
def progress(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar on the screen of whoever watches: what it gives is called with so much done of so much."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def identifier(text: str, what: str) -> bytes:
    """The 8 bytes of an id given as 16 hexadecimal digits; ends the command when it is not one."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 8:
        stop(f"{text!r} is not the id of a {what}: give its 16 hexadecimal digits.", USAGE)
    return found


def say(made: object, as_json: bool, sentence: str) -> None:
    """The answer, as JSON or as a sentence."""
    print(json.dumps(made) if as_json else sentence)


def fault(error: Exception) -> str:
    """What went wrong with the database, without its address, which may hold a password."""
    reason = str(error.orig or "") if isinstance(error, DBAPIError) else str(error)
    first = (reason.strip().splitlines() or ["no reason given"])[0]
    return f"The database does not do what is needed: {first}. Check DOORSTEP_DATABASE_URL and that it runs."


def stop(sentence: str, status: int) -> NoReturn:
    """End the command with a sentence on standard error."""
    print(sentence, file=sys.stderr)
    raise typer.Exit(status)
