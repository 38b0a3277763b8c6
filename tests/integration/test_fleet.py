"""Who lives, as Redis knows it."""

import pytest

from app.adapters.redis import fleet as fleet_module
from app.adapters.redis.client import RedisLocation, connect
from app.adapters.redis.fleet import Fleet, Presence, Process
from app.adapters.redis.keys import Keyspace
from tests.servers import Valkey, eventually

ME, OTHER = Process("worker", "1.2.3", "host name:1"), Process("api", "1.2.3", "host:2")


@pytest.fixture
def fleet(valkey, redis_prefix):
    made = Fleet(connect(RedisLocation(valkey.url, 10)), Keyspace(redis_prefix))
    yield made
    made.close()


def test_who_has_said_so_lives_until_it_stops_or_is_silent(fleet):
    fleet.announce(ME)
    fleet.announce(OTHER)
    fleet.announce(ME)
    assert fleet.processes() == [OTHER, ME]
    fleet.announce(OTHER, seconds=0)
    assert fleet.processes() == [ME]
    fleet.announce(ME, seconds=1)
    eventually(lambda: fleet.processes() == [])


def test_presence_is_shown_while_the_block_runs_and_again_after_an_outage(monkeypatch, redis_prefix):
    monkeypatch.setattr(fleet_module, "_EVERY_SECONDS", 0.05)
    with Valkey() as server:
        seen = Fleet(connect(RedisLocation(server.url, 10)), Keyspace(redis_prefix))
        with Presence(Fleet(connect(RedisLocation(server.url, 1)), Keyspace(redis_prefix)), ME):
            eventually(lambda: seen.processes() == [ME])
            server.kill()
            server.start()
            eventually(lambda: seen.processes() == [ME])
        assert seen.processes() == []
        seen.close()
