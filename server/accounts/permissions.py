"""Who may do what: the one table of acts and roles that every page and every call asks."""

from enum import StrEnum
from typing import Protocol

from server.accounts.models import Role
from server.problems import Problem


class May(StrEnum):
    """What somebody may do."""

    READ_RESULTS = "read-results"
    FOLLOW_UP = "follow-up"
    SET_POLICY = "set-policy"
    READ_PATIENTS = "read-patients"
    WRITE_PATIENTS = "write-patients"
    SEE_CUSTODY = "see-custody"
    PROCESS_QUARANTINE = "process-quarantine"
    RECALL = "recall"
    ROLL_OUT = "roll-out"
    CORRECT = "correct"
    SEE_BOARD = "see-board"
    READ_AUDIT = "read-audit"
    MANAGE_PEOPLE = "manage-people"
    MANAGE_DEVICES = "manage-devices"
    MANAGE_CONNECTIONS = "manage-connections"
    USE_EMERGENCY = "use-emergency"
    REVIEW_EMERGENCY = "review-emergency"
    SEE_ERASURES = "see-erasures"
    ERASE = "erase"
    ERASE_PERSON = "erase-person"


_CARE = {May.READ_RESULTS, May.FOLLOW_UP, May.READ_PATIENTS, May.WRITE_PATIENTS, May.SEE_CUSTODY, May.SEE_BOARD}
ALLOWED: dict[str, frozenset[May]] = {
    Role.CLINICIAN: frozenset(_CARE),
    Role.LEAD: frozenset(
        _CARE
        | {
            May.SET_POLICY,
            May.RECALL,
            May.ROLL_OUT,
            May.CORRECT,
            May.PROCESS_QUARANTINE,
            May.SEE_ERASURES,
            May.ERASE,
            May.ERASE_PERSON,
        }
    ),
    # An operator carries readers and results, and reads neither results nor people, unless somebody is in danger.
    Role.OPERATOR: frozenset({May.SEE_CUSTODY, May.USE_EMERGENCY}),
    Role.ADMINISTRATOR: frozenset(
        {
            May.SEE_CUSTODY,
            May.PROCESS_QUARANTINE,
            May.MANAGE_PEOPLE,
            May.MANAGE_DEVICES,
            May.MANAGE_CONNECTIONS,
            May.SEE_BOARD,
            May.USE_EMERGENCY,
            May.SEE_ERASURES,
            May.ERASE,
        }
    ),
    Role.AUDITOR: frozenset({May.SEE_CUSTODY, May.SEE_BOARD, May.READ_AUDIT, May.REVIEW_EMERGENCY, May.SEE_ERASURES}),
}
EMERGENCY = frozenset({May.READ_RESULTS, May.READ_PATIENTS})
"""What emergency access opens beyond a role: reading, and nothing that changes or carries away."""


class NotAllowed(Problem):
    """The person's role does not reach so far."""

    status = 403
    code = "not-allowed"
    title = "You may not do this"


class HasRole(Protocol):
    """Anybody with a role."""

    @property
    def role(self) -> str: ...

    @property
    def granted(self) -> frozenset[str]:
        """What they may do beyond their role."""
        ...


def may(person: HasRole, act: May) -> bool:
    """Whether the person's role allows `act`, or it was granted to them; a role that is not known allows nothing.

    Somebody who comes by an access token has `acts`, which takes away from what they may and never adds to it.
    """
    narrowed: frozenset[str] | None = getattr(person, "acts", None)
    allowed = act in ALLOWED.get(person.role, frozenset()) or act in person.granted
    return allowed and (narrowed is None or act in narrowed)


def require(person: HasRole, act: May) -> None:
    """Raises `NotAllowed` unless the person's role allows `act`."""
    if not may(person, act):
        if getattr(person, "acts", None) is not None and act in ALLOWED.get(person.role, frozenset()):
            raise NotAllowed("This access token does not include it. Make one that does, on the page of your account.")
        raise NotAllowed("Your role does not include this. Ask a lead or an administrator where you work.")
