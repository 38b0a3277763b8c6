import asyncio
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import Conflict, Unavailable
from app.domain.ids import ChannelId
from app.domain.layout import object_key, result_key, tombstone_key
from app.domain.source import State
from app.ports import Due
from app.protocol import inbox
from app.services.accept import Accept
from app.services.conclude import Conclude
from app.services.message import Message
from tests.unit.doubles import ADA, SOURCE, House, Ledger, a_failure, a_record, a_success, announcer, contents

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


def ended(house, result):
    """The source has come to this, and it was said."""
    house.inner.create(result_key(ADA, SOURCE, result.run), result.to_json())
    return result


async def conflict(house, record) -> Conflict:
    with pytest.raises(Conflict) as refused:
        await house.accept(ADA, house.stage(record))
    assert record.upload not in house.objects(), "what was staged is removed"
    return refused.value


async def test_a_fresh_source_is_in_the_inbox_and_enqueued_with_its_first_event(house):
    record = house.stage(a_record())
    await house.accept(ADA, record)
    assert inbox.read(house.inner, ADA, SOURCE) == record
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]
    assert [b'"event":"source.accepted"' in event for event in house.ledger.told_events()] == [True]


async def test_the_same_bytes_again_are_the_same_upload(house):
    first, again = house.stage(a_record()), house.stage(a_record())
    await house.accept(ADA, first)
    await house.accept(ADA, again)
    assert (inbox.read(house.inner, ADA, SOURCE), house.objects()) == (first, {first.upload})
    assert (len(house.ledger.memory.enqueued), len(house.ledger.told_events())) == (1, 1)


async def test_the_same_bytes_again_enqueue_what_redis_forgot(house):
    first = house.stage(a_record())
    await house.accept(ADA, first)
    house.ledger.memory.wipe()
    await house.accept(ADA, house.stage(a_record()))
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


@pytest.mark.parametrize("wiped", [False, True])
async def test_other_bytes_under_an_open_id_are_a_conflict(house, wiped):
    first = house.stage(a_record())
    await house.accept(ADA, first)
    if wiped:
        house.ledger.memory.wipe()
    assert (await conflict(house, a_record(digest="d2"))).code == "digest_mismatch"
    assert (inbox.read(house.inner, ADA, SOURCE), house.objects()) == (first, {first.upload})


async def test_the_writer_that_is_handed_its_own_refusal_has_accepted(house, monkeypatch):
    create = house.inner.create

    def answered_twice(key, body, **options):
        create(key, body, **options)
        return False

    monkeypatch.setattr(house.inner, "create", answered_twice)
    record = house.stage(a_record())
    await house.accept(ADA, record)
    assert house.objects() == {record.upload}
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


@pytest.mark.parametrize("wiped", [False, True])
async def test_after_a_success_the_same_bytes_are_answered_alike_and_their_channel_hears_the_end(house, wiped):
    first = house.stage(a_record())
    result = ended(house, a_success(first))
    if not wiped:
        await house.ledger.accept(ADA, first)
        await house.ledger.finish(ADA, first, house.announcer.ended(ADA, result), state=result.state)
    house.ledger.memory.enqueued.clear()
    channel = ChannelId("another")
    await house.accept(ADA, house.stage(a_record(ws_uuid=channel)))
    events = house.ledger.told_events(channel=channel)
    assert [Message(event).is_end for event in events] == [True]
    assert (house.inbox(), house.ledger.memory.enqueued, house.objects()) == ([], [], {first.upload})


async def test_after_a_success_the_same_bytes_on_the_same_channel_say_nothing_twice(house):
    first = house.stage(a_record())
    await house.accept(ADA, first)
    result = ended(house, a_success(first))
    await house.ledger.finish(ADA, first, house.announcer.ended(ADA, result), state=result.state)
    inbox.remove(house.inner, ADA, first)
    before = house.ledger.told_events()
    await house.accept(ADA, house.stage(a_record()))
    assert house.ledger.told_events() == before


async def test_after_a_success_with_redis_away_the_same_bytes_are_answered_alike(house):
    ended(house, a_success(a_record()))
    house.ledger.away = True
    await house.accept(ADA, house.stage(a_record()))
    assert (house.inbox(), house.objects()) == ([], set())


@pytest.mark.parametrize("past", [a_success, a_failure])
@pytest.mark.parametrize("wiped", [False, True])
async def test_after_an_end_other_bytes_are_a_conflict_for_ever(house, past, wiped):
    first = a_record()
    await house.accept(ADA, first)
    result = ended(house, past(first))
    await house.ledger.finish(ADA, first, house.announcer.ended(ADA, result), state=result.state)
    inbox.remove(house.inner, ADA, first)
    if wiped:
        house.ledger.memory.wipe()
    before = contents(house.inner)
    assert (await conflict(house, a_record(digest="d2"))).code == "digest_mismatch"
    assert contents(house.inner) == before


async def test_after_a_failure_the_same_bytes_are_the_next_run(house):
    ended(house, a_failure(a_record()))
    ended(house, a_failure(a_record(run=2)))
    record = house.stage(a_record())
    await house.accept(ADA, record)
    assert inbox.read(house.inner, ADA, SOURCE) == record.rerun(3)
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 3)]
    assert house.objects() == {record.upload}


async def test_a_failure_whose_end_is_still_to_be_said_is_said_before_the_next_run(house):
    first = house.stage(a_record())
    await house.accept(ADA, first)
    ended(house, a_failure(first))
    second = house.stage(a_record())
    await house.accept(ADA, second)
    assert inbox.read(house.inner, ADA, SOURCE) == second.rerun(2)
    assert [Message(event).is_end for event in house.ledger.told_events()] == [False, True, False]


async def test_a_success_whose_end_is_still_to_be_said_answers_the_same_bytes_alike(house):
    first = house.stage(a_record())
    await house.accept(ADA, first)
    ended(house, a_success(first))
    channel = ChannelId("another")
    await house.accept(ADA, house.stage(a_record(ws_uuid=channel)))
    assert inbox.read(house.inner, ADA, SOURCE) == first
    assert [Message(event).is_end for event in house.ledger.told_events(channel=channel)] == [True]
    assert house.objects() == {first.upload}


@pytest.mark.parametrize("open_", [False, True])
@pytest.mark.parametrize("digest", ["d1", "d2"])
async def test_a_deleted_id_is_not_used_again(house, digest, open_):
    if open_:
        await house.accept(ADA, a_record())
    house.inner.put(tombstone_key(ADA, SOURCE), b"{}")
    before = contents(house.inner)
    assert (await conflict(house, a_record(digest=digest))).code == "deleted"
    assert contents(house.inner) == before


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("past", [a_success, a_failure])
async def test_a_past_that_came_after_the_look_is_found_after_the_claim(house, past, away):
    seen = await house.accept.look(ADA, SOURCE)
    first = house.stage(a_record())
    await house.accept(ADA, first)
    result = ended(house, past(first))
    await house.ledger.finish(ADA, first, house.announcer.ended(ADA, result), state=result.state)
    inbox.remove(house.inner, ADA, first)
    house.ledger.memory.enqueued.clear()
    house.ledger.away = away
    other, same = house.stage(a_record(digest="d2")), house.stage(a_record())
    with pytest.raises(Conflict):
        await house.accept(ADA, other, past=seen)
    assert (house.inbox(), house.objects()) == ([], {first.upload, same.upload})
    await house.accept(ADA, same, past=seen)
    house.ledger.away = False
    if past is a_success:
        assert (house.inbox(), house.ledger.memory.enqueued, house.objects()) == ([], [], {first.upload})
    else:
        assert inbox.read(house.inner, ADA, SOURCE) == same.rerun(2)
        assert house.ledger.memory.enqueued == ([] if away else [Due(ADA, SOURCE, 2)])


async def test_a_deletion_that_came_after_the_look_is_found_when_redis_is_away(house):
    seen = await house.accept.look(ADA, SOURCE)
    house.inner.put(tombstone_key(ADA, SOURCE), b"{}")
    house.ledger.away = True
    with pytest.raises(Conflict):
        await house.accept(ADA, house.stage(a_record()), past=seen)
    assert (house.inbox(), house.objects()) == ([], set())


async def test_a_look_that_fails_beside_the_claim_leaves_a_whole_acceptance(house):
    """Not answered, and perhaps finished all the same: another request may have been answered by it meanwhile."""
    record = house.stage(a_record())
    house.store.refuse_all = {"keys"}
    with pytest.raises(Unavailable):
        await house.accept(ADA, record)
    assert (inbox.read(house.inner, ADA, SOURCE), house.objects(), house.ledger.memory.enqueued) == (record, {record.upload}, [])
    house.store.refuse_all = set()
    await house.accept(ADA, house.stage(a_record()))
    assert (inbox.read(house.inner, ADA, SOURCE), house.objects()) == (record, {record.upload})
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


async def test_a_look_that_fails_beside_a_refused_claim_leaves_nothing_of_this_one(house):
    first = house.stage(a_record())
    await house.accept(ADA, first)
    house.store.refuse_all = {"keys"}
    with pytest.raises(Unavailable):
        await house.accept(ADA, house.stage(a_record()))
    assert house.objects() == {first.upload}


async def test_a_claim_of_a_later_run_is_made_after_the_look_and_never_taken_back(house):
    """It has a past that does not answer it, so others are answered by it from the moment that it is there."""
    first = house.stage(a_record())
    ended(house, a_failure(first))
    house.store.reset()
    await house.accept(ADA, first.rerun(2))
    assert inbox.read(house.inner, ADA, SOURCE) == first.rerun(2)
    assert house.store.calls.index("keys") < house.store.calls.index("create")
    assert "delete" not in house.store.calls


async def test_the_past_is_looked_for_beside_the_claim(house):
    """Each waits until the other has begun."""
    both = threading.Barrier(2)
    for name in ("create", "keys"):
        call = getattr(house.inner, name)

        def meets(*args, call=call, **kwargs):
            both.wait(20)
            return call(*args, **kwargs)

        setattr(house.inner, name, meets)
    await asyncio.wait_for(house.accept(ADA, a_record().packed(b"abc")), 30)
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


async def test_with_redis_away_the_source_is_accepted_all_the_same(house):
    house.ledger.away = True
    record = house.stage(a_record())
    await house.accept(ADA, record)
    assert inbox.read(house.inner, ADA, SOURCE) == record
    assert house.ledger.memory.enqueued == []


async def test_ids_of_two_owners_do_not_meet(house):
    eve = "e" * 32
    await house.accept(ADA, house.stage(a_record()))
    await house.accept(eve, house.stage(a_record(digest="d2"), owner=eve))
    assert len(house.inbox()) == 2


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("past", [None, "open", "other", "success", "failure", "deleted", "unsaid"])
async def test_a_store_that_refuses_at_any_call_leaves_a_whole_acceptance_or_none(past, late, anyio_backend):
    """An acceptance that was not answered stands: another request may have been answered by it meanwhile. The same request again settles it."""
    k = 0
    while True:
        k += 1
        async with House() as house:
            first = house.stage(a_record(digest="d2" if past == "other" else "d1"))
            if past in {"open", "other", "unsaid"}:
                inbox.create(house.inner, ADA, first)
            if past in {"success", "failure", "unsaid"}:
                ended(house, a_success(first) if past == "success" else a_failure(first))
            if past == "deleted":
                house.inner.put(tombstone_key(ADA, SOURCE), b"{}")
            record = house.stage(a_record())
            house.store.reset(refuse_at=k, late=late)
            try:
                await house.accept(ADA, record)
            except Unavailable:
                pass
            except Conflict:
                assert past in {"other", "deleted"}
            refused = len(house.store.calls) >= k
            house.store.reset()
            current = inbox.read(house.inner, ADA, SOURCE)
            assert current is None or current.upload in house.objects()
            again = house.stage(a_record())
            try:
                await house.accept(ADA, again)
                assert past not in {"other", "deleted"}
            except Conflict:
                assert past in {"other", "deleted"}
            current = inbox.read(house.inner, ADA, SOURCE)
            assert current is None or current.upload in house.objects()
            assert again.upload not in house.objects() or (current is not None and current.upload == again.upload)
            expected = {None: 1, "open": 1, "other": 1, "failure": 2, "unsaid": 2}
            if past in expected:
                assert current.run == expected[past]
        if not refused:
            assert k > 1
            return


async def test_a_create_that_acted_and_was_not_heard_is_settled_by_the_same_upload_again(house):
    record = house.stage(a_record())
    house.store.refuse_all, house.store.late = {"create"}, True
    with pytest.raises(Unavailable):
        await house.accept(ADA, record)
    house.store.refuse_all, house.store.late = set(), False
    await house.accept(ADA, house.stage(a_record()))
    assert (inbox.read(house.inner, ADA, SOURCE), house.objects()) == (record, {record.upload})
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


class Interleaved:
    """In place of Offload: runs the call here, after and before a number of other tasks' steps that chance decides."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    async def __call__(self, call, *args, **kwargs):
        await self._wait()
        try:
            return call(*args, **kwargs)
        finally:
            await self._wait()

    async def _wait(self):
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)


@settings(max_examples=250)
@given(
    st.randoms(use_true_random=False),
    st.lists(st.sampled_from(["d1", "d2"]), min_size=2, max_size=4),
    st.sampled_from(["fresh", "success", "failure", "unsaid failure", "deleted"]),
)
def test_of_requests_that_race_for_an_id_one_sort_of_bytes_wins_and_no_answer_is_lost(chance, digests, past):
    async def scenario():
        house = House(ledger=Ledger())
        inner = house.inner
        first = house.stage(a_record())
        if past in {"success", "failure", "unsaid failure"}:
            ended(house, a_success(first) if past == "success" else a_failure(first))
        if past == "unsaid failure":
            inbox.create(inner, ADA, first)
        if past == "deleted":
            inner.put(tombstone_key(ADA, SOURCE), b"{}")
        offload = Interleaved(chance)
        accept = Accept(inner, house.ledger, offload, announcer(), house.owed, Conclude(inner, house.ledger, offload, announcer()))
        records = [house.stage(a_record(digest=digest, ws_uuid=f"w-{number}")) for number, digest in enumerate(digests)]
        answers = await asyncio.gather(*(accept(ADA, record) for record in records), return_exceptions=True)
        house.offload.close()

        accepted = [record for record, answer in zip(records, answers, strict=True) if answer is None]
        assert all(answer is None or isinstance(answer, Conflict) for answer in answers), answers
        current = inbox.read(inner, ADA, SOURCE)
        assert len({record.digest for record in accepted}) == (past != "deleted" and (past == "fresh" or "d1" in digests))
        for record, answer in zip(records, answers, strict=True):
            if record.digest == (accepted[0].digest if accepted else None):
                assert answer is None, "the same bytes get the same answer"
            assert record.upload not in house.objects() or (current is not None and current.upload == record.upload)
        if past == "deleted" or not accepted:
            assert current is None or past == "unsaid failure"
        elif past == "success":
            assert current is None
            for record in accepted:
                assert [Message(event).is_end for event in house.ledger.told_events(channel=record.ws_uuid)] == [True]
        else:
            assert current.digest == accepted[0].digest
            assert current.run == (1 if past == "fresh" else 2)
            assert object_key(ADA, current.upload) in contents(inner)
            assert (await house.ledger.record(ADA, SOURCE)).state is State.ACCEPTED
            assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, current.run)]

    asyncio.run(scenario())


@settings(max_examples=1000)
@given(st.randoms(use_true_random=False), st.integers(2, 4), st.sampled_from(["fresh", "failure", "unsaid failure"]), st.booleans())
def test_of_requests_that_race_in_a_store_that_refuses_at_random_every_answer_is_kept(chance, number, past, inline):
    """A refusal may come after the call has acted. What was answered has its acceptance, its bytes, and its place in the queue."""

    async def scenario():
        house = House(ledger=Ledger())
        inner = house.inner
        first = house.stage(a_record())
        if past != "fresh":
            ended(house, a_failure(first))
        if past == "unsaid failure":
            inbox.create(inner, ADA, first)

        class Refusing:
            def __getattr__(self, name):
                real = getattr(inner, name)

                def call(*args, **kwargs):
                    lot = chance.random()
                    if lot < 0.15:
                        raise Unavailable("storage_unavailable")
                    answer = real(*args, **kwargs)
                    if lot < 0.2:
                        raise Unavailable("storage_unavailable")
                    return answer

                return call

        store, offload = Refusing(), Interleaved(chance)
        accept = Accept(store, house.ledger, offload, announcer(), house.owed, Conclude(store, house.ledger, offload, announcer()))
        records = [a_record().packed(b"abc") if inline else house.stage(a_record()) for _ in range(number)]
        answers = await asyncio.gather(*(accept(ADA, record) for record in records), return_exceptions=True)
        house.offload.close()
        assert all(answer is None or isinstance(answer, Unavailable) for answer in answers), answers
        if None in answers:
            current = inbox.read(inner, ADA, SOURCE)
            assert current.run == (1 if past == "fresh" else 2)
            assert house.bytes_of(current) == b"abc"
            assert (await house.ledger.record(ADA, SOURCE)).run == current.run

    asyncio.run(scenario())
