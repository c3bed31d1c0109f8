"""Where a role begins and which pages it may go to: the links at the head of every page."""

from dataclasses import dataclass
from urllib.parse import quote

from server.accounts.permissions import HasRole, May, may


@dataclass(frozen=True, slots=True)
class Link:
    """A page by its name."""

    text: str
    href: str


# In the order of the header; a page that a role may open from anywhere is here with what it demands.
PAGES: tuple[tuple[May, Link], ...] = (
    (May.READ_RESULTS, Link("Worklist", "/")),
    (May.READ_PATIENTS, Link("Results of nobody yet", "/people/unmatched")),
    (May.MANAGE_PEOPLE, Link("Staff", "/staff")),
    (May.READ_RESULTS, Link("Recalls", "/recalls")),
    (May.SEE_BOARD, Link("Board", "/board")),
    (May.SET_POLICY, Link("Rules", "/policy")),
    (May.SEE_CUSTODY, Link("Custody", "/custody")),
    (May.SEE_CUSTODY, Link("Quarantine", "/quarantine")),
    (May.SEE_CUSTODY, Link("Quality control", "/quality")),
    (May.SEE_CUSTODY, Link("Updates", "/updates")),
    (May.READ_AUDIT, Link("Audit log", "/audit")),
    (May.USE_EMERGENCY, Link("Emergency access", "/emergency")),
    (May.REVIEW_EMERGENCY, Link("Emergency uses", "/emergency/uses")),
    (May.SEE_ERASURES, Link("Retention", "/retention")),
    (May.MANAGE_CONNECTIONS, Link("Webhook", "/webhook")),
)
_BEGINS = (May.READ_RESULTS, May.MANAGE_PEOPLE, May.SEE_CUSTODY)
OWN = Link("Your account", "/account")


def links(person: HasRole) -> tuple[Link, ...]:
    """The pages that the person's role may open."""
    return tuple(link for act, link in PAGES if may(person, act))


def start(person: HasRole) -> Link:
    """The page after signing in: results, people or custody, whichever is the person's work; else their account."""
    firsts = (link for act in _BEGINS for its, link in PAGES if its is act and may(person, act))
    return next(firsts, OWN)


def sign_in_page(wanted: str) -> str:
    """Where to sign in to come to the page `wanted`."""
    return f"/sign-in{_next(wanted)}"


def code_page(wanted: str) -> str:
    """Where the second factor is asked for, on the way to the page `wanted`."""
    return f"/sign-in/code{_next(wanted)}"


def provider_page(name: str, wanted: str) -> str:
    """The way to the sign-in provider of that name, and from there to the page `wanted`."""
    return f"/sign-in/with/{name}{_next(wanted)}"


def _next(wanted: str) -> str:
    return f"?next={quote(wanted, safe='/')}" if wanted != "/" else ""
