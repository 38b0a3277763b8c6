"""The artifacts of a source: by name for its owner, and by signed links."""

from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.folder import FolderObjectStore
from app.api.downloads import NAMES
from app.api.public_sources import PREFIXES
from app.domain.layout import artifact_key, object_key, result_key, tombstone_key
from app.domain.results import Artifact, Heading, Size, Text
from app.protocol.announce import Announcer
from tests.unit.api.asgi import WHO, request
from tests.unit.doubles import ADA, SECRET, SOURCE, a_failure, a_record, a_success

pytestmark = pytest.mark.anyio

BODY = bytes(range(100))


@pytest.fixture
def record():
    return a_record(filename="näme.txt")


def end(house, record, *, failed=False):
    """The record's run has ended with every artifact there is."""
    if failed:
        result = a_failure(record)
    else:
        result = a_success(record)
        for name in ("text", "markdown", "pages", "chunks", "embeddings", "thumbnail"):
            key = artifact_key(ADA, SOURCE, record.run, result.fence, name)
            result.artifacts[name] = Artifact(key=key, size=100, media_type="image/webp" if name == "thumbnail" else "text/plain", filename=f"näme.{name}")
            house.inner.put(key, BODY if name == "text" else f"{name} {record.run}".encode())
        more = {"outline": [Heading(title=str(number), level=1) for number in range(150)], "text": Text(characters=1, words=1)}
        result = result.model_copy(update=more | {"thumbnail": Size(width=3, height=4)})
    house.inner.put(object_key(ADA, record.upload), b"original")
    house.inner.create(result_key(ADA, SOURCE, record.run), result.to_json())
    return result


async def get(app, path, *, prefix=PREFIXES[0], who=WHO, **headers):
    return await request(app, "GET", prefix + path, headers=who | {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", NAMES)
async def test_each_is_there_by_name_under_every_prefix(house, app, record, name, prefix):
    end(house, record)
    answer = await get(app, f"/{SOURCE}/{name}", prefix=prefix)
    assert answer.status == 200
    assert answer.body == (BODY if name == "text" else b"original" if name == "original" else f"{name} 1".encode())


@pytest.mark.parametrize("kind", ["memory", "folder"])
async def test_nothing_is_ever_shown_as_a_page_of_ours(house, app, record, kind, tmp_path):
    result = end(house, record)
    if kind == "folder":
        folder = FolderObjectStore(tmp_path)
        folder.put(result.artifacts["text"].key, BODY)
        house.store.path = folder.path
    answer = await get(app, f"/{SOURCE}/text")
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers["content-disposition"] == "attachment; filename=\"n_me.text\"; filename*=UTF-8''n%C3%A4me.text"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["cache-control"] == "private, no-store"


RANGES = [
    ("bytes=0-9", 206, BODY[:10], "bytes 0-9/100"),
    ("bytes=90-", 206, BODY[90:], "bytes 90-99/100"),
    ("bytes=90-500", 206, BODY[90:], "bytes 90-99/100"),
    ("bytes=-5", 206, BODY[95:], "bytes 95-99/100"),
    ("bytes=-500", 206, BODY, "bytes 0-99/100"),
    ("bytes=100-", 416, b"", "bytes */100"),
    ("bytes=-0", 416, b"", "bytes */100"),
    ("bytes=9-3", 200, BODY, None),
    ("lines=1-2", 200, BODY, None),
    ("bytes=1-2,5-6", 200, BODY, None),
]


@pytest.mark.parametrize(("asked", "status", "body", "content_range"), RANGES)
async def test_a_range_is_answered(house, app, record, asked, status, body, content_range):
    end(house, record)
    answer = await get(app, f"/{SOURCE}/text", range=asked)
    assert (answer.status, answer.body, answer.headers.get("content-range")) == (status, body, content_range)
    assert int(answer.headers.get("content-length", 0)) == len(body)


async def test_a_range_of_what_has_changed_is_all_of_it(house, app, record):
    end(house, record)
    whole = await get(app, f"/{SOURCE}/text")
    for tag, status in ((whole.headers["etag"], 206), ('"another"', 200)):
        assert (await get(app, f"/{SOURCE}/text", range="bytes=0-9", if_range=tag)).status == status


async def test_a_signed_link_has_ranges_too(house, app, record):
    now = Announcer([SECRET], timedelta(hours=1), lambda: datetime.now(UTC))
    link = now.link(ADA, end(house, record), "text").removeprefix(record.base_url)
    answer = await get(app, link, prefix="", who={}, range="bytes=0-9")
    assert (answer.status, answer.body) == (206, BODY[:10])
    assert (await get(app, link[:-2] + "xx", prefix="", who={})).status == 404


async def test_the_result_has_all_of_the_outline_and_new_links(house, app, record):
    end(house, record)
    answer = await get(app, f"/{SOURCE}/result")
    said = answer.json()
    assert (answer.status, said["source-id"], len(said["outline"])) == (200, SOURCE, 150)
    assert said["thumbnail"] | {"url": ""} == {"url": "", "width": 3, "height": 4, "media_type": "image/webp"}
    assert said["text"]["pages-url"].startswith("http://h/d/")
    assert said["text"]["markdown-url"].startswith("http://h/d/")


async def test_while_another_run_is_at_work_the_old_one_is_still_read(house, app, record):
    end(house, record)
    house.inner.create(f"inbox/{ADA}~{SOURCE}", record.rerun(2).to_json())
    assert (await get(app, f"/{SOURCE}/markdown")).body == b"markdown 1"
    end(house, record.rerun(2))
    assert (await get(app, f"/{SOURCE}/markdown")).body == b"markdown 2"


async def test_of_a_failed_run_there_are_the_bytes_alone(house, app, record):
    end(house, record, failed=True)
    assert (await get(app, f"/{SOURCE}/original")).body == b"original"
    for name in ("text", "thumbnail", "result"):
        assert (await get(app, f"/{SOURCE}/{name}")).status == 404


@pytest.mark.parametrize("state", ["absent", "open", "deleted", "another's"])
async def test_what_is_not_there_is_not_there(house, app, record, state):
    if state == "open":
        house.inner.create(f"inbox/{ADA}~{SOURCE}", record.to_json())
    if state in {"deleted", "another's"}:
        end(house, record)
    if state == "deleted":
        house.inner.create(tombstone_key(ADA, SOURCE), b"{}")
    who = WHO | ({"x-user-id": "eve@example.com"} if state == "another's" else {})
    for name in (*NAMES, "result"):
        assert (await get(app, f"/{SOURCE}/{name}", who=who)).status == 404


async def test_who_has_no_key_gets_nothing(house, app, record):
    end(house, record)
    assert (await get(app, f"/{SOURCE}/text", who={})).status == 401


async def test_bytes_that_are_gone_are_said_to_be(house, app, record):
    result = end(house, record)
    house.inner.delete([result.artifacts["text"].key])
    assert (await get(app, f"/{SOURCE}/text")).status == 404
