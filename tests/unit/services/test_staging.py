import asyncio
import gc
import threading

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_hexdigest

from app.adapters import parts
from app.adapters.memory import MemoryObjectStore
from app.domain import policy
from app.domain.errors import TooLarge, Unavailable
from app.domain.layout import object_key
from app.services.budget import BufferBudget
from app.services.offload import Offload
from app.services.staging import Staging
from tests.unit.doubles import ADA, Troubled, closing, contents

pytestmark = pytest.mark.anyio

PART = 64
CHUNKS = st.lists(st.binary(max_size=150), max_size=12)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(policy, "PART_BYTES", PART)
    monkeypatch.setattr(parts, "_SMALLEST", 1)


@pytest.fixture
def offload():
    with closing(Offload(3)) as made:
        yield made


@pytest.fixture
def store():
    return Troubled(MemoryObjectStore())


@pytest.fixture
def budget():
    return BufferBudget(4 * PART)


@pytest.fixture
def stage(store, offload, budget):
    def make(**options) -> Staging:
        return Staging(store, offload, budget.share(), ADA, max_bytes=options.pop("max_bytes", 10**6), **options)

    return make


# Examples share the fixtures; each stages an object of its own.
many = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(CHUNKS)
@example([b"x" * PART])
@example([b"x" * PART, b"y"])
@example([b"x" * PART * 5])
@example([b""])
def test_any_chunks_of_any_bytes_give_the_same_object_and_digest(stage, store, budget, chunks):
    async def scenario():
        staging = stage()
        for chunk in chunks:
            await staging.write(memoryview(chunk))
        return staging, await staging.finish()

    store.reset()
    staging, staged = asyncio.run(scenario())
    body = b"".join(chunks)
    assert store.get(staging.key) == body
    assert (staged.size, staged.digest, object_key(ADA, staged.upload)) == (len(body), xxh3_128_hexdigest(body), staging.key)
    assert ("put" in store.calls, "start" in store.calls) == (len(body) <= PART, len(body) > PART)
    assert budget._left == 4 * PART


async def test_a_body_of_exactly_one_part_is_one_put_and_a_byte_more_goes_in_parts(stage, store):
    for size, calls in ((PART, ["put"]), (PART + 1, ["start", "put_part", "put_part", "complete"]), (2 * PART, ["start", "put_part", "put_part", "complete"])):
        store.reset()
        staging = stage()
        await staging.write(b"x" * size)
        await staging.finish()
        assert store.calls == calls
        assert store.store.stat(staging.key).size == size


@many
@given(CHUNKS, st.integers(0, 12))
def test_an_abort_at_any_point_leaves_nothing(stage, store, budget, chunks, at):
    async def scenario():
        staging = stage()
        for chunk in chunks[:at]:
            await staging.write(chunk)
        await staging.abort()
        await staging.abort()

    asyncio.run(scenario())
    assert contents(store.store) == {}
    assert budget._left == 4 * PART


@many
@given(st.integers(0, 40))
def test_a_cancellation_at_any_point_leaves_nothing_behind_an_abort(stage, store, budget, ticks):
    async def scenario():
        staging = stage()

        async def upload():
            try:
                for _ in range(6):
                    await staging.write(b"x" * 50)
                await staging.finish()
            except BaseException:
                await staging.abort()
                raise

        task = asyncio.create_task(upload())
        for _ in range(ticks):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return staging, not task.cancelled() if done else False

    staging, whole = asyncio.run(scenario())
    if whole:
        store.store.delete([staging.key])
    assert contents(store.store) == {}
    assert budget._left == 4 * PART


@pytest.mark.parametrize("size", [10, 5 * PART])
async def test_a_cancellation_while_the_store_is_making_the_object_leaves_nothing(stage, store, budget, size, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    put = store.store.put

    def slow(*args, **kwargs):
        begun.set()
        go_on.wait(20)
        put(*args, **kwargs)

    monkeypatch.setattr(store.store, "put", slow)
    staging = stage()
    await staging.write(b"x" * size)
    task = asyncio.create_task(staging.finish())
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await staging._offload(lambda: None)
    assert contents(store.store) == {}
    assert budget._left == 4 * PART


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("call", ["start", "put_part", "complete"])
async def test_a_store_that_refuses_ends_the_upload_and_nothing_is_left(stage, store, budget, call, late):
    store.refuse_all, store.late = {call}, late and call != "complete"  # a completion that acted and was not heard made the object: see ports.Transfer
    staging = stage()
    with pytest.raises(Unavailable):
        for _ in range(10):
            await staging.write(b"x" * 50)
        await staging.finish()
    await staging.abort()
    assert contents(store.store) == {}
    assert budget._left == 4 * PART


async def test_parts_that_fail_together_leave_no_exception_unheard(stage, store):
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["message"]))
    store.refuse_all = {"put_part"}
    staging = stage()
    with pytest.raises(Unavailable):
        for _ in range(10):
            await staging.write(b"x" * PART)
            await asyncio.sleep(0.01)
    await staging.abort()
    del staging
    gc.collect()
    assert heard == []


async def test_a_body_over_the_limit_is_refused_with_its_limit(stage, store, budget):
    staging = stage(max_bytes=200)
    await staging.write(b"x" * 200)
    with pytest.raises(TooLarge) as refused:
        await staging.write(b"y")
    assert refused.value.fields == {"limit": 200}
    await staging.abort()
    assert contents(store.store) == {}


async def test_no_more_parts_are_begun_than_the_store_takes(stage, monkeypatch):
    monkeypatch.setattr("app.services.staging.MAX_PARTS", 3)
    staging = stage()
    with pytest.raises(TooLarge):
        await staging.write(b"x" * (3 * PART + 1))
    await staging.abort()


async def test_an_upload_holds_three_parts_at_the_most(stage, store, budget, monkeypatch):
    most = 0
    take = type(budget)._take

    async def counting(self, share, size):
        nonlocal most
        await take(self, share, size)
        most = max(most, 4 * PART - self._left)

    monkeypatch.setattr(type(budget), "_take", counting)
    staging = stage()
    for _ in range(40):
        await staging.write(b"x" * 50)
    await staging.finish()
    assert 2 * PART < most <= 3 * PART


async def test_many_uploads_under_a_budget_of_less_than_one_all_arrive(store, offload):
    tight = BufferBudget(PART // 2)

    async def upload(number: int) -> bool:
        staging = Staging(store, offload, tight.share(), ADA, max_bytes=10**6)
        body = bytes([number]) * (number * 37)
        for at in range(0, len(body), 29):
            await staging.write(body[at : at + 29])
        await staging.finish()
        return store.get(staging.key) == body

    assert all(await asyncio.wait_for(asyncio.gather(*(upload(number) for number in range(12))), 20))
    assert tight._left == PART // 2


@pytest.mark.parametrize("size", [10, 5 * PART])
async def test_what_was_finished_goes_with_an_abort_unless_it_was_handed_over(stage, store, size):
    kept, dropped = stage(), stage()
    for staging in (kept, dropped):
        await staging.write(b"x" * size)
        assert await staging.finish() == await staging.finish(), "asked again: the same answer"
    staged = kept.hand_over()
    for staging in (kept, dropped):
        await staging.abort()
        await staging.abort()
    assert list(contents(store.store)) == [object_key(ADA, staged.upload)]
    with pytest.raises(RuntimeError):
        dropped.hand_over()


async def test_what_was_not_finished_cannot_be_handed_over(stage):
    with pytest.raises(RuntimeError):
        stage().hand_over()


async def test_an_abort_that_the_store_refuses_raises_nothing(stage, store):
    staging = stage()
    await staging.write(b"x")
    await staging.finish()
    store.refuse_all = {"delete"}
    await staging.abort()
