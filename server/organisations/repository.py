"""SQL of organisations and sites."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from server.database import tenancy
from server.organisations.models import Organisation, Site


async def organisation_named(session: AsyncSession, name: str) -> Organisation | None:
    """The organisation of that exact name, before any is entered."""
    await tenancy.look_up(session, "organisation", name)
    return (await session.exec(select(Organisation).where(Organisation.name == name))).first()


async def organisations(session: AsyncSession) -> list[Organisation]:
    """Every organisation, for work behind the requests and for the command line."""
    await tenancy.every_organisation(session)
    return list((await session.exec(select(Organisation).order_by(col(Organisation.name)))).all())


async def add_organisation(session: AsyncSession, organisation: Organisation) -> None:
    """Add it; the session is then bound to it."""
    await tenancy.enter(session, organisation.id)
    session.add(organisation)
    await session.flush()


async def site_named(session: AsyncSession, organisation_id: UUID, name: str) -> Site | None:
    """The site of that exact name in the organisation that is entered."""
    query = select(Site).where(Site.organisation_id == organisation_id, Site.name == name)
    return (await session.exec(query)).first()


async def add_site(session: AsyncSession, site: Site) -> None:
    """Add a site. Where another made one of that name meanwhile, that one stands, and nothing is added."""
    added = insert(Site).values(site.model_dump()).on_conflict_do_nothing(index_elements=["organisation_id", "name"])
    await (await session.connection()).execute(added)
