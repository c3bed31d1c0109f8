"""Shapes of the hubs' requests and answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# The x and y of a point on P-384 are 48 bytes: 64 characters of base64url (RFC 7518 section 6.2.1.2).
Coordinate = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{64}$")]


class PublicKey(BaseModel):
    """An ES384 public key as a JWK. A private member (`d`) is refused like any other that is not named here."""

    model_config = ConfigDict(extra="forbid")

    kty: Literal["EC"]
    crv: Literal["P-384"]
    x: Coordinate
    y: Coordinate
    alg: Literal["ES384"] | None = None
    use: Literal["sig"] | None = None
    kid: Annotated[str, StringConstraints(max_length=128)] | None = None
    key_ops: Annotated[list[Literal["verify"]], Field(max_length=1)] | None = None


class EnrolmentRequest(BaseModel):
    """What a hub sends to enrol."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    name: Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]
    key: PublicKey


class Enrolment(BaseModel):
    """The answer to an enrolment. Ids are hexadecimal."""

    hub_id: str
    epoch: str
    token_url: str
    exchange_url: str


class Token(BaseModel):
    """The answer to a token request (RFC 6749 section 5.1)."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name, not a secret
    expires_in: int
