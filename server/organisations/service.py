"""Making and finding organisations and sites."""

from sqlmodel.ext.asyncio.session import AsyncSession

from server.database import tenancy
from server.organisations import repository
from server.organisations.models import Organisation, Site
from server.problems import Problem

NAME_MAX = 120


class NameUnusable(Problem):
    """A name is empty, too long or holds characters that cannot be shown."""

    status = 422
    code = "name-unusable"
    title = "That name cannot be used"


class OrganisationExists(Problem):
    """There is one of that name."""

    status = 409
    code = "organisation-exists"
    title = "There is an organisation of that name"


class OrganisationUnknown(Problem):
    """There is none of that name."""

    status = 404
    code = "organisation-unknown"
    title = "There is no organisation of that name"


def usable_name(name: str, longest: int) -> str:
    """`name` without space around it. Raises `NameUnusable`."""
    trimmed = name.strip()
    if not trimmed or len(trimmed) > longest or not trimmed.isprintable():
        raise NameUnusable(f"A name is 1 to {longest} printable characters.")
    return trimmed


async def create_organisation(session: AsyncSession, name: str) -> Organisation:
    """Make an organisation; the session is then bound to it. Raises `NameUnusable`, `OrganisationExists`."""
    name = usable_name(name, NAME_MAX)
    if await repository.organisation_named(session, name) is not None:
        raise OrganisationExists(f"There is an organisation named {name} already. Choose another name or use that one.")
    organisation = Organisation(name=name)
    await repository.add_organisation(session, organisation)
    return organisation


async def enter_organisation(session: AsyncSession, name: str) -> Organisation:
    """Find an organisation by its name and bind the session to it. Raises `OrganisationUnknown`."""
    organisation = await repository.organisation_named(session, name.strip())
    if organisation is None:
        raise OrganisationUnknown(
            f"There is no organisation named {name}. Make it with: doorstep server create-organisation --name NAME"
        )
    await tenancy.enter(session, organisation.id)
    return organisation


async def enter_only_organisation(session: AsyncSession, name: str | None) -> Organisation:
    """As `enter_organisation`; without a name, the one that there is. Raises `OrganisationUnknown`."""
    if name is not None:
        return await enter_organisation(session, name)
    found = await repository.organisations(session)
    if len(found) != 1:
        raise OrganisationUnknown(f"There are {len(found)} organisations. Say which with: --organisation NAME")
    return await enter_organisation(session, found[0].name)


async def site(session: AsyncSession, organisation: Organisation, name: str) -> Site:
    """The organisation's site of that name, made when it is new. Raises `NameUnusable`."""
    name = usable_name(name, NAME_MAX)
    found = await repository.site_named(session, organisation.id, name)
    if found is None:
        await repository.add_site(session, Site(organisation_id=organisation.id, name=name))
        found = await repository.site_named(session, organisation.id, name)
        assert found is not None, "it was made just now, by this transaction or by one that is committed"
    return found
