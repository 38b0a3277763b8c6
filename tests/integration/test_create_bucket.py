"""The one-shot of docker-compose.yml that makes the bucket."""

from collections import Counter
from threading import Barrier, Lock
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from app.settings import Settings, SettingsError
from deploy import create_bucket
from deploy.create_bucket import Unfit, connect, create, location, prove, winners
from tests.memory_s3 import memory_s3


@pytest.fixture
def environ(monkeypatch):
    with memory_s3() as url:
        given = {
            "HEADRACE_STORAGE_URL": f"s3://b{uuid4()}/below",
            "HEADRACE_S3_ENDPOINT_URL": url,
            "HEADRACE_S3_REGION": "us-east-1",
            "HEADRACE_S3_ACCESS_KEY_ID": "someone",
            "HEADRACE_S3_SECRET_ACCESS_KEY": "something",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        # A proxy in the tester's environment is not asked for a server of this machine.
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield given


class Store:
    """The three calls that the proof makes; `honest` stores check and create in one step."""

    def __init__(self, *, honest):
        self.honest = honest
        self.keys = set()
        self.put = Counter()
        self.lock = Lock()

    def put_object(self, *, Bucket, Key, Body, IfNoneMatch):  # noqa: N803 - boto3's own names
        assert IfNoneMatch == "*"
        with self.lock:
            self.put[Key] += 1
            if self.honest and Key in self.keys:
                raise refusal("PreconditionFailed", 412)
            self.keys.add(Key)

    def delete_object(self, *, Bucket, Key):  # noqa: N803 - boto3's own names
        self.keys.discard(Key)


def refusal(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


def test_a_store_with_one_winner_is_proved_and_left_clean():
    store = Store(honest=True)
    prove(store, "b", "below/")
    assert store.keys == set()
    assert set(store.put.values()) == {create_bucket.WRITERS}
    assert all(key.startswith("below/probe/") for key in store.put)


def test_a_store_that_lets_two_writers_win_is_refused_and_left_clean():
    store = Store(honest=False)
    with pytest.raises(Unfit, match="16 of 16"):
        prove(store, "b", "")
    assert store.keys == set()


def test_a_store_that_fails_is_not_taken_for_one_that_refuses():
    class Broken(Store):
        def put_object(self, **_):
            raise refusal("SlowDown", 503)

    with pytest.raises(ClientError, match="SlowDown"):
        prove(Broken(honest=True), "b", "")


def test_writers_run_together():
    meeting = Barrier(8)

    def put():
        meeting.wait(timeout=30)  # broken, unless all of them are in here at once
        return True

    assert winners(put, 8) == 8


def test_the_bucket_is_made_once_and_found_afterwards(environ):
    settings = Settings(**{name.removeprefix("HEADRACE_").lower(): value for name, value in environ.items()})
    client, (bucket, _) = connect(settings), location(settings)
    assert create(client, bucket) is True
    assert create(client, bucket) is False
    client.head_bucket(Bucket=bucket)


def test_the_one_shot_says_what_it_did(environ, monkeypatch, capsys):
    proved = []
    monkeypatch.setattr(create_bucket, "prove", lambda client, bucket, prefix: proved.append(prefix))
    assert create_bucket.main() == 0
    assert create_bucket.main() == 0
    assert proved == ["below/"] * 2
    made, found = capsys.readouterr().out.splitlines()
    assert made.endswith(" made, create-only holds")
    assert found.endswith(" found, create-only holds")


def test_an_unfit_store_ends_the_one_shot_with_an_error(environ, monkeypatch, capsys):
    monkeypatch.setattr(create_bucket, "winners", lambda put: 2)
    assert create_bucket.main() == 1
    assert "2 of 16 writers" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["", "file:///somewhere", "s3:///prefix"])
def test_a_storage_url_without_a_bucket_is_refused(url):
    with pytest.raises(SettingsError, match="names no bucket"):
        location(Settings(storage_url=url))


def test_a_store_that_is_not_there_ends_the_one_shot_with_an_error(monkeypatch, capsys, dead_url):
    monkeypatch.setenv("HEADRACE_STORAGE_URL", "s3://headrace")
    monkeypatch.setenv("HEADRACE_S3_ENDPOINT_URL", dead_url)
    monkeypatch.setenv("HEADRACE_S3_REGION", "us-east-1")
    monkeypatch.setenv("HEADRACE_S3_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("HEADRACE_S3_SECRET_ACCESS_KEY", "something")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert create_bucket.main() == 1
    assert capsys.readouterr().err.startswith("create_bucket: Could not connect")


@pytest.fixture
def dead_url():
    import socket

    with socket.socket() as held:  # bound and not listening: nobody else gets it, and nobody answers
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
