"""What a check says when something is wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something wrong with the circuit: which check found it, where, and what."""

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where} {self.what}"
