"""Enrolment of a hub and the token it works with."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse

from reader import wire
from server.hubs import service, tokens
from server.hubs.schemas import Enrolment, EnrolmentRequest, Token
from server.settings import Settings
from server.state import CurrentSettings, RequestSession, state_of

ENROL_PATH = "/hub/v1/enrol"
TOKEN_PATH = "/oauth/token"  # noqa: S105 - an address, not a secret

router = APIRouter()


def token_url(settings: Settings) -> str:
    """The address that assertions are for."""
    return settings.origin + TOKEN_PATH


def token_audience(settings: Settings) -> str:
    """What tokens are for: the hubs' part of this server."""
    return settings.origin + "/hub/v1"


def bearer(connection: HTTPConnection) -> str:
    """The bearer token of a request (RFC 6750 section 2.1). Raises `Unauthorised` when there is none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise service.Unauthorised
    return token.strip()


BearerToken = Annotated[str, Depends(bearer)]


@router.post(ENROL_PATH)
async def enrol(
    connection: Request, request: EnrolmentRequest, session: RequestSession, settings: CurrentSettings
) -> Enrolment:
    """Enrol a hub with a one-time code."""
    throttle, address = state_of(connection).throttle, _address(connection)
    throttle.admit(address)
    key = request.key.model_dump(exclude_none=True)
    try:
        hub, epoch = await service.enrol(session, request.code, request.name, key)
    except service.EnrolmentRefused:
        throttle.failed(address)
        raise
    return Enrolment(
        hub_id=hub.hub_id.hex(),
        epoch=epoch.hex(),
        token_url=token_url(settings),
        exchange_url=settings.origin + wire.EXCHANGE_PATH,
    )


@router.post(TOKEN_PATH)
async def token(
    request: Request,
    session: RequestSession,
    settings: CurrentSettings,
    grant_type: Annotated[str, Form()] = "",
    client_assertion_type: Annotated[str, Form()] = "",
    client_assertion: Annotated[str, Form()] = "",
) -> JSONResponse:
    """Exchange an assertion for a token. Whatever is wrong gets the same answer."""
    if grant_type != "client_credentials" or client_assertion_type != tokens.ASSERTION_TYPE:
        raise service.Unauthorised
    throttle, address = state_of(request).throttle, _address(request)
    claimed = service.claimed_hub(client_assertion)
    throttle.admit(address, claimed)
    try:
        holder = await service.believe(session, client_assertion, token_url(settings))
    except service.Unauthorised:
        throttle.failed(address, claimed)
        raise
    throttle.earned(address, holder.hub_id)
    access_token = tokens.issue_token(settings.token_secret_bytes(), token_audience(settings), holder)
    body = Token(access_token=access_token, expires_in=tokens.TOKEN_SECONDS)
    return JSONResponse(body.model_dump(), headers={"Cache-Control": "no-store"})


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None
