import pytest

from app.domain.errors import NotFound, Unauthorized, Unavailable
from app.domain.ids import owner_id
from tests.unit.doubles import ADA, CHANNEL, EVE, KEY, USER, House

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


def mark(house, owner, source="s-1"):
    house.inner.put(f"channels/{CHANNEL}/{owner}/{source}", b"")


async def test_key_and_user_together_are_the_owner(house):
    assert house.access.authenticate([KEY], [USER]).owner == ADA
    assert house.access.authenticate(["key-of-other"], [USER]).owner == owner_id("other", USER) != ADA


@pytest.mark.parametrize(
    ("keys", "users"),
    [
        ([], [USER]),
        ([KEY], []),
        ([], []),
        (["wrong"], [USER]),
        ([""], [USER]),
        ([KEY], [""]),
        ([KEY, KEY], [USER]),
        ([KEY, "wrong"], [USER]),
        ([KEY], [USER, USER]),
    ],
)
async def test_anything_but_one_good_key_and_one_user_is_refused(house, keys, users):
    with pytest.raises(Unauthorized):
        house.access.authenticate(keys, users)


async def test_a_channel_belongs_to_whom_registered_it_first(house):
    await house.access.register(ADA, CHANNEL, explicit=True)
    await house.access.register(ADA, CHANNEL, explicit=False)
    with pytest.raises(NotFound):
        await house.access.register(EVE, CHANNEL, explicit=True)
    assert await house.access.owner_of(CHANNEL) == ADA


async def test_a_channel_that_nobody_knows_is_not_found(house):
    with pytest.raises(NotFound):
        await house.access.owner_of(CHANNEL)


async def test_after_a_wipe_the_markers_in_the_store_say_whose_a_channel_was(house):
    mark(house, ADA)
    assert await house.access.owner_of(CHANNEL) == ADA
    assert await house.ledger.resolve(CHANNEL) == ADA
    assert (await house.ledger.state(ADA, CHANNEL)) is not None


async def test_after_a_wipe_another_does_not_get_the_name_and_the_owner_has_it_back(house):
    mark(house, ADA)
    with pytest.raises(NotFound):
        await house.access.register(EVE, CHANNEL, explicit=True)
    assert await house.ledger.resolve(CHANNEL) == ADA
    with pytest.raises(NotFound):
        await house.access.register(EVE, CHANNEL, explicit=True)
    await house.access.register(ADA, CHANNEL, explicit=True)


async def test_a_name_that_prefixes_another_is_not_taken_for_it(house):
    house.inner.put(f"channels/{CHANNEL}0/{EVE}/s-1", b"")
    await house.access.register(ADA, CHANNEL, explicit=True)
    assert await house.access.owner_of(CHANNEL) == ADA


async def test_redis_away_is_said(house):
    house.ledger.away = True
    for call in (house.access.register(ADA, CHANNEL, explicit=True), house.access.owner_of(CHANNEL)):
        with pytest.raises(Unavailable):
            await call
