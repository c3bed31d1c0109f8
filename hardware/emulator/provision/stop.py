"""How these commands end when they cannot go on: a sentence, and a status."""

import sys
from typing import NoReturn

import typer

FAILED, USAGE = 1, 2


def stop(sentence: str, status: int) -> NoReturn:
    """End the command with `sentence` on standard error."""
    print(sentence, file=sys.stderr)
    raise typer.Exit(status)
