import pytest

from app.domain.errors import Forbidden, RateLimited
from app.domain.quota import Kind, Quotas
from app.services.pace import Pace
from app.services.principal import Principal
from tests.unit.domain.test_upload_token import token
from tests.unit.doubles import ADA, EVE, NOW, Ledger, RateLimits, a_record

pytestmark = pytest.mark.anyio

ME = Principal(ADA, "acme")


def pace(limits=None, ledger=None, **quotas):
    return Pace(limits or RateLimits(), ledger or Ledger(), Quotas(**quotas), {"big": Quotas(uploads_per_minute=3)}, lambda: NOW)


async def test_over_the_quota_it_is_told_when_to_come_again():
    asked = pace(uploads_per_minute=1)
    assert await asked.take(ME, Kind.UPLOADS) == {"RateLimit-Policy": '"uploads";q=1;w=60', "RateLimit": '"uploads";r=0;t=1'}
    with pytest.raises(RateLimited) as refused:
        await asked.take(ME, Kind.UPLOADS)
    assert refused.value.fields == {"quota": "uploads", "limit": 1}
    assert refused.value.retry_after_seconds == 1
    await asked.take(Principal(EVE, "acme"), Kind.UPLOADS)


async def test_without_a_quota_nothing_is_asked():
    limits = RateLimits()
    limits.away = True
    assert await pace(limits).take(ME, Kind.UPLOADS, size_bytes=10) == {}


async def test_bytes_are_counted_beside_the_number():
    asked = pace(bytes_per_day=100)
    assert await asked.take(ME, Kind.UPLOADS, size_bytes=80) == {}
    with pytest.raises(RateLimited) as refused:
        await asked.take(ME, Kind.UPLOADS, size_bytes=30)
    assert refused.value.fields["quota"] == "bytes"
    with pytest.raises(RateLimited):
        await asked.more(ME, Kind.UPLOADS, 0, size_bytes=30)
    await asked.more(ME, Kind.UPLOADS, 5, size_bytes=20)


async def test_what_can_never_fit_waits_the_whole_time():
    with pytest.raises(RateLimited) as refused:
        await pace(bytes_per_day=100).take(ME, Kind.UPLOADS, size_bytes=101)
    assert refused.value.retry_after_seconds == 86400


async def test_an_organisation_may_have_quotas_of_its_own():
    asked = pace(uploads_per_minute=1)
    big = Principal(ADA, "big")
    for _ in range(3):
        await asked.take(big, Kind.UPLOADS)
    with pytest.raises(RateLimited):
        await asked.take(big, Kind.UPLOADS)


async def test_with_redis_away_nobody_is_refused():
    limits = RateLimits()
    limits.away = True
    asked = pace(limits, uploads_per_minute=1, bytes_per_day=1)
    for _ in range(3):
        assert await asked.take(ME, Kind.UPLOADS, size_bytes=5) == {}
    await asked.spend(Principal(ADA, "acme", token=token(count=1)), "s-1")
    await asked.spend(Principal(ADA, "acme", token=token(count=1)), "s-2")


async def test_a_token_with_a_count_is_used_up():
    asked, holder = pace(), Principal(ADA, "acme", token=token(count=1))
    await asked.spend(holder, "s-1")
    await asked.spend(holder, "s-1")
    with pytest.raises(Forbidden) as refused:
        await asked.spend(holder, "s-2")
    assert refused.value.code == "token_used_up"
    await asked.spend(ME, "s-2")


async def test_who_has_as_many_open_sources_as_there_may_be_brings_no_more_until_one_ends():
    ledger = Ledger()
    asked = pace(ledger=ledger, open_sources=2)
    await ledger.accept(ADA, a_record("s-1"))
    await asked.take(ME, Kind.UPLOADS)
    with pytest.raises(RateLimited):
        await asked.more(ME, Kind.UPLOADS, 1)
    await ledger.accept(ADA, a_record("s-2"))
    with pytest.raises(RateLimited) as refused:
        await asked.take(ME, Kind.UPLOADS)
    assert (refused.value.fields, refused.value.retry_after_seconds) == ({"quota": "open-sources", "limit": 2}, 10)
    await asked.take(ME, Kind.REGISTRATIONS)
    await asked.take(Principal(EVE, "acme"), Kind.UPLOADS)
    await ledger.forget(ADA, "s-1")
    await asked.take(ME, Kind.UPLOADS)


async def test_with_redis_away_nobody_is_refused_for_open_sources():
    ledger = Ledger()
    await ledger.accept(ADA, a_record("s-1"))
    ledger.away = True
    await pace(ledger=ledger, open_sources=1).take(ME, Kind.UPLOADS)


async def test_many_at_once_are_counted_as_so_many():
    asked = pace(uploads_per_minute=5)
    assert (await asked.take(ME, Kind.UPLOADS, count=4))["RateLimit"] == '"uploads";r=1;t=1'
    assert await asked.take(ME, Kind.UPLOADS, count=0) == {}
    with pytest.raises(RateLimited):
        await asked.take(ME, Kind.UPLOADS, count=2)


async def test_as_many_at_once_as_there_is_room_for_are_let_in():
    ledger = Ledger()
    asked = pace(ledger=ledger, open_sources=3)
    await ledger.accept(ADA, a_record("s-1"))
    await asked.take(ME, Kind.UPLOADS, count=2)
    with pytest.raises(RateLimited):
        await asked.take(ME, Kind.UPLOADS, count=3)
