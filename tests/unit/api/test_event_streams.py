import asyncio
import json

import pytest

from app.api import event_streams, seated
from app.api.event_streams import PREFIXES
from app.api.websocket.lines import Lines
from app.domain.layout import marker_key
from app.protocol import inbox
from app.protocol.commit import commit
from app.services import hub, subscribe, synchronous
from tests.unit.api.asgi import SILENT, WHO, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, CHANNEL, SOURCE, a_success
from tests.unit.services.channel import Channel, until

pytestmark = pytest.mark.anyio

OTHER = WHO | {"x-user-id": "eve@example.com"}
CHANNEL_EVENTS, SOURCE_EVENTS = f"/public/channels/{CHANNEL}/events", f"/public/sources/{SOURCE}/events"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(subscribe, "LINGER_SECONDS", 0.02)
    monkeypatch.setattr(hub, "_SWEEP_SECONDS", 0.02)


@pytest.fixture
async def channel(house):
    made = Channel(house)
    await made.open()
    inbox.create(house.inner, ADA, made.record)
    return made


def frames(body: bytes) -> list[dict[str, str]]:
    """As a browser reads them: comments dropped."""
    assert body.endswith(b"\n\n")
    blocks = [[line for line in block.split("\n") if not line.startswith(":")] for block in body.decode().split("\n\n")]
    return [dict(line.split(": ", 1) for line in block) for block in blocks if block and block != [""]]


async def stream(app, path, **headers):
    return await asyncio.wait_for(request(app, "GET", path, [b"", SILENT], headers=WHO | headers), 20)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", [f"channels/{CHANNEL}", f"sources/{SOURCE}"])
async def test_the_messages_come_as_events_with_their_positions_and_end_with_the_channel(app, channel, prefix, name):
    channel.append()
    await channel.finish()
    answer = await stream(app, f"{prefix}/{name}/events")
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    *told, end = frames(answer.body)
    assert [frame["data"].encode() for frame in told] == channel.stream.stream
    assert [frame["id"] for frame in told] == [f"{channel.stream.epoch}:{n}" for n in (1, 2, 3)]
    assert [frame["event"] for frame in told] == ["source.accepted", "source.processing", "source.succeeded"]
    assert end == {"event": "end", "data": "{}"}


async def test_a_stream_goes_on_after_the_last_event_id(app, channel):
    await channel.finish()
    answer = await stream(app, CHANNEL_EVENTS, **{"last-event-id": f"{channel.stream.epoch}:1"})
    assert [frame["data"].encode() for frame in frames(answer.body)[:-1]] == channel.stream.stream[1:]


@pytest.mark.parametrize("path", [CHANNEL_EVENTS, SOURCE_EVENTS])
async def test_it_is_refused_as_a_problem_before_anything_is_streamed(app, channel, path):
    assert (await request(app, "GET", path)).status == 401
    assert (await request(app, "GET", path, headers=OTHER)).status == 404
    answer = await request(app, "GET", path, headers=WHO | {"last-event-id": "x"})
    assert (answer.status, answer.json()["code"]) == (400, "invalid_position")


async def test_the_stream_of_a_source_has_that_source_only_and_ends_with_it(app, house, channel):
    first = channel.record
    await channel.open("s-2")
    channel.append()
    channel.record = first
    await channel.finish()
    answer = await stream(app, SOURCE_EVENTS)
    told = frames(answer.body)
    assert [frame["event"] for frame in told] == ["source.accepted", "source.succeeded", "end"]
    assert {json.loads(frame["data"])["source-uuid"] for frame in told[:-1]} == {SOURCE}


async def test_the_roll_up_is_in_the_stream_of_the_channel_and_not_in_that_of_a_source(app, house, channel):
    first = channel.record
    await channel.open("s-2")
    await channel.finish()
    channel.record = first
    await channel.finish()
    of_channel, of_source = [[frame["event"] for frame in frames((await stream(app, path)).body)] for path in (CHANNEL_EVENTS, SOURCE_EVENTS)]
    assert of_channel == ["source.accepted", "source.accepted", "source.succeeded", "batch", "source.succeeded", "batch", "end"]
    assert of_source == ["source.accepted", "source.succeeded", "end"]


async def test_a_source_that_has_ended_is_one_snapshot(app, house, channel):
    commit(house.inner, ADA, channel.record, a_success(channel.record))
    inbox.remove(house.inner, ADA, channel.record)
    told = frames((await stream(app, SOURCE_EVENTS)).body)
    assert [frame["event"] for frame in told] == ["source.snapshot", "end"]
    assert json.loads(told[0]["data"])["state"] == "succeeded"


async def test_a_silent_stream_says_that_it_lives_and_finds_an_end_that_nobody_says(app, house, channel, monkeypatch):
    monkeypatch.setattr(event_streams, "_QUIET_SECONDS", 0.02)
    streaming = asyncio.create_task(stream(app, SOURCE_EVENTS))
    await until(lambda: house.feed.watched)
    await asyncio.sleep(0.1)
    commit(house.inner, ADA, channel.record, a_success(channel.record))
    inbox.remove(house.inner, ADA, channel.record)
    answer = await streaming
    assert answer.body.count(b": ping\n\n") > 1
    assert [frame["event"] for frame in frames(answer.body)] == ["source.accepted", "source.snapshot", "end"]


async def test_a_client_that_goes_leaves_nothing_behind(app, house, channel):
    streaming = asyncio.create_task(stream(app, CHANNEL_EVENTS))
    await until(lambda: house.feed.watched)
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    await until(lambda: not house.feed.watched)


async def test_a_channel_that_a_wipe_took_is_found_by_its_markers(app, house, channel):
    commit(house.inner, ADA, channel.record, a_success(channel.record))
    inbox.remove(house.inner, ADA, channel.record)
    house.inner.put(marker_key(CHANNEL, ADA, SOURCE), b"")
    epoch = channel.stream.epoch
    house.ledger.memory.wipe()
    told = frames((await stream(app, CHANNEL_EVENTS, **{"last-event-id": f"{epoch}:1"})).body)
    assert [frame["event"] for frame in told] == ["channel.recovered", "source.snapshot", "end"]


def taking(app, path, **headers):
    """A stream that is open, and its client."""
    return asyncio.create_task(request(app, "GET", path, [b"", SILENT], headers=WHO | headers))


@pytest.mark.parametrize("path", [CHANNEL_EVENTS, SOURCE_EVENTS])
async def test_a_stream_has_a_seat_among_the_sockets_and_gives_it_back(app, house, channel, path):
    streams = [taking(app, path) for _ in range(2)]
    await until(lambda: house.sockets.open == 2)
    refused = await stream(app, path)
    assert (refused.status, refused.json()["code"], house.sockets.open) == (429, "too_many_sockets", 2)
    streams[0].cancel()
    await until(lambda: house.sockets.open == 1)
    await channel.finish()
    assert frames((await streams[1]).body)[-1]["event"] == "end"
    assert house.sockets.open == 0


async def test_who_is_refused_a_channel_takes_no_seat(app, house, channel):
    assert (await stream(app, "/public/channels/unknown/events")).status == 404
    assert (await stream(app, CHANNEL_EVENTS, **{"last-event-id": "x"})).status == 400
    assert house.sockets.open == 0


@pytest.mark.parametrize("path", [CHANNEL_EVENTS, SOURCE_EVENTS])
async def test_a_process_that_stops_ends_its_streams_without_an_end_and_takes_no_new_ones(house, channel, path):
    lines = Lines()
    app = application(house, lines)
    streaming = taking(app, path)
    await until(lambda: len(lines) == 1 and house.feed.watched)
    channel.append()
    await until(lambda: [reader.offset for reader in house.hub._in((ADA, CHANNEL))] == [channel.head])
    await asyncio.wait_for(lines.drain(1), 20)
    body = (await streaming).body
    told, _, last = body.rpartition(b"retry: ")
    assert 1000 <= int(last) <= 5000
    assert [frame["event"] for frame in frames(told)] == ["source.accepted", "source.processing"]
    refused = await stream(app, path)
    assert (refused.status, refused.json()["code"]) == (503, "stopping")
    assert (len(lines), house.sockets.open, house.hub._rooms) == (0, 0, {})


async def test_a_client_that_takes_nothing_gives_up_its_seat(house, channel, monkeypatch):
    monkeypatch.setattr(seated, "_STUCK_SECONDS", 0.02)
    lines = Lines()

    async def stuck(scope, receive, send):
        async def never(message):
            if message.get("body", b":").startswith(b":"):
                await send(message)
            else:
                await asyncio.Event().wait()

        await application(house, lines)(scope, receive, never)

    answer = await stream(stuck, CHANNEL_EVENTS)
    assert (answer.status, len(lines), house.sockets.open, house.hub._rooms) == (200, 0, 0, {})


async def test_a_client_that_takes_nothing_does_not_keep_a_process_that_stops(house, channel):
    lines = Lines()

    async def stuck(scope, receive, send):
        async def never(message):
            if message["type"] == "http.response.start":
                await send(message)
            else:
                await asyncio.Event().wait()

        await application(house, lines)(scope, receive, never)

    streaming = taking(stuck, CHANNEL_EVENTS)
    await until(lambda: len(lines) == 1)
    lines.cut()
    await asyncio.wait_for(streaming, 20)
    assert (len(lines), house.sockets.open) == (0, 0)


@pytest.mark.parametrize("is_said", [True, False])
async def test_the_state_of_a_source_can_be_waited_for(app, house, channel, monkeypatch, is_said):
    monkeypatch.setattr(synchronous, "_LOOK_SECONDS", 20 if is_said else 0.05)
    waiting = asyncio.create_task(request(app, "GET", f"/public/sources/{SOURCE}?wait=30", headers=WHO))
    await until(lambda: house.feed.watched)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    result = a_success(channel.record)
    commit(house.inner, ADA, channel.record, result)
    inbox.remove(house.inner, ADA, channel.record)
    if is_said:
        await channel.finish(result)
    answer = await asyncio.wait_for(waiting, 15)
    assert (answer.status, answer.json()["state"]) == (200, "succeeded")


async def test_the_wait_ends_when_its_time_is_over(app, channel):
    answer = await asyncio.wait_for(request(app, "GET", f"/public/sources/{SOURCE}?wait=0.1", headers=WHO), 15)
    assert (answer.status, answer.json()["state"]) == (200, "accepted")


@pytest.mark.parametrize("wait", ["61", "-1", "x", "nan"])
async def test_a_wait_that_makes_no_sense_is_refused(app, channel, wait):
    assert (await request(app, "GET", f"/public/sources/{SOURCE}?wait={wait}", headers=WHO)).status == 400
