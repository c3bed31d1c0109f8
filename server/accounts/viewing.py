"""FastAPI dependencies that name the person behind a request, or send them to sign in."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from server.accounts import cookies, service
from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.state import state_of
from server.web import forms
from server.web.errors import GoFirst, SignInNeeded


async def signed_in(request: Request) -> Viewer:
    """The signed-in person, who did something; raises `SignInNeeded`, or `GoFirst` as all of these but `own` do."""
    return await _viewer(request, active=True)


async def watching(request: Request) -> Viewer:
    """The signed-in person whose page refreshes itself: an idle session still ends. Raises `SignInNeeded`."""
    return await _viewer(request, active=False)


async def posting(request: Request) -> Viewer:
    """The signed-in person who posted a form of ours; raises `SignInNeeded`, `GoFirst` or `forms.FormNotOurs`.

    The fields are in `request.state.form`.
    """
    return await _posted(request, await _viewer(request, active=True))


async def own(request: Request) -> Viewer:
    """The signed-in person on a page of their own account, which opens even while it asks something of them."""
    return await _viewer(request, active=True, own=True)


async def own_posting(request: Request) -> Viewer:
    """As `own`, for a form of ours; see `posting`."""
    return await _posted(request, await _viewer(request, active=True, own=True))


async def _posted(request: Request, person: Viewer) -> Viewer:
    request.state.form = await forms.read(request)
    forms.check_token(request.state.form.get("csrf"), person.csrf)
    return person


def allowed(act: May, *, active: bool = True) -> Callable[[Request], Awaitable[Viewer]]:
    """A dependency: the signed-in person, whose role allows `act`. Raises `SignInNeeded`, `NotAllowed`.

    With `active` false the page refreshes itself, and an idle session still ends.
    """

    async def reading(request: Request) -> Viewer:
        person = await _viewer(request, active=active)
        require(person, act)
        return person

    return reading


def allowed_posting(act: May) -> Callable[[Request], Awaitable[Viewer]]:
    """A dependency: as `allowed`, for a form of ours, whose fields are in `request.state.form`."""

    async def writing(request: Request) -> Viewer:
        person = await posting(request)
        require(person, act)
        return person

    return writing


async def _viewer(request: Request, *, active: bool, own: bool = False) -> Viewer:
    state = state_of(request)
    secret = cookies.session_secret(request, state.settings)
    person = await service.viewer(state.sessions, secret, active=active) if secret else None
    if person is None:
        raise SignInNeeded("Your session has ended or you have not signed in.")
    request.state.viewer = person
    if person.first and not own:
        raise GoFirst(person.first)
    return person


SignedIn = Annotated[Viewer, Depends(signed_in)]
Watching = Annotated[Viewer, Depends(watching)]
Posting = Annotated[Viewer, Depends(posting)]
Own = Annotated[Viewer, Depends(own)]
OwnPosting = Annotated[Viewer, Depends(own_posting)]
