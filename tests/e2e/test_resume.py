"""Going on after a position, on the running stack: by the socket under each of its names, by server-sent events, by the command line."""

from __future__ import annotations

import json
import uuid

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.client import Client, until_closed


@pytest.fixture
def told(client: Client) -> tuple[str, list[dict]]:
    """A channel that has told everything, and its milestones."""
    channel = client.register()
    client.upload(channel, b"some words")
    with client.socket(channel) as ws:
        return channel, [each for each in until_closed(ws) if "event-id" in each]


@pytest.mark.parametrize("alias", ["/ws/", "/user/ws/", "/public/ws/", "/public/user/ws/"])
def test_a_socket_goes_on_after_the_position(client: Client, told, alias: str) -> None:
    channel, milestones = told
    base = f"ws{client.base_url.removeprefix('http')}{alias}{channel}"
    for number in (0, 1, len(milestones) - 1):
        with connect(f"{base}?after={milestones[number]['event-id']}", proxy=None) as ws:
            assert until_closed(ws) == milestones[number + 1 :]
    with pytest.raises(InvalidStatus) as refused, connect(f"{base}?after=nonsense", proxy=None):
        pass
    assert (refused.value.response.status_code, b"invalid_position" in refused.value.response.body) == (400, True)


def test_a_position_of_another_life_is_said_to_be_lost(client: Client, told) -> None:
    channel, milestones = told
    with connect(f"ws{client.base_url.removeprefix('http')}/ws/{channel}?after=0a:7", proxy=None) as ws:
        lost, snapshot, *rest = until_closed(ws)
    assert (lost["event"], lost["recovered"]) == ("channel.recovered", False)
    assert (snapshot["event"], snapshot["state"], "status" in snapshot) == ("source.snapshot", "succeeded", False)
    assert rest == milestones


@pytest.mark.parametrize("prefix", ["/public", "/public/user", "/api/v1"])
def test_an_event_stream_goes_on_after_the_last_event_id(client: Client, told, prefix: str) -> None:
    channel, milestones = told
    answer = client.http.get(f"{prefix}/channels/{channel}/events", headers={"Last-Event-ID": milestones[0]["event-id"]})
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [json.loads(each) for each in data] == [*milestones[1:], {}]
    assert client.http.get(f"{prefix}/channels/{uuid.uuid4()}/events").status_code == 404
