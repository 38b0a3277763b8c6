"""The hand-written message against what kombu and Celery write and read themselves, over a real server with celeryconfig's own settings.

That a stock Celery worker runs it: tests/integration/test_redis_isolation.py.
"""

import base64
import json
import queue
import uuid

import pytest
from celery import Celery
from kombu import Queue
from kombu.simple import SimpleQueue

from app.adapters.celery_queue import message
from app.adapters.redis.keys import Keyspace
from app.domain.jobs import PROCESS_SOURCE, QUEUES, Lane, ProcessSource
from tests.ledgers import OWNER, SOURCE, record

JOB = ProcessSource(owner=OWNER, source=SOURCE, run=1)
KWARGS = JOB.model_dump(mode="json", by_alias=False)

# Where ours is not what send_task writes, and why that is no matter to a consumer.
DIFFERENCES = {
    "headers.id": "random",
    "headers.root_id": "random; the id",
    "headers.origin": "who sent it, for people",
    "headers.ignore_result": "null there means task_ignore_result, which is set; ours says so itself",
    "properties.correlation_id": "random; the id",
    "properties.reply_to": "a queue for results, which nobody asks for",
    "properties.delivery_tag": "random",
}
OTHER_TYPES = {"headers.ignore_result"}


@pytest.fixture
def app(valkey, redis_prefix, monkeypatch):
    """Celery with celeryconfig as it is, but for the server and the prefix that the environment names."""
    import celeryconfig

    settings = {
        name: value for name, value in vars(celeryconfig).items() if not name.startswith("_") and name.islower() and name not in {"annotations", "load"}
    }
    options = {**celeryconfig.broker_transport_options, "global_keyprefix": redis_prefix}
    app = Celery("test", set_as_current=False)
    app.config_from_object({**settings, "broker_url": valkey.url, "broker_transport_options": options})
    yield app
    app.close()


@pytest.fixture
def raw(valkey):
    with valkey.client() as client:
        yield client


@pytest.fixture
def key(redis_prefix):
    return Keyspace(redis_prefix).queue(Lane.FAST.queue)


@pytest.fixture
def theirs(app, raw, key):
    app.send_task(PROCESS_SOURCE, kwargs=KWARGS)
    assert raw.llen(key) == 1, "the queue is the list of prefix + name"
    return json.loads(raw.lpop(key))


def leaves(value, path=""):
    """{dotted path: value} of everything that is not a filled object."""
    if isinstance(value, dict) and value:
        return {leaf: found for name, below in value.items() for leaf, found in leaves(below, f"{path}.{name}" if path else name).items()}
    return {path: value}


def test_our_message_is_theirs_but_for_the_differences_listed(theirs):
    ours, theirs = leaves(json.loads(message(PROCESS_SOURCE, Lane.FAST.queue, JOB))), leaves(theirs)
    assert set(ours) == set(theirs)
    assert {path for path in ours if type(ours[path]) is not type(theirs[path])} <= OTHER_TYPES
    assert {path for path in ours if ours[path] != theirs[path]} == set(DIFFERENCES)


def test_the_body_is_theirs(theirs):
    ours = json.loads(message(PROCESS_SOURCE, Lane.FAST.queue, JOB))
    assert base64.b64decode(ours["body"]) == base64.b64decode(theirs["body"])


def test_each_message_has_an_identity_of_its_own():
    first, second = (json.loads(message(PROCESS_SOURCE, Lane.FAST.queue, JOB)) for _ in range(2))
    for made in (first, second):
        assert made["headers"]["id"] == made["headers"]["root_id"] == made["properties"]["correlation_id"]
        assert uuid.UUID(made["headers"]["id"]).version == uuid.UUID(made["properties"]["delivery_tag"]).version == 4
    assert first["headers"]["id"] != second["headers"]["id"]
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]


def test_kombu_takes_and_acknowledges_it(app, raw, key, redis_prefix):
    raw.lpush(key, message(PROCESS_SOURCE, Lane.FAST.queue, JOB))
    with app.connection_for_read() as connection, SimpleQueue(connection, Queue(Lane.FAST.queue, no_declare=True), no_ack=False) as consumer:
        taken = consumer.get(timeout=10)
        args, kwargs, embedded = taken.decode()
        assert (args, kwargs, set(embedded)) == ([], KWARGS, {"callbacks", "errbacks", "chain", "chord"})
        assert ProcessSource.model_validate(kwargs) == JOB
        assert (taken.headers["task"], taken.delivery_info["routing_key"]) == (PROCESS_SOURCE, Lane.FAST.queue)
        assert raw.hlen(f"{redis_prefix}unacked") == 1
        taken.ack()
        with pytest.raises(queue.Empty):
            consumer.get_nowait()
    assert (raw.llen(key), raw.hlen(f"{redis_prefix}unacked")) == (0, 0)


def test_the_ledger_writes_where_celery_reads(open_ledger, raw, key):
    open_ledger("redis").accept(OWNER, record())
    (sent,) = raw.lrange(key, 0, -1)
    assert json.loads(sent)["headers"]["task"] == PROCESS_SOURCE


def test_every_lane_has_its_own_queue_of_our_name():
    assert [lane.queue for lane in Lane] == list(QUEUES) == ["headrace.fast", "headrace.slow", "headrace.bulk"]
    assert PROCESS_SOURCE.startswith("headrace.")
