"""`python -m circuit`."""

from .command import app

app()
