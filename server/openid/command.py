"""`doorstep server openid`: by which provider the people of an organisation sign in."""

import asyncio
import sys
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit.service import Actor
from server.console import FAILED, load_settings, say, stop, transact
from server.openid import passwords, repository, service
from server.openid.provider import Metadata, ProviderAway, Providers, ProviderWrong
from server.openid.service import Wanted
from server.organisations import service as organisations

app = typer.Typer(no_args_is_help=True, help="Sign-in by OpenID Connect.", pretty_exceptions_enable=False)

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_ACTOR = Actor("command", "doorstep server openid")


@app.command("set")
def set_(
    name: Annotated[str, typer.Option("--name", help="Short name for addresses: small letters, digits, hyphens.")],
    label: Annotated[str, typer.Option("--label", help="What the sign-in page calls it.")],
    issuer: Annotated[str, typer.Option("--issuer", help="Its issuer, an https address, exactly as it says itself.")],
    client_id: Annotated[str, typer.Option("--client-id", help="This server's client id there.")],
    organisation: OrganisationName = None,
    acr: Annotated[
        list[str] | None, typer.Option("--acr", help="An acr that counts as a second factor. May be repeated.")
    ] = None,
    amr: Annotated[
        list[str] | None, typer.Option("--amr", help="An amr that counts as a second factor. May be repeated.")
    ] = None,
    unlisted: Annotated[bool, typer.Option("--unlisted", help="Not on the sign-in page; by its address only.")] = False,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read the client secret from standard input instead of asking.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let an organisation's people sign in by its provider. The client secret is asked for, never an argument."""
    settings = load_settings()
    if secret_stdin:
        secret = sys.stdin.readline().rstrip("\r\n")
    else:
        secret = str(typer.prompt("Client secret", hide_input=True))
    wanted = Wanted(name, label, issuer, client_id, secret, tuple(acr or ()), tuple(amr or ()), not unlisted)

    async def work(session: AsyncSession) -> dict[str, str]:
        found = await organisations.enter_only_organisation(session, organisation)
        await service.set_provider(session, settings, found, wanted, _ACTOR)
        return {
            "name": name,
            "redirect_uri": service.redirect_uri(settings, name),
            "sign_in": f"{settings.origin}/sign-in/with/{name}",
        }

    made = transact(settings, work)
    say(
        made,
        as_json,
        f"People sign in at {made['sign_in']}\nAt the provider, register this redirect URI: {made['redirect_uri']}\n"
        "Then run: doorstep server openid check",
    )


@app.command("check")
def check(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Ask the provider for its metadata; exit 1 when it does not answer as it must."""

    async def work(session: AsyncSession) -> dict[str, str]:
        await organisations.enter_only_organisation(session, organisation)
        found = await repository.provider_of(session)
        return {"issuer": found.issuer} if found else {}

    made = transact(load_settings(), work)
    if not made:
        stop("The organisation has no provider. Set one with: doorstep server openid set", FAILED)
    try:
        metadata = asyncio.run(_asked(made["issuer"]))
    except ProviderAway:
        stop(f"{made['issuer']} does not answer. Check the address, and that this machine may reach it.", FAILED)
    except ProviderWrong as wrong:
        stop(f"{made['issuer']} does not answer as it must: {wrong.why}.", FAILED)
    say({**made, "token_endpoint": metadata.token_endpoint}, as_json, f"{made['issuer']} answers as it must.")


async def _asked(issuer: str) -> Metadata:
    providers = Providers()
    try:
        return await providers.metadata(issuer)
    finally:
        await providers.close()


@app.command("passwords-off")
def passwords_off(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Let people sign in by the provider only, once an administrator has. Sessions that began with a password end."""

    async def work(session: AsyncSession) -> dict[str, int]:
        found = await organisations.enter_only_organisation(session, organisation)
        return {"ended": await passwords.switch_off(session, _ACTOR, found.id)}

    made = transact(load_settings(), work)
    say(made, as_json, f"Nobody signs in with a password any more. Sessions ended: {made['ended']}.")


@app.command("passwords-on")
def passwords_on(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Let people sign in with passwords again: the way back when the provider is away or lets nobody in."""

    async def work(session: AsyncSession) -> dict[str, bool]:
        found = await organisations.enter_only_organisation(session, organisation)
        return {"changed": await passwords.switch_on(session, _ACTOR, found.id)}

    made = transact(load_settings(), work)
    say(made, as_json, "People sign in with passwords again." if made["changed"] else "Passwords were on.")


@app.command("remove")
def remove(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Let nobody sign in by the provider any more; passwords are on then, and who is signed in stays so."""

    async def work(session: AsyncSession) -> dict[str, bool]:
        found = await organisations.enter_only_organisation(session, organisation)
        return {"changed": await service.remove_provider(session, found, _ACTOR)}

    made = transact(load_settings(), work)
    say(made, as_json, "The provider is removed." if made["changed"] else "There was no provider.")
