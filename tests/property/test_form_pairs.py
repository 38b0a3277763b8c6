"""Several files in one form: whatever the order of its parts and wherever its bytes are cut, each source gets its own file, or nothing is left."""

import asyncio
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters import parts as store_parts
from app.domain import policy
from app.protocol import inbox
from tests.unit.api.asgi import GONE, WHO, multipart, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, CHANNEL, House, contents

URL = "/public/sources/upload-source"
PART = 64
BODIES = st.lists(st.binary(max_size=3 * PART).map(lambda body: body.replace(b"-", b"+")), min_size=2, max_size=5)


@pytest.fixture(autouse=True, scope="module")
def _small_parts():
    before = policy.PART_BYTES, store_parts._SMALLEST
    policy.PART_BYTES, store_parts._SMALLEST = PART, 1
    yield
    policy.PART_BYTES, store_parts._SMALLEST = before


@st.composite
def forms(draw):
    """Parts of a form in any order in which files, ids and names each keep theirs; and the (id, name, bytes) that belong together."""
    bodies = draw(BODIES)
    named = draw(st.booleans())
    sources = [(f"s-{n}", f"n-{n}.txt" if named else f"f-{n}.txt", body) for n, body in enumerate(bodies)]
    lines = [
        deque(("source-uuid", source) for source, _, _ in sources),
        deque(("file", body, f"f-{n}.txt") for n, body in enumerate(bodies)),
        deque([("ws-uuid", CHANNEL)]),
        *([deque(("filename", name) for _, name, _ in sources)] if named else []),
    ]
    out = []
    while left := [line for line in lines if line]:
        out.append(draw(st.sampled_from(left)).popleft())
    return out, sources


def cut(body: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(body) + 1) for place in places} | {0, len(body)})
    return [body[start:stop] for start, stop in zip(at, at[1:], strict=False)]


async def send(house, content_type, chunks):
    return await request(application(house), "POST", URL, chunks, headers=WHO | {"content-type": content_type})


def untouched(house) -> bool:
    busy = sum(len(channel.receiving) and max(channel.receiving.values()) > house.ledger.memory.clock() for channel in house.ledger.memory.channels.values())
    return contents(house.inner) == {} and house.budget._left == house.budget_bytes and house.ledger.memory.enqueued == [] and not busy


@settings(max_examples=150, deadline=None)
@given(forms(), st.lists(st.integers(0, 10**6), max_size=10))
def test_each_source_gets_the_file_of_its_place(form, places):
    parts, expected = form

    async def scenario():
        async with House() as house:
            body, content_type = multipart(*parts)
            answer = await send(house, content_type, cut(body, places))
            assert (answer.status, [(each["source-uuid"], each["status"]) for each in answer.json()["sources"]]) == (200, [(s, 200) for s, _, _ in expected])
            for source, name, content in expected:
                record = inbox.read(house.inner, ADA, source)
                assert (record.filename, record.size) == (name, len(content))
                assert house.inner.get(f"objects/{ADA}/{record.upload}") == content
            assert len(house.objects()) == len(expected)
            assert house.budget._left == house.budget_bytes

    asyncio.run(scenario())


@settings(max_examples=150, deadline=None)
@given(forms(), st.lists(st.integers(0, 10**6), max_size=6), st.integers(0, 10**6), st.booleans())
def test_a_form_that_ends_anywhere_too_early_leaves_nothing(form, places, place, goes):
    async def scenario():
        async with House() as house:
            body, content_type = multipart(*form[0])
            short = body[: place % (len(body) - len("--\r\n"))]
            answer = await send(house, content_type, [*cut(short, places), GONE if goes else b""])
            assert answer.status == (499 if goes else 400)
            assert untouched(house)

    asyncio.run(scenario())


@settings(max_examples=100, deadline=None)
@given(forms(), st.data())
def test_a_form_that_lacks_an_id_or_a_file_leaves_nothing(form, data):
    parts = list(form[0])
    dropped = data.draw(st.sampled_from([n for n, part in enumerate(parts) if part[0] in {"source-uuid", "file"}]))
    del parts[dropped]

    async def scenario():
        async with House() as house:
            body, content_type = multipart(*parts)
            answer = await send(house, content_type, [body])
            assert (answer.status, answer.json()["code"]) == (400, "unpaired_files")
            assert untouched(house)

    asyncio.run(scenario())


@settings(max_examples=60, deadline=None)
@given(forms(), st.integers(0, 10**6), st.integers(0, 40), st.binary(max_size=40), st.lists(st.integers(0, 10**6), max_size=6))
def test_a_form_that_is_damaged_anywhere_is_read_or_refused_and_no_half_of_it_is_left(form, place, lost, noise, places):
    async def scenario():
        async with House() as house:
            body, content_type = multipart(*form[0])
            at = place % len(body)
            answer = await send(house, content_type, cut(body[:at] + noise + body[at + lost :], places))
            assert answer.status in {200, 400}
            if answer.status == 400:
                assert untouched(house)
            accepted = {inbox.read(house.inner, ADA, name.rpartition("~")[2]).upload for name in inbox.page(house.inner, after="", limit=9)}
            assert (house.objects(), house.budget._left, house.inner._under_way) == (accepted, house.budget_bytes, set())

    asyncio.run(scenario())
