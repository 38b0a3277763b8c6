import asyncio

import pytest

from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.layout import artifact_key, dead_key, object_key, result_key
from app.domain.results import Artifact, acceptance, failed
from app.domain.source import State
from app.protocol import inbox
from app.protocol.outcome import outcome
from tests.unit.doubles import ADA, CHANNEL, EVE, SOURCE, House, a_failure, a_record, a_success

pytestmark = pytest.mark.anyio
BASE = "http://now"


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


@pytest.fixture
async def accepted(house):
    record = house.stage(a_record())
    await house.accept(ADA, record)
    return record


def ended(house, record, make=a_failure, **more):
    """Committed and said."""
    result = make(record, **more)
    house.stage(record)
    assert house.inner.create(result_key(ADA, record.source_uuid, record.run), result.to_json())
    return result


def ends(house):
    return [body for body in house.ledger.told_events() if b'"status":"failure"' in body or b'"status":"success"' in body]


async def retry(house, run=None, owner=ADA):
    await house.runs.retry(owner, SOURCE, run=run, base_url=BASE)


# ------------------------------------------------------------------------------------------------ cancel


async def test_a_source_that_nobody_works_on_is_cancelled_at_once(house, accepted):
    await house.runs.cancel(ADA, SOURCE)
    result = outcome(house.inner, ADA, SOURCE).result
    assert (result.state, result.code, result.run) == (State.CANCELLED, "cancelled", 1)
    assert [moment.what for moment in result.timeline] == ["accepted", "cancelled"]
    assert [b'"code":"cancelled"' in end for end in ends(house)] == [True]
    assert house.inbox() == []
    assert (await house.ledger.state(ADA, CHANNEL)).busy == 0
    assert (await house.sources.show(ADA, SOURCE)).state is State.CANCELLED


async def test_what_was_cancelled_before_a_worker_came_can_be_run_again_with_the_bytes_that_travelled_in_its_record(house):
    record = a_record().packed(b"few bytes")
    await house.accept(ADA, record)
    await house.runs.cancel(ADA, SOURCE)
    await retry(house)
    again = inbox.read(house.inner, ADA, SOURCE)
    assert (again.run, again.schema_, again.body, house.bytes_of(again)) == (2, 1, None, b"few bytes")


async def test_a_worker_that_is_at_it_has_lost_it(house, accepted):
    worker = house.ledger._sync
    worker.claim(ADA, accepted, fence="f", worker="w")
    await house.runs.cancel(ADA, SOURCE)
    assert worker.beat(ADA, accepted, fence="f", worker="w", attempt=1) is False
    assert outcome(house.inner, ADA, SOURCE).result.attempt == 1


async def test_repeated_it_changes_nothing(house, accepted):
    for _ in range(3):
        await house.runs.cancel(ADA, SOURCE)
    assert len(ends(house)) == 1


async def test_of_many_at_once_each_is_answered_and_one_end_is_said(house, accepted):
    await asyncio.gather(*(house.runs.cancel(ADA, SOURCE) for _ in range(8)))
    assert len(ends(house)) == 1


@pytest.mark.parametrize("make", [a_success, a_failure])
@pytest.mark.parametrize("said", [False, True])
async def test_what_has_ended_otherwise_stays_as_it_ended(house, accepted, make, said):
    result = ended(house, accepted, make)
    if said:
        await house.conclude(ADA, accepted, result)
    with pytest.raises(Conflict) as refused:
        await house.runs.cancel(ADA, SOURCE)
    assert refused.value.code == "already_ended"
    assert outcome(house.inner, ADA, SOURCE).result == result


async def test_a_success_in_the_last_moment_wins(house, accepted):
    """Between our look and our commit."""
    create = house.inner.create

    def beaten(key, body, **more):
        create(key, a_success(accepted).to_json())
        return create(key, body, **more)

    house.inner.create = beaten
    with pytest.raises(Conflict) as refused:
        await house.runs.cancel(ADA, SOURCE)
    assert refused.value.code == "already_ended"
    assert outcome(house.inner, ADA, SOURCE).result.state is State.SUCCEEDED
    assert ends(house) == [], "its worker says it"


async def test_without_redis_it_is_cancelled_and_said_later(house, accepted):
    house.ledger.away = True
    await house.runs.cancel(ADA, SOURCE)
    assert outcome(house.inner, ADA, SOURCE).result.state is State.CANCELLED
    assert len(house.inbox()) == 1, "the reconciler finds it"
    house.ledger.away = False
    await house.runs.cancel(ADA, SOURCE)
    assert (len(ends(house)), house.inbox()) == (1, [])


async def test_after_a_wipe_too(house, accepted):
    house.ledger.memory.wipe()
    await house.runs.cancel(ADA, SOURCE)
    assert (len(ends(house)), house.inbox()) == (1, [])


@pytest.mark.parametrize("call", ["cancel", "retry"])
async def test_what_is_not_there_deleted_or_another_s_is_not_found(house, accepted, call):
    async def do(owner, source):
        with pytest.raises(NotFound):
            await (house.runs.cancel(owner, source) if call == "cancel" else house.runs.retry(owner, source, run=None, base_url=BASE))

    await do(EVE, SOURCE)
    await do(ADA, "never")
    await house.sources.delete(ADA, SOURCE)
    await do(ADA, SOURCE)


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancellation_that_the_store_cut_short_anywhere_is_taken_up_by_the_same_call_again(late, anyio_backend):
    k = 0
    while True:
        k += 1
        async with House() as house:
            await house.accept(ADA, house.stage(a_record()))
            house.store.reset(refuse_at=k, late=late)
            try:
                await house.runs.cancel(ADA, SOURCE)
            except Unavailable:
                house.store.reset()
                await house.runs.cancel(ADA, SOURCE)
            finished = len(house.store.calls) < k
            house.store.reset()
            await house.runs.cancel(ADA, SOURCE)
            assert outcome(house.inner, ADA, SOURCE).result.state is State.CANCELLED, k
            assert (len(ends(house)), house.inbox()) == (1, []), k
        if finished:
            assert k > 4
            return


# ------------------------------------------------------------------------------------------------ retry


@pytest.mark.parametrize("code", ["malformed", "crash", "cancelled"])
async def test_what_failed_or_was_cancelled_is_run_again_with_the_same_bytes_and_words(house, code):
    first = a_record(metadata={"case": 1}, tags=[{"a": "b"}], options={"x": True}, declared_type="text/plain", profile="scans", max_bytes=9, types=["image/*"])
    ended(house, first, code=code)
    await retry(house)
    record = inbox.read(house.inner, ADA, SOURCE)
    kept = {"source_uuid", "ws_uuid", "upload", "digest", "size", "filename", "metadata", "tags", "options", "declared_type", "profile", "max_bytes", "types"}
    assert record.model_dump(include=kept) == first.model_dump(include=kept)
    assert (record.run, record.base_url, record.accepted_at > first.accepted_at) == (2, BASE, True)
    assert [due.run for due in house.ledger.memory.enqueued] == [2]
    view = await house.sources.show(ADA, SOURCE)
    assert (view.state, view.run) == (State.ACCEPTED, 2)


async def test_a_url_is_fetched_again(house):
    ended(house, a_record(url="http://example.com/a", size=None))
    await retry(house)
    record = inbox.read(house.inner, ADA, SOURCE)
    assert (record.url, record.size, record.run) == ("http://example.com/a", None, 2)
    assert record.upload


@pytest.mark.parametrize("run", [None, 1, 3])
async def test_an_open_source_is_not_run_again(house, accepted, run):
    with pytest.raises(Conflict) as refused:
        await retry(house, run)
    assert (refused.value.code, refused.value.fields) == ("not_ended", {"run": 1})


@pytest.mark.parametrize("run", [None, 1])
async def test_a_success_is_not_run_again(house, accepted, run):
    await house.conclude(ADA, accepted, ended(house, accepted, a_success))
    with pytest.raises(Conflict) as refused:
        await retry(house, run)
    assert refused.value.code == "already_succeeded"


async def test_a_call_that_names_its_run_may_be_repeated_and_begins_one(house):
    ended(house, a_record())
    for _ in range(3):
        await retry(house, 1)
    assert [due.run for due in house.ledger.memory.enqueued] == [2]
    second = inbox.read(house.inner, ADA, SOURCE)
    await house.conclude(ADA, second, ended(house, second))
    await retry(house, 1)
    assert house.inbox() == [], "the run that it began has failed meanwhile; the next one wants to be asked for"
    with pytest.raises(Conflict) as refused:
        await retry(house, 7)
    assert (refused.value.code, refused.value.fields) == ("another_run", {"run": 2})
    await retry(house, 2)
    assert inbox.read(house.inner, ADA, SOURCE).run == 3


@pytest.mark.parametrize("run", [None, 1])
async def test_of_many_at_once_one_begins_the_run(house, run):
    ended(house, a_record())
    answers = await asyncio.gather(*(retry(house, run) for _ in range(8)), return_exceptions=True)
    assert None in answers
    assert {getattr(answer, "code", None) for answer in answers} <= {None} if run else {None, "not_ended"}
    assert [due.run for due in house.ledger.memory.enqueued] == [2]
    assert inbox.read(house.inner, ADA, SOURCE).run == 2


async def test_whoever_comes_second_in_the_same_moment_is_answered_like_the_first(house):
    """Another record than ours: for a URL each has its own place for the bytes."""
    first = a_record(url="http://example.com/a", size=None)
    ended(house, first)
    create = house.inner.create

    def beaten(key, body, **more):
        house.inner.create = create
        assert inbox.create(house.inner, ADA, a_record(url=first.url, size=None, run=2))
        return create(key, body, **more)

    house.inner.create = beaten
    await retry(house)
    assert inbox.read(house.inner, ADA, SOURCE).run == 2


async def test_an_end_that_was_not_said_yet_is_said_first(house, accepted):
    ended(house, accepted)
    await retry(house)
    assert len(ends(house)) == 1
    assert inbox.read(house.inner, ADA, SOURCE).run == 2


async def test_bytes_that_somebody_removed_are_missed(house):
    record = a_record()
    ended(house, record)
    house.inner.delete([object_key(ADA, record.upload)])
    with pytest.raises(Conflict) as refused:
        await retry(house)
    assert (refused.value.code, house.inbox()) == ("bytes_gone", [])


@pytest.mark.parametrize("how", ["away", "wiped"])
async def test_redis_is_not_needed(house, how):
    ended(house, a_record())
    if how == "wiped":
        house.ledger.memory.wipe()
    house.ledger.away = how == "away"
    await retry(house)
    assert inbox.read(house.inner, ADA, SOURCE).run == 2


def deleted_before_it_is_claimed(house):
    create = house.inner.create

    def beaten(key, body, **more):
        house.inner.create = create
        asyncio.run(house.sources.delete(ADA, SOURCE))
        return create(key, body, **more)

    house.inner.create = beaten
    house.ledger.away = True


async def test_deleted_in_the_last_moment_it_stays_deleted(house):
    ended(house, a_record())
    deleted_before_it_is_claimed(house)
    with pytest.raises(NotFound):
        await retry(house)
    assert house.inbox() == []


async def test_what_ended_in_another_s_run_in_the_last_moment_is_not_opened_again(house):
    first = a_record()
    ended(house, first)
    create = house.inner.create

    def beaten(key, body, **more):
        house.inner.create = create
        ended(house, acceptance(a_failure(first)).rerun(2), a_success)
        return create(key, body, **more)

    house.inner.create = beaten
    house.ledger.away = True
    await retry(house)
    assert house.inbox() == []


# ------------------------------------------------------------------------------------------------ reprocess


async def reprocess(house, run=None, owner=ADA):
    await house.runs.retry(owner, SOURCE, run=run, base_url=BASE, also_succeeded=True)


def a_reading(house, record):
    """A success that made a text."""
    key = artifact_key(ADA, record.source_uuid, record.run, f"f{record.run}", "text.txt")
    house.inner.put(key, b"words")
    text = Artifact(key=key, size=5, media_type="text/plain", filename="a.txt")
    original = Artifact(key=object_key(ADA, record.upload), size=3, media_type="application/octet-stream", filename="a")
    return ended(house, record, lambda r: a_success(r).model_copy(update={"fence": f"f{r.run}", "artifacts": {"text": text, "original": original}}))


async def said(house, record, make):
    result = make(house, record)
    await house.conclude(ADA, record, result)
    return result


@pytest.fixture
async def read(house, accepted):
    return await said(house, accepted, a_reading)


async def test_a_success_is_run_again_and_stands_until_the_new_one_has_ended(house, accepted, read):
    await reprocess(house, 1)
    second = inbox.read(house.inner, ADA, SOURCE)
    assert (second.run, second.upload, second.stored) == (2, accepted.upload, None)
    view = await house.sources.show(ADA, SOURCE)
    assert (view.state, view.run, view.standing.run) == (State.ACCEPTED, 2, 1)
    assert await house.sources.latest(ADA, SOURCE) == read
    again = await said(house, second, a_reading)
    assert await house.sources.latest(ADA, SOURCE) == again
    assert house.inner.stat(read.artifacts["text"].key) is None
    assert house.inner.stat(again.artifacts["text"].key)
    assert house.inner.stat(read.artifacts["original"].key), "the bytes stay"
    assert (await house.sources.artifact(ADA, SOURCE, 1)).run == 1, "links to them as well"


@pytest.mark.parametrize("code", ["crash", "cancelled", "malformed"])
async def test_a_run_that_came_to_nothing_leaves_what_stood_before(house, read, code):
    for run in (2, 3):
        await reprocess(house)
        record = inbox.read(house.inner, ADA, SOURCE)
        assert record.run == run
        await said(house, record, lambda house, record: ended(house, record, code=code))
        view = await house.sources.show(ADA, SOURCE)
        assert (view.state.is_terminal, view.run, view.standing, view.result.code) == (True, run, read, code)
        assert await house.sources.latest(ADA, SOURCE) == read
    assert house.inner.stat(read.artifacts["text"].key)
    await retry(house)
    await said(house, inbox.read(house.inner, ADA, SOURCE), a_reading)
    assert house.inner.stat(read.artifacts["text"].key) is None


async def test_what_a_later_run_finds_infected_stands_no_more(house, read):
    await reprocess(house)
    await said(house, inbox.read(house.inner, ADA, SOURCE), lambda house, record: ended(house, record, lambda r: failed(ADA, r, "infected", fence="f2")))
    assert (await house.sources.show(ADA, SOURCE)).standing is None
    assert (await house.sources.latest(ADA, SOURCE)).code == "infected"
    assert house.inner.stat(read.artifacts["text"].key) is None


async def test_a_url_is_read_from_the_bytes_that_were_fetched(house):
    read = a_reading(house, a_record(url="http://example.com/a", size=None))
    await reprocess(house)
    second = inbox.read(house.inner, ADA, SOURCE)
    assert (object_key(ADA, second.upload), second.stored, second.url) == (read.artifacts["original"].key, True, read.url)
    await said(house, second, lambda house, record: ended(house, record, lambda r: failed(ADA, r, "crash", fence="f2")))
    await retry(house)
    third = inbox.read(house.inner, ADA, SOURCE)
    assert (third.upload, third.stored) == (second.upload, True)


async def test_a_url_that_was_never_fetched_is_fetched(house):
    ended(house, a_record(url="http://example.com/a", size=None))
    await reprocess(house)
    assert inbox.read(house.inner, ADA, SOURCE).stored is None


async def test_of_many_reprocesses_and_retries_at_once_one_run_begins(house, read):
    answers = await asyncio.gather(*(reprocess(house, 1) for _ in range(4)), *(retry(house, 1) for _ in range(4)), return_exceptions=True)
    assert answers[:4] == [None] * 4
    assert {getattr(answer, "code", None) for answer in answers[4:]} <= {None, "already_succeeded"}
    assert inbox.read(house.inner, ADA, SOURCE).run == 2
    assert [due.run for due in house.ledger.memory.enqueued].count(2) == 1


async def test_reprocessed_while_it_is_deleted_it_stays_deleted(house, read):
    deleted_before_it_is_claimed(house)
    with pytest.raises(NotFound):
        await reprocess(house)
    assert house.inbox() == []


@pytest.mark.parametrize("how", ["away", "wiped"])
async def test_a_reprocess_needs_no_redis(house, read, how):
    if how == "wiped":
        house.ledger.memory.wipe()
    house.ledger.away = how == "away"
    await reprocess(house)
    assert inbox.read(house.inner, ADA, SOURCE).run == 2


async def test_another_s_is_not_found(house, read):
    with pytest.raises(NotFound):
        await reprocess(house, owner=EVE)


async def test_an_open_one_is_not_reprocessed(house, accepted):
    with pytest.raises(Conflict) as refused:
        await reprocess(house)
    assert refused.value.code == "not_ended"


# ------------------------------------------------------------------------------------------------ dead letters


async def dead(house, owner=ADA, **page):
    views, following = await house.sources.page(owner, after="", limit=page.get("limit", 100), dead=True)
    return [view.source for view in views], following


def spent(house, source, owner=ADA):
    record = a_record(source)
    house.inner.put(dead_key(owner, source), b"")
    ended(house, record, lambda r: failed(owner, r, "crash", fence="f", attempt=3, spent=True))
    return record


async def test_dead_letters_are_found_in_the_store_alone(house):
    for source in ("b", "a"):
        spent(house, source)
    ended(house, a_record("c"))
    ended(house, a_record("d"), a_success)
    house.inner.put(dead_key(ADA, "d"), b"")
    house.ledger.memory.wipe()
    house.ledger.away = True
    assert await dead(house) == (["a", "b"], None)
    assert await dead(house, limit=1) == (["a"], "a")
    assert await dead(house, EVE) == ([], None)


async def test_one_that_is_run_again_is_none_any_more_and_one_that_is_dropped_leaves_nothing(house):
    spent(house, SOURCE)
    spent(house, "s-2")
    await retry(house)
    assert (await dead(house))[0] == ["s-2"]
    await house.sources.delete(ADA, "s-2")
    assert (await dead(house))[0] == []
    assert house.inner.keys("dead/") == []
