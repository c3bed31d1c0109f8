"""`doorstep server webhook`: where an organisation's systems are told of escalations, besides the mail to people."""

from datetime import datetime
from typing import Annotated, Any

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit.service import Actor
from server.console import load_settings, say, transact
from server.notices import webhook, webhook_repository
from server.organisations import service as organisations

app = typer.Typer(
    no_args_is_help=True,
    help="Tell a system of yours when a follow-up is overdue, signed and by reference only.",
    pretty_exceptions_enable=False,
)

OrganisationName = Annotated[
    str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_ACTOR = Actor("command", "doorstep server webhook")


@app.command("set")
def put(
    url: Annotated[str, typer.Argument(help="The address, https.")],
    organisation: OrganisationName = None,
    as_json: AsJson = False,
) -> None:
    """Tell that address from now on. The secret is new each time; it is shown now and never again."""
    settings = load_settings()

    async def work(session: AsyncSession) -> dict[str, str]:
        found = await organisations.enter_only_organisation(session, organisation)
        return {"url": url, "secret": await webhook.put(session, settings, _ACTOR, found.id, url)}

    made = transact(settings, work)
    say(made, as_json, f"{url} is told from now on. Its secret, base64, is not shown again:\n{made['secret']}")


@app.command("off")
def off(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Tell nobody any more. What waits to be delivered is given up; mail goes on."""

    async def work(session: AsyncSession) -> dict[str, bool]:
        found = await organisations.enter_only_organisation(session, organisation)
        await webhook.switch_off(session, _ACTOR, found.id)
        return {"on": False}

    say(transact(load_settings(), work), as_json, "Nobody is told any more.")


@app.command("show")
def show(organisation: OrganisationName = None, as_json: AsJson = False) -> None:
    """Show where deliveries go, how many were taken, wait and were given up, and why the last that failed did."""

    async def work(session: AsyncSession) -> dict[str, Any]:
        await organisations.enter_only_organisation(session, organisation)
        found = await webhook_repository.find(session)
        delivered, waiting, given_up, failure = await webhook_repository.standing(session)
        return {
            "url": found.url if found is not None and found.active else None,
            "delivered": delivered, "waiting": waiting, "given_up": given_up, "last_failure": failure,
            "last_delivered_at": _iso(found and found.delivered_at), "last_failed_at": _iso(found and found.failed_at),
        }  # fmt: skip

    made = transact(load_settings(), work)
    where = made["url"] or "Nobody is told"
    failed = f" The last failure: {made['last_failure']}." if made["last_failure"] else ""
    counts = f"{made['delivered']} delivered, {made['waiting']} waiting, {made['given_up']} given up"
    say(made, as_json, f"{where}: {counts}.{failed}")


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
