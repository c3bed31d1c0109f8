"""`doorstep audit`: prove that the audit log is whole."""

from dataclasses import asdict
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import sealing
from server.audit.sealing import Verdict
from server.console import FAILED, USAGE, load_settings, say, stop, transact
from server.organisations import service as organisations

app = typer.Typer(
    help="Prove the audit log.", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False
)


@app.callback()
def audit() -> None:
    """Prove the audit log."""


@app.command("verify")
def verify(
    organisation: Annotated[
        str | None, typer.Option("--organisation", help="Name of the organisation; may be left out when there is one.")
    ] = None,
    expect: Annotated[
        str | None, typer.Option("--expect", help="A digest noted earlier, which must be among the seals.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compute every seal of the audit log anew; exit 1 when entries were changed, added or taken away."""
    try:
        wanted = bytes.fromhex(expect) if expect is not None else None
    except ValueError:
        wanted = b""
    if wanted is not None and len(wanted) != 32:
        stop("The digest to expect has 64 hexadecimal digits, as this command printed it.", USAGE)

    async def work(session: AsyncSession) -> Verdict:
        found = await organisations.enter_only_organisation(session, organisation)
        await sealing.seal(session, found.id)
        return await sealing.verify(session, wanted)

    verdict = transact(load_settings(), work)
    say({**asdict(verdict), "whole": verdict.whole}, as_json, _sentence(verdict))
    if not verdict.whole:
        raise typer.Exit(FAILED)


def _sentence(verdict: Verdict) -> str:
    if verdict.broken is not None:
        return (
            f"The audit log is NOT whole: what seal {verdict.broken} covers was changed, added to or taken away. Keep "
            "the database as it is, take a copy, and tell whoever answers for its security."
        )
    if verdict.expected is False:
        return (
            "The audit log is NOT the one whose digest was noted: its end was cut off, or it was written anew. Keep "
            "the database as it is, take a copy, and tell whoever answers for its security."
        )
    return (
        f"The audit log is whole: {verdict.entries:,} entries under {verdict.seals:,} seals, {verdict.unsealed:,} not "
        f"sealed yet. Note this digest elsewhere: {verdict.head or 'none yet'}"
    )
