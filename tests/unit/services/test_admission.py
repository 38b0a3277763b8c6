from datetime import timedelta

import pytest

from app.domain.errors import Forbidden, HeadraceError, NotFound, Unauthorized, Unavailable
from app.domain.ids import ChannelId
from app.domain.tokens import TICKET_SECONDS, issue
from app.services.admission import Admission
from tests.unit.doubles import ADA, CHANNEL, EVE, KEY, NOW, SECRET, USER, House

pytestmark = pytest.mark.anyio

UUID = ChannelId("0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6d")
MODES = ["auto", "required", "off"]
OLD_SECRET = "o" * 32


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


@pytest.fixture
def admission(house):
    def make(tickets="auto", *, later=0, secrets=(SECRET,)):
        return Admission(house.access, house.ledger, secrets, lambda: NOW + timedelta(seconds=later), 100, tickets)

    return make


async def admit(admission, channel=CHANNEL, token=None, keys=(), users=()):
    """Whose channel it is, opened again where that may be, as the handshake does."""
    found = await admission.admit(channel, api_keys=list(keys), user_ids=list(users), token=token)
    await admission.access.own(found.owner, channel, registered=found.is_registered)
    return found.owner


async def registered(house, admission, channel=CHANNEL, owner=ADA):
    await house.access.register(owner, channel, explicit=True)
    return await admission.token(owner, channel)


@pytest.mark.parametrize("channel", [UUID, CHANNEL])
@pytest.mark.parametrize("mode", MODES)
async def test_the_address_that_was_answered_works(house, admission, mode, channel):
    door = admission(mode)
    assert await admit(door, channel, await registered(house, door, channel)) == ADA


BARE = [("auto", UUID, None), ("auto", CHANNEL, "token_required"), ("required", UUID, "ticket_required"), ("required", CHANNEL, "ticket_required"),
        ("off", UUID, None), ("off", CHANNEL, None)]  # fmt: skip


@pytest.mark.parametrize(("mode", "channel", "refused"), BARE)
@pytest.mark.parametrize("token", [None, "", "nonsense", "stale", "of-another-name", "of-another-secret"])
async def test_a_token_that_does_not_count_counts_as_none(house, admission, mode, channel, refused, token):
    await registered(house, admission(mode), channel)
    token = {
        "stale": issue(SECRET, ADA, channel, NOW - timedelta(seconds=1)),
        "of-another-name": issue(SECRET, ADA, ChannelId("other"), NOW + timedelta(days=1)),
        "of-another-secret": issue("x" * 32, ADA, channel, NOW + timedelta(days=1)),
    }.get(token or "", token)
    if refused is None:
        assert await admit(admission(mode), channel, token) == ADA
        return
    with pytest.raises(Forbidden) as said:
        await admit(admission(mode), channel, token)
    assert (said.value.status, said.value.code, said.value.fields) == (403, refused, {})
    assert "ws-address" in said.value.detail
    assert not token or token not in said.value.detail
    assert ("too old" in said.value.detail) is bool(token)


async def test_a_token_lives_as_long_as_it_was_given_for(house, admission):
    token = await registered(house, admission())
    assert await admit(admission(later=100), token=token) == ADA
    with pytest.raises(Forbidden):
        await admit(admission(later=101), token=token)


async def test_a_token_outlives_the_change_of_the_secret(house, admission):
    token = await registered(house, admission(secrets=[OLD_SECRET]))
    assert await admit(admission(secrets=[SECRET, OLD_SECRET]), token=token) == ADA
    assert await admission(secrets=[SECRET, OLD_SECRET]).token(ADA, CHANNEL) != token


async def test_nothing_of_a_token_is_lost_with_redis(house, admission):
    token = await registered(house, admission())
    house.ledger.memory.wipe()
    assert await admit(admission(), token=token) == ADA
    assert (await house.ledger.state(ADA, CHANNEL)) is not None


async def test_a_token_leads_to_its_owners_channel_though_another_has_the_bare_name(house, admission):
    token = await registered(house, admission(), UUID)
    await house.ledger.restore(EVE, UUID)
    assert (await admit(admission(), UUID, token), await admit(admission(), UUID)) == (ADA, EVE)
    assert await admit(admission(), UUID, keys=[KEY], users=[USER]) == ADA
    assert await house.ledger.resolve(UUID) == EVE


async def test_a_token_opens_its_owners_channel_though_another_took_the_bare_name_after_a_wipe(house, admission):
    token = await registered(house, admission(), UUID)
    house.ledger.memory.wipe()
    await house.access.register(EVE, UUID, explicit=True)
    assert (await admit(admission(), UUID, token), await admit(admission(), UUID)) == (ADA, EVE)
    assert await house.ledger.state(ADA, UUID) is not None
    assert await house.ledger.resolve(UUID) == EVE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channel", [UUID, CHANNEL])
async def test_key_and_user_open_their_own_channel(house, admission, mode, channel):
    await house.access.register(ADA, channel, explicit=True)
    assert await admit(admission(mode), channel, keys=[KEY], users=[USER]) == ADA
    with pytest.raises(NotFound):
        await admit(admission(mode), channel, keys=[KEY], users=["eve@example.com"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("keys", "users"), [(["wrong"], [USER]), ([KEY], []), ([KEY, KEY], [USER]), ([KEY], [USER, USER]), ([""], [USER])])
async def test_wrong_headers_are_refused_though_the_token_is_good(house, admission, mode, keys, users):
    door = admission(mode)
    token = await registered(house, door, UUID)
    with pytest.raises(Unauthorized):
        await admit(door, UUID, token, keys, users)
    assert await admit(door, UUID, token) == ADA, "and the token was not spent"


async def test_good_headers_win_over_another_owners_token(house, admission):
    token = await registered(house, admission(), UUID, EVE)
    with pytest.raises(NotFound):
        await admit(admission(), UUID, token, [KEY], [USER])


async def test_a_user_id_without_a_key_claims_nothing(house, admission):
    token = await registered(house, admission())
    assert await admit(admission(), token=token, users=["whoever"]) == ADA


async def test_key_and_user_find_a_channel_that_a_wipe_took_by_its_markers(house, admission):
    house.inner.put(f"channels/{CHANNEL}/{ADA}/s-1", b"")
    assert await admit(admission(), keys=[KEY], users=[USER]) == ADA
    assert await house.ledger.resolve(CHANNEL) == ADA


@pytest.mark.parametrize("mode", ["auto", "off"])
async def test_an_unknown_channel_is_not_found(admission, mode):
    for keys, users in ((), ()), ([KEY], [USER]):
        with pytest.raises(NotFound):
            await admit(admission(mode), UUID, keys=keys, users=users)


async def test_a_ticket_opens_one_socket(house, admission):
    door = admission("required")
    first, second = await registered(house, door), await door.token(ADA, CHANNEL)
    assert first != second
    assert await admit(door, token=first) == ADA
    with pytest.raises(Forbidden):
        await admit(door, token=first)
    assert await admit(door, token=second) == ADA


async def test_a_ticket_of_another_channel_opens_nothing_and_is_spent(house, admission):
    door = admission("required")
    ticket = await registered(house, door)
    await registered(house, door, UUID)
    for channel in (UUID, CHANNEL):
        with pytest.raises(Forbidden):
            await admit(door, channel, ticket)


async def test_where_tickets_are_required_a_signed_token_opens_nothing(house, admission):
    token = await registered(house, admission("auto"), UUID)
    with pytest.raises(Forbidden):
        await admit(admission("required"), UUID, token)


async def test_only_the_hash_of_a_ticket_is_kept_for_a_minute(house, admission):
    ticket = await registered(house, admission("required"))
    [(kept, (owner, channel, until))] = house.ledger.memory.tickets.items()
    assert kept != ticket
    assert (owner, channel) == (ADA, CHANNEL)
    assert (until - house.ledger.memory.clock()).total_seconds() == pytest.approx(TICKET_SECONDS, abs=30)


@pytest.mark.parametrize("mode", MODES)
async def test_redis_away_is_said_as_such(house, admission, mode):
    token = await registered(house, admission(mode), UUID)
    house.ledger.away = True
    with pytest.raises(Unavailable) as away:
        await admit(admission(mode), UUID, token)
    assert isinstance(away.value, HeadraceError)
