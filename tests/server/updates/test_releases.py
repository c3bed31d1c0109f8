"""A release is kept once, whole and for good."""

import json

import pytest

from server.database import tenancy
from server.updates import release_repository as repository
from server.updates import service
from server.updates.service import BillUnusable, ReleaseFixed, ReleaseUnknown
from tests.server.conftest import Ward
from tests.server.updates import images
from tests.server.updates.images import FILES, image

BILL = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}).encode()


async def add(ward: Ward, content: bytes, bill: bytes | None = None) -> service.Added:
    async with tenancy.transaction(ward.sessions) as session:
        return await service.add(session, content, bill)


async def test_the_same_image_is_kept_once_with_its_bill(ward: Ward) -> None:
    content = image(model=images.model())
    first = await add(ward, content, BILL)
    assert first.added
    again = await add(ward, content, BILL)
    assert (again.added, again.release) == (False, first.release)
    assert not (await add(ward, content)).added
    async with tenancy.transaction(ward.sessions) as session:
        assert await repository.bill(session, first.release.image_id) == BILL
        kept = b"".join([await repository.block(session, first.release.image_id, at, 50) for at in range(0, 999, 50)])
    assert kept == content


async def test_a_number_that_is_there_with_other_bytes_is_refused(ward: Ward) -> None:
    model = images.model()
    await add(ward, image(model=model))
    other = image({**FILES, "reader/app.py": b"print('ill')\n"}, model=model)
    with pytest.raises(ReleaseFixed) as refused:
        await add(ward, other)
    assert refused.value.code == "release-fixed"
    with pytest.raises(ReleaseFixed):
        await add(ward, image(model=model), BILL)
    # The same number of another model is another release.
    assert (await add(ward, image(model=images.model()))).added


@pytest.mark.parametrize(
    "bill", [b"", b"[]", b"{}", b"\xff", b'{"bomFormat": "SPDX"}', b"[" * 100_000, b" " * 5_000_000]
)
async def test_what_is_no_bill_is_refused(ward: Ward, bill: bytes) -> None:
    with pytest.raises(BillUnusable):
        await add(ward, image(model=images.model()), bill)


async def test_a_number_that_several_models_have_needs_the_model(ward: Ward) -> None:
    one, other = images.model(), images.model()
    for model in (one, other):
        await add(ward, image(model=model, release=4_000_000))
    async with tenancy.transaction(ward.sessions) as session:
        assert (await service.choose(session, 4_000_000, one)).model == one
        with pytest.raises(ReleaseUnknown, match="Name the model"):
            await service.choose(session, 4_000_000, None)
        with pytest.raises(ReleaseUnknown):
            await service.choose(session, 4_000_001, None)
