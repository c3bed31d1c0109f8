"""The asynchronous engine and its sessions: the running server's only way to PostgreSQL."""

from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

APP_ROLE = "doorstep_app"

Sessions = async_sessionmaker[AsyncSession]

# A request that waits longer than this for a lock or an answer is better told so than left hanging.
_LOCK_TIMEOUT_MS = 10_000
_STATEMENT_TIMEOUT_MS = 30_000
_IDLE_IN_TRANSACTION_MS = 60_000


def driver_url(url: str) -> str:
    """`url` with SQLAlchemy's name of psycopg 3 as its driver."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise ValueError("the database address must begin with postgresql://")
    return f"postgresql+psycopg://{rest}"


def options() -> str:
    """The start-up options of every connection of the running server.

    The role is one of them, so that even RESET ROLE comes back to it.
    """
    return (
        f"-c role={APP_ROLE} -c lock_timeout={_LOCK_TIMEOUT_MS} -c statement_timeout={_STATEMENT_TIMEOUT_MS}"
        f" -c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS} -c timezone=UTC"
    )


def make_engine(url: str, pool: int) -> AsyncEngine:
    """An engine whose connections act as `doorstep_app`, which row-level security binds."""
    return create_async_engine(
        driver_url(url),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=15,
        pool_pre_ping=True,
        # Parameters are patient data: they belong in no message and no log.
        hide_parameters=True,
        connect_args={"options": options(), "connect_timeout": 10},
    )


def make_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions over `engine`. Objects stay readable after commit; nothing is loaded lazily."""
    return async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
