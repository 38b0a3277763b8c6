import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.errors import NotFound, Unavailable
from app.domain.layout import result_key, tombstone_key
from app.domain.results import Moment
from app.domain.source import State
from app.protocol import inbox
from tests.unit.doubles import ADA, CHANNEL, EVE, NOW, SOURCE, House, a_failure, a_record, a_success, contents

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


def ended(house, record, make=a_success, owner=ADA):
    result = make(record, owner=owner)
    house.inner.create(result_key(owner, record.source_uuid, record.run), result.to_json())
    for artifact in result.artifacts.values():
        house.inner.put(artifact.key, b"abc")
    house.inner.put(f"channels/{record.ws_uuid}/{owner}/{record.source_uuid}", b"")
    return result


async def test_an_open_source_is_shown_from_its_record_and_the_ledger(house):
    record = house.stage(a_record())
    await house.accept(ADA, record)
    view = await house.sources.show(ADA, SOURCE)
    assert (view.state, view.record, view.result, view.live.run) == (State.ACCEPTED, record, None, 1)
    assert [moment.what for moment in view.timeline] == ["accepted"]


async def test_a_source_at_work_is_shown_as_such_while_redis_knows(house):
    record = house.stage(a_record())
    await house.accept(ADA, record)
    house.ledger._sync.claim(ADA, record, fence="f", worker="w")
    assert (await house.sources.show(ADA, SOURCE)).state is State.PROCESSING
    house.ledger.memory.wipe()
    assert (await house.sources.show(ADA, SOURCE)).state is State.ACCEPTED
    house.ledger.away = True
    assert (await house.sources.show(ADA, SOURCE)).state is State.ACCEPTED


async def test_who_waits_is_told_its_place_and_who_works_or_is_unknown_is_not(house):
    for name in (SOURCE, "s-2"):
        await house.accept(ADA, house.stage(a_record(name)))
    assert [(await house.sources.show(ADA, name)).queued for name in (SOURCE, "s-2")] == [1, 2]
    house.ledger._sync.claim(ADA, a_record(), fence="f", worker="w")
    assert (await house.sources.show(ADA, SOURCE)).queued is None
    house.ledger.memory.wipe()
    assert (await house.sources.show(ADA, "s-2")).queued is None
    house.ledger.away = True
    assert (await house.sources.show(ADA, "s-2")).queued is None


@pytest.mark.parametrize("make", [a_success, a_failure])
@pytest.mark.parametrize("announced", [False, True])
async def test_a_source_that_ended_is_shown_from_its_result_also_while_its_end_is_unsaid(house, make, announced):
    record = house.stage(a_record())
    await house.accept(ADA, record)
    result = ended(house, record, make).model_copy(update={"timeline": [Moment(at=NOW, what="committed")]})
    house.inner.put(result_key(ADA, SOURCE, 1), result.to_json())
    if announced:
        inbox.remove(house.inner, ADA, record)
        house.ledger.memory.wipe()
    view = await house.sources.show(ADA, SOURCE)
    assert (view.state, view.result, view.live) == (result.state, result, None)
    assert [moment.what for moment in view.timeline] == ["committed"]


async def test_a_new_run_after_a_failure_is_shown_as_open(house):
    ended(house, a_record(), a_failure)
    await house.accept(ADA, house.stage(a_record()))
    view = await house.sources.show(ADA, SOURCE)
    assert (view.state, view.record.run, view.result) == (State.ACCEPTED, 2, None)


async def test_what_is_not_there_or_deleted_or_another_s_is_not_found_all_alike(house):
    ended(house, a_record())
    ended(house, a_record("s-2"))
    await house.sources.delete(ADA, "s-2")
    found = []
    for owner, source in ((ADA, "s-0"), (ADA, "s-2"), (EVE, SOURCE)):
        for call in (house.sources.show, house.sources.delete):
            with pytest.raises(NotFound) as refused:
                await call(owner, source)
            found.append((refused.value.code, refused.value.detail, refused.value.fields))
    assert set(map(str, found)) == {str(found[0])}
    assert (await house.sources.show(ADA, SOURCE)).state is State.SUCCEEDED


IDS = st.lists(st.text("a1A.-_", min_size=1, max_size=4).filter(lambda name: name not in {".", ".."}), max_size=14, unique=True)


@settings(max_examples=80)
@given(IDS, st.integers(1, 5), st.randoms(use_true_random=False), st.booleans())
@example(["a", "a-b"], 1, None, False)
@example(["a", *[f"a-{n}" for n in range(9)]], 3, None, True)
def test_paging_covers_all_ids_once_in_one_order_whether_open_or_ended_with_redis_or_without(ids, limit, chance, away):
    async def scenario():
        async with House() as house:
            deleted = set()
            for number, source in enumerate(ids):
                kind = chance.randrange(5) if chance else number % 2
                if kind in {0, 2}:
                    inbox.create(house.inner, ADA, a_record(source))
                if kind in {1, 2, 3}:
                    ended(house, a_record(source))
                if kind == 4:
                    house.inner.put(tombstone_key(ADA, source), b"{}")
                    deleted.add(source)
                inbox.create(house.inner, EVE, a_record(source))
            house.ledger.away = away
            found, after = [], ""
            for _ in range(len(ids) + 2):
                views, following = await house.sources.page(ADA, after=after, limit=limit)
                assert len(views) <= limit
                found += [view.source for view in views]
                if following is None:
                    break
                after = following
            else:
                raise AssertionError("the pages have no end")
            whole, _ = await house.sources.page(ADA, after="", limit=100)
            assert found == [view.source for view in whole]
            assert sorted(found) == sorted(set(ids) - deleted)

    asyncio.run(scenario())


async def test_a_page_tells_the_state_of_each(house):
    inbox.create(house.inner, ADA, a_record("open"))
    ended(house, a_record("good"))
    ended(house, a_record("bad"), a_failure)
    views, following = await house.sources.page(ADA, after="", limit=3)
    assert [(view.source, view.state) for view in views] == [("bad", State.FAILED), ("good", State.SUCCEEDED), ("open", State.ACCEPTED)]
    assert following is None


async def test_a_deleted_source_leaves_its_tombstone_only_and_its_open_run_ends_as_cancelled(house):
    record = house.stage(a_record())
    await house.accept(ADA, record)
    await house.sources.delete(ADA, SOURCE)
    assert list(contents(house.inner)) == [tombstone_key(ADA, SOURCE)]
    assert b'"code":"cancelled"' in house.ledger.told_events()[-1]
    assert (await house.ledger.state(ADA, CHANNEL)).busy == 0


async def test_with_redis_away_a_deleted_source_keeps_its_inbox_record_until_its_end_is_said(house):
    record = house.stage(a_record())
    await house.accept(ADA, record)
    house.ledger.away = True
    await house.sources.delete(ADA, SOURCE)
    assert set(contents(house.inner)) == {tombstone_key(ADA, SOURCE), f"inbox/{ADA}~{SOURCE}"}


@pytest.mark.parametrize("open_", [False, True])
async def test_a_deletion_that_the_store_cut_short_anywhere_is_taken_up_by_the_same_call_again(open_, anyio_backend):
    k = 0
    while True:
        k += 1
        async with House() as house:
            record = house.stage(a_record())
            if open_:
                await house.accept(ADA, record)
            else:
                ended(house, record)
            house.store.reset(refuse_at=k)
            try:
                await house.sources.delete(ADA, SOURCE)
            except Unavailable:
                house.store.reset()
                await house.sources.delete(ADA, SOURCE)
            finished = len(house.store.calls) < k
            house.store.reset()
            left = set(contents(house.inner)) - {f"inbox/{ADA}~{SOURCE}"}  # which is the reconciler's to close, when only that failed
            assert left == {tombstone_key(ADA, SOURCE)}, k
            with pytest.raises(NotFound):
                await house.sources.show(ADA, SOURCE)
        if finished:
            return


async def test_the_result_that_a_link_names_is_found_until_the_source_is_deleted(house):
    result = ended(house, a_record())
    assert await house.sources.artifact(ADA, SOURCE, 1) == result
    await house.sources.delete(ADA, SOURCE)
    with pytest.raises(NotFound):
        await house.sources.artifact(ADA, SOURCE, 1)
