"""Who calls: a person's access token, or the session of their browser; decided by the one table of permissions.

A token comes in the Authorization header (RFC 6750 section 2.1) and nowhere else. A session's cookie is sent by a
browser whichever site asks it to, so what is not only read also needs the session's own token in `X-CSRF-Token`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from server.accounts import cookies, service, tokens
from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.problems import Problem
from server.state import state_of
from server.web import forms
from server.web.errors import GoFirst

CSRF_HEADER = "X-CSRF-Token"
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class CallerUnknown(Problem):
    """Neither a token nor a session came with the request."""

    status = 401
    code = "sign-in-needed"
    title = "Send an access token"

    def __init__(self) -> None:
        super().__init__(
            "Send the header Authorization: Bearer with an access token; make one on the page of your account.",
            headers={"WWW-Authenticate": "Bearer"},
        )


class TokenUnknown(Problem):
    """The token is unknown, has ended, was revoked, or its account was closed: one answer for all four."""

    status = 401
    code = "token-unknown"
    title = "The access token is not taken"

    def __init__(self) -> None:
        super().__init__(
            "It has ended, was revoked or never was one. Make another on the page of your account.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )


def calling(act: May) -> Callable[[Request], Awaitable[Viewer]]:
    """A dependency: the person who calls, whose role and token allow `act`.

    Raises `CallerUnknown`, `TokenUnknown`, `NotAllowed`, `GoFirst`, `forms.FormNotOurs`.
    """

    async def caller(request: Request) -> Viewer:
        person = await signed(request)
        require(person, act)
        return person

    return caller


def calling_in_person(act: May, instead: str) -> Callable[[Request], Awaitable[Viewer]]:
    """As `calling`, and not by an access token; `instead` says where a person does it. Raises `SessionNeeded` too."""
    calls = calling(act)

    async def person(request: Request) -> Viewer:
        viewer = await calls(request)
        if not viewer.sign_in:
            raise tokens.SessionNeeded(instead)
        return viewer

    return person


async def signed(request: Request) -> Viewer:
    """Somebody whose account asks for nothing first, whatever their role."""
    person = await _who(request)
    if person.first:
        raise GoFirst(person.first)
    return person


async def calling_own(request: Request) -> Viewer:
    """The person who calls about their own account, which answers even while it asks something of them."""
    return await _who(request)


async def _who(request: Request) -> Viewer:
    state = state_of(request)
    given = request.headers.get("authorization")
    if given is not None:
        scheme, _, token = given.partition(" ")
        person = await tokens.viewer(state.sessions, token.strip()) if scheme.lower() == "bearer" else None
        if person is None:
            raise TokenUnknown
        return person
    secret = cookies.session_secret(request, state.settings)
    person = await service.viewer(state.sessions, secret, active=True) if secret else None
    if person is None:
        raise CallerUnknown
    if request.method not in _SAFE:
        forms.check_token(request.headers.get(CSRF_HEADER), person.csrf)
    return person


Own = Annotated[Viewer, Depends(calling_own)]
Signed = Annotated[Viewer, Depends(signed)]
ReadingResults = Annotated[Viewer, Depends(calling(May.READ_RESULTS))]
FollowingUp = Annotated[Viewer, Depends(calling(May.FOLLOW_UP))]
Correcting = Annotated[Viewer, Depends(calling(May.CORRECT))]
SettingPolicy = Annotated[Viewer, Depends(calling(May.SET_POLICY))]
ReadingPatients = Annotated[Viewer, Depends(calling(May.READ_PATIENTS))]
WritingPatients = Annotated[Viewer, Depends(calling(May.WRITE_PATIENTS))]
SeeingCustody = Annotated[Viewer, Depends(calling(May.SEE_CUSTODY))]
ProcessingQuarantine = Annotated[Viewer, Depends(calling(May.PROCESS_QUARANTINE))]
Recalling = Annotated[Viewer, Depends(calling(May.RECALL))]
RollingOut = Annotated[Viewer, Depends(calling(May.ROLL_OUT))]
SeeingBoard = Annotated[Viewer, Depends(calling(May.SEE_BOARD))]
ReadingAudit = Annotated[Viewer, Depends(calling(May.READ_AUDIT))]
ManagingPeople = Annotated[Viewer, Depends(calling(May.MANAGE_PEOPLE))]
SeeingErasures = Annotated[Viewer, Depends(calling(May.SEE_ERASURES))]
Erasing = Annotated[Viewer, Depends(calling(May.ERASE))]
PreparingToErase = Annotated[Viewer, Depends(calling(May.ERASE_PERSON))]
ErasingPerson = Annotated[
    Viewer, Depends(calling_in_person(May.ERASE_PERSON, "Sign in, and erase them from the person's page."))
]
SeeingEmergencies = Annotated[Viewer, Depends(calling(May.REVIEW_EMERGENCY))]
ReviewingEmergencies = Annotated[
    Viewer, Depends(calling_in_person(May.REVIEW_EMERGENCY, "Sign in, and review it on the page Emergency uses."))
]
