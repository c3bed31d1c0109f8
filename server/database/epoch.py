"""The server's epoch: begun anew, by the tables' owner, whenever the history may have gone back."""

import os

from sqlalchemy import create_engine, text

from reader import wire
from server.database.engine import driver_url

_BEGIN = text("INSERT INTO server_epoch (epoch, why, began_at) VALUES (:epoch, :why, now())")


def begin(owner_url: str, why: str) -> bytes:
    """Begin a new epoch, 8 random bytes, and return it. Hubs that see it offer again every record they keep."""
    epoch = os.urandom(wire.EPOCH_BYTES)
    engine = create_engine(driver_url(owner_url), connect_args={"connect_timeout": 10})
    try:
        with engine.begin() as connection:
            connection.execute(_BEGIN, {"epoch": epoch, "why": why})
    finally:
        engine.dispose()
    return epoch
