"""Two who want the same name at the same moment, 200 times each: one gets it, and the other is told so; nothing of the loser's is left."""

from __future__ import annotations

import asyncio
import uuid

import httpx
import pytest

from tests.stack import Stack

pytestmark = pytest.mark.anyio

PAIRS = 200
AT_ONCE = 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def of_all(race) -> list[list[httpx.Response]]:
    """The answers of each race, a few races at once."""
    some = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> list[httpx.Response]:
        async with some:
            return await asyncio.gather(*race(number))

    return await asyncio.gather(*(one(number) for number in range(PAIRS)))


def user(http: httpx.AsyncClient, stack: Stack, name: str):
    async def post(path: str, **body) -> httpx.Response:
        return await http.post(f"{stack.base_url}/public/sources{path}", headers={"X-API-Key": stack.api_key, "X-User-ID": name}, **body)

    return post


async def test_of_two_owners_who_claim_a_channel_at_once_one_has_it(stack: Stack) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        owners = [user(http, stack, name) for name in ("ada", "eve")]
        channels = [str(uuid.uuid4()) for _ in range(PAIRS)]
        raced = await of_all(lambda number: [post("/ws", json={"ws-uuid": channels[number]}) for post in owners])
        assert [sorted(answer.status_code for answer in answers) for answers in raced] == [[200, 404]] * PAIRS
        # The winner keeps it, and the loser stays out, whoever asks first now.
        again = await of_all(lambda number: [post("/ws", json={"ws-uuid": channels[number]}) for post in reversed(owners)])
    assert [[answer.status_code for answer in answers] for answers in again] == [[answer.status_code for answer in reversed(answers)] for answers in raced]


async def test_of_two_bodies_that_come_at_once_under_one_name_one_is_kept(stack: Stack) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60, follow_redirects=True) as http:
        post = user(http, stack, f"racer-{uuid.uuid4()}")
        sources = [str(uuid.uuid4()) for _ in range(PAIRS)]
        bodies = [b"the first", b"the other"]

        def race(number: int):
            form = {"ws-uuid": f"channel-{uuid.uuid4()}", "source-uuid": sources[number]}
            return [post("/upload-source", data=form, files={"file": ("a.txt", body)}) for body in bodies]

        raced = await of_all(race)
        assert [sorted(answer.status_code for answer in answers) for answers in raced] == [[200, 409]] * PAIRS
        assert {answer.json()["code"] for answers in raced for answer in answers if answer.status_code == 409} == {"digest_mismatch"}
        # Again, one after the other: each body gets the answer that it got.
        for number in range(0, PAIRS, 20):
            assert [(await one).status_code for one in race(number)] == [answer.status_code for answer in raced[number]]
