"""Many sources on one socket, over the running stack: several files in one form, what was expected, the roll-up, and what a body tells while it comes."""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.client import Client, Event, ends, eventually, milestones, until_closed
from tests.stack import Stack

MIB = 1024 * 1024


def form(channel: str, files: list[tuple[str, bytes]]) -> list[tuple[str, object]]:
    """As `curl -F ws-uuid=… -F source-uuid=… -F file=@… -F source-uuid=… -F file=@…` makes it."""
    parts: list[tuple[str, object]] = [("ws-uuid", (None, channel))]
    for source, body in files:
        parts += [("source-uuid", (None, source)), ("file", (f"{source[:4]}.txt", body))]
    return parts


def upload(client: Client, channel: str, files: list[tuple[str, bytes]]) -> tuple[int, Event]:
    answer = client.http.post("/public/sources/upload-source", files=form(channel, files))
    return answer.status_code, answer.json()


def fresh(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def batches(events: list[Event]) -> list[tuple[int, int, int, int]]:
    return [(event["done"], event["failed"], event["total"], event["percent"]) for event in events if event["event"] == "batch"]


def test_several_files_in_one_form_are_processed_each_and_one_bad_one_stops_no_other(client: Client) -> None:
    taken = client.upload(client.register(), b"the first bytes")
    good = fresh(2)
    channel = client.register(expect=3)
    with client.socket(channel) as ws:
        status, said = upload(client, channel, [(good[0], b"one"), (taken, b"other bytes"), (good[1], b"two words"), ("a/b", b"x")])
        assert status == 200
        assert said["message"] == "Processing 2 of 4 files"
        assert [(each["source-uuid"], each["status"], each.get("code")) for each in said["sources"]] == [
            (good[0], 200, None), (taken, 409, "digest_mismatch"), (good[1], 200, None), ("a/b", 400, "invalid_id"),
        ]  # fmt: skip
        third = fresh(1)[0]
        assert client.wait(good[0])["state"] == client.wait(good[1])["state"] == "succeeded"
        time.sleep(2)  # longer than a reader lingers: one of three is still expected
        client.upload(channel, b"", source=third)
        events = until_closed(ws)
    assert {end["source-uuid"]: end["status"] for end in ends(events)} == {good[0]: "success", good[1]: "success", third: "failure"}
    assert batches(events) == [(1, 0, 3, 33), (2, 0, 3, 66), (2, 1, 3, 100)]
    assert events[-1]["event"] == "batch"
    for end in ends(events)[:2]:
        shown = client.http.get(end["result"]["url"], follow_redirects=True)
        assert shown.content == {good[0]: b"one", good[1]: b"two words"}[end["source-uuid"]]


def test_what_was_expected_holds_across_reconnecting_and_for_who_connects_after_all_of_it(client: Client) -> None:
    channel = client.register(expect=2)
    with client.socket(channel):
        client.wait(client.upload(channel, b"one"))
    with client.socket(channel) as ws:
        client.upload(channel, b"two")
        first = until_closed(ws)
    assert batches(first) == [(1, 0, 2, 50), (2, 0, 2, 100)]
    assert milestones(client.watch(channel)) == milestones(first)


def test_an_event_stream_ends_by_the_same_rule(client: Client) -> None:
    channel = client.register(expect=2)
    status, _ = upload(client, channel, [(source, source.encode()) for source in fresh(2)])
    assert status == 200
    with client.http.stream("GET", f"/public/channels/{channel}/events") as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("event: ")]
    assert lines[-1] == "event: end"
    assert lines.count("event: batch") == lines.count("event: source.succeeded") == 2


def test_a_channel_cannot_expect_and_stay_open(client: Client) -> None:
    answer = client.http.post("/public/sources/ws", json={"ws-uuid": "w", "expect": 2, "keep-open": True})
    assert (answer.status_code, answer.json()["code"]) == (400, "expect_or_keep_open")


def test_the_channel_hears_of_a_long_body_while_it_comes(client: Client) -> None:
    channel, source = client.register(), fresh(1)[0]
    size = 8 * MIB
    body, content_type = one_file(channel, source, size)

    def slowly() -> Iterator[bytes]:
        """Not faster than the channel hears of it, so that the machine's speed does not matter."""
        for at in range(0, len(body), MIB):
            yield body[at : at + MIB]
            time.sleep(0.3)

    with client.socket(channel) as ws:
        headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
        answer = client.http.post("/public/sources/upload-source", content=slowly(), headers=headers)
        assert answer.json() == {"message": f"Processing file: {source}"}
        events = until_closed(ws)
    receipts = [event for event in events if event["event"] == "source.receiving"]
    assert len(receipts) >= 2
    assert {(event["source-uuid"], event["stage"], event["size"]) for event in receipts} == {(source, "receive", len(body))}
    percents = [event["stage-progress"] for event in receipts]
    assert percents == sorted(percents)
    assert all(0 < percent <= 100 for percent in percents)
    assert [event["event"] for event in events[: len(receipts)]] == ["source.receiving"] * len(receipts), "before the source is there"


def one_file(channel: str, source: str, size: int) -> tuple[bytes, str]:
    head = "".join(
        f'--x7\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in (("ws-uuid", channel), ("source-uuid", source))
    )
    body = head.encode() + b'--x7\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n' + b"x" * size + b"\r\n--x7--\r\n"
    return body, "multipart/form-data; boundary=x7"


def test_a_client_that_goes_away_in_the_middle_of_the_second_file_leaves_nothing(client: Client, stack: Stack) -> None:
    channel, sources = client.register(), fresh(2)

    def files() -> set[str]:
        """What uploads have in the store, whole or on its way."""
        return {str(path) for name in ("objects", "+tmp") for path in (stack.folder / "store" / name).rglob("*") if not path.is_dir()}

    before = files()
    first, _ = one_file(channel, sources[0], 10 * MIB)
    second = f'--x7\r\nContent-Disposition: form-data; name="source-uuid"\r\n\r\n{sources[1]}\r\n'.encode()
    second += b'--x7\r\nContent-Disposition: form-data; name="file"; filename="b.txt"\r\n\r\n' + b"y" * (12 * MIB)
    host, _, port = client.base_url.removeprefix("http://").partition(":")
    with client.socket(channel) as ws:
        with socket.create_connection((host, int(port)), timeout=30) as raw:
            head = (
                f"POST /public/sources/upload-source HTTP/1.1\r\nHost: {host}:{port}\r\nX-API-Key: {client.http.headers['X-API-Key']}\r\nX-User-ID: e2e\r\n"
                f"Content-Type: multipart/form-data; boundary=x7\r\nContent-Length: {30 * MIB}\r\n\r\n"
            )
            raw.sendall(head.encode() + first.removesuffix(b"--x7--\r\n") + second)
            assert eventually(lambda: {"objects", "+tmp"} <= {Path(new).relative_to(stack.folder / "store").parts[0] for new in files() - before})
        assert eventually(lambda: files() == before)
        assert [client.http.get(f"/public/sources/{source}").status_code for source in sources] == [404, 404]
        client.upload(channel, b"and then one that comes")
        events = until_closed(ws)
    assert {event["event"] for event in events if event.get("source-uuid") in sources} <= {"source.receiving"}
    assert len(ends(events)) == 1
    assert batches(events) == []


def test_many_files_of_one_form_end_on_one_socket(client: Client) -> None:
    sources = fresh(40)
    channel = client.register(expect=40)
    with client.socket(channel) as ws:
        status, said = upload(client, channel, [(source, f"text {source}".encode()) for source in sources])
        assert (status, {each["status"] for each in said["sources"]}) == (200, {200})
        events = until_closed(ws)
    assert {end["source-uuid"] for end in ends(events)} == set(sources)
    assert batches(events) == [(n, 0, 40, 100 * n // 40) for n in range(1, 41)]
    offsets = [int(event["event-id"].rpartition(":")[2]) for event in events if "event-id" in event]
    assert offsets == list(range(1, len(offsets) + 1)), json.dumps(events[-1])
