"""Several files in one request, over every store: all of them are there, or what was not accepted has left nothing."""

import pytest

from app.domain.policy import MIB, UploadPolicy
from app.protocol import inbox
from tests.unit.api.asgi import GONE, WHO, multipart, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, CHANNEL, House

pytestmark = pytest.mark.anyio

URL = "/public/sources/upload-source"
CHUNK = 256 * 1024
# The first goes in parts, the second is one PUT, the third goes in parts.
BODIES = {"s-1": b"1" * (9 * MIB), "s-2": b"2" * 1000, "s-3": b"3" * (17 * MIB)}
FILES = [part for source, body in BODIES.items() for part in (("source-uuid", source), ("file", body, f"{source}.bin"))]


@pytest.fixture
async def house(anyio_backend, store):
    async with House(inner=store, policy=UploadPolicy(20 * MIB, max_request_bytes=64 * MIB)) as made:
        yield made


async def send(house, parts, *, until=None):
    """The form in chunks; with `until` the client goes away after so many bytes."""
    body, content_type = multipart(*parts)
    chunks = [body[at : at + CHUNK] for at in range(0, until or len(body), CHUNK)]
    return await request(application(house), "POST", URL, [*chunks, GONE] if until else chunks, headers=WHO | {"content-type": content_type})


def everything(store) -> list[str]:
    return [*store.keys("objects/"), *store.keys("inbox/")]


def in_parts(store, kind) -> list[str]:
    """Multipart uploads that were begun and neither completed nor aborted."""
    if kind in {"memory", "patient", "folder"}:
        return []
    begun = store._boto.control().list_multipart_uploads(Bucket=store._bucket).get("Uploads", [])
    return [upload["Key"] for upload in begun if upload["Key"].startswith(store._base)]


async def test_each_file_arrives_whole(house, store):
    answer = await send(house, [("ws-uuid", CHANNEL), *FILES])
    assert [each["status"] for each in answer.json()["sources"]] == [200, 200, 200]
    for source, body in BODIES.items():
        record = inbox.read(store, ADA, source)
        assert store.get(f"objects/{ADA}/{record.upload}") == body
    assert len(everything(store)) == 6


@pytest.mark.parametrize("megabytes", [5, 12, 26])
async def test_a_client_that_goes_away_in_the_middle_of_a_file_leaves_nothing(house, store, kind, megabytes):
    """In the first file, in the third with a part under way, and in its last bytes: the ones before are durable by then."""
    answer = await send(house, [("ws-uuid", CHANNEL), *FILES], until=megabytes * MIB)
    assert answer.status == 499
    assert everything(store) == []
    assert in_parts(store, kind) == []
    assert house.budget._left == house.budget_bytes


async def test_a_refused_one_leaves_nothing_beside_the_others(house, store, kind):
    parts = [("source-uuid", "a/b") if part == ("source-uuid", "s-1") else part for part in FILES]
    answer = await send(house, [("ws-uuid", CHANNEL), *parts])
    assert [each["status"] for each in answer.json()["sources"]] == [400, 200, 200]
    assert len(everything(store)) == 4
    assert in_parts(store, kind) == []
