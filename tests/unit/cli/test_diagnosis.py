import time
from datetime import UTC, datetime, timedelta

import pytest

from app.adapters import pulse
from app.adapters.memory import MemoryObjectStore
from app.adapters.redis.fleet import Process
from app.cli import diagnosis
from app.cli.diagnosis import Level
from app.domain.errors import StoreUnfit, Unavailable
from app.domain.layout import DEPLOYMENT
from app.domain.version import VERSION
from app.ports import ObjectStat

GOOD = {
    "redis_version": "7.0.15", "role": "master", "maxmemory": 1000, "used_memory": 100, "maxmemory_policy": "noeviction", "aof_enabled": 1,
    "aof_last_write_status": "ok", "aof_last_bgrewrite_status": "ok", "cluster_enabled": 0,
}  # fmt: skip


def levels(findings):
    return [each.level for each in findings]


def troubles(findings):
    return [(each.level, each.text) for each in findings if each.level is not Level.OK]


def test_a_redis_as_it_must_be_is_one_good_finding():
    assert [(each.level, each.text) for each in diagnosis.redis(GOOD)] == [(Level.OK, "redis 7.0.15")]
    assert next(diagnosis.redis(GOOD | {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.1.2"})).text == "valkey 9.1.2"


@pytest.mark.parametrize(
    ("changed", "level", "says"),
    [
        ({"redis_version": "6.2.14"}, Level.BAD, "older"),
        ({"maxmemory_policy": "allkeys-lru"}, Level.BAD, "noeviction"),
        ({"maxmemory": 0}, Level.WARNING, "no maxmemory"),
        ({"used_memory": 800}, Level.WARNING, "80 %"),
        ({"used_memory": 950}, Level.BAD, "95 %"),
        ({"aof_enabled": 0}, Level.WARNING, "appendonly is off"),
        ({"aof_last_write_status": "err"}, Level.BAD, "aof_last_write_status is err"),
        ({"aof_last_bgrewrite_status": "err"}, Level.BAD, "aof_last_bgrewrite_status is err"),
        ({"role": "slave"}, Level.BAD, "replica"),
        ({"cluster_enabled": 1}, Level.BAD, "cluster"),
    ],
)
def test_each_thing_that_is_wrong_with_redis_is_said(changed, level, says):
    ((found, text),) = troubles(diagnosis.redis(GOOD | changed))
    assert found is level
    assert says in text


def test_a_store_of_ours_is_good_and_the_doctor_leaves_nothing_in_it():
    store = MemoryObjectStore()
    store.put(DEPLOYMENT, b'{"deployment": "d"}')
    assert levels(diagnosis.storage(store, "d")) == [Level.OK]
    assert levels(diagnosis.clock("storage", lambda: diagnosis.storage_clock(store), whole_seconds=True)) == [Level.OK]
    assert store.keys("") == [DEPLOYMENT]


def test_a_store_of_another_deployment_is_bad_and_one_of_nobody_a_warning():
    store = MemoryObjectStore()
    assert levels(diagnosis.storage(store, "d")) == [Level.OK, Level.WARNING]
    store.put(DEPLOYMENT, b'{"deployment": "other"}')
    assert "'other'" in troubles(diagnosis.storage(store, "d"))[0][1]
    store.put(DEPLOYMENT, b"[]")
    assert levels(diagnosis.storage(store, "d")) == [Level.OK, Level.BAD]


@pytest.mark.parametrize("error", [StoreUnfit(detail="no rights"), Unavailable("storage_unavailable", "no rights")])
def test_a_store_that_refuses_is_bad_and_says_why(error, monkeypatch):
    def refuse():
        raise error

    store = MemoryObjectStore()
    monkeypatch.setattr(store, "probe", refuse)
    assert troubles(diagnosis.storage(store, "d")) == [(Level.BAD, "no rights")]


@pytest.mark.parametrize(
    ("apart", "whole_seconds", "level"),
    [(0, False, Level.OK), (1, False, Level.OK), (10, False, Level.WARNING), (-10, False, Level.WARNING), (100, False, Level.BAD), (-100, True, Level.BAD)],
)
def test_a_clock_is_judged_by_how_far_it_is_apart(apart, whole_seconds, level):
    assert levels(diagnosis.clock("x", lambda: time.time() + apart, whole_seconds=whole_seconds)) == [level]


def test_a_store_s_clock_is_what_it_dates_an_object_with(monkeypatch):
    store, told = MemoryObjectStore(), datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(store, "stat", lambda _: ObjectStat(0, "", told))
    (found,) = diagnosis.clock("storage", lambda: diagnosis.storage_clock(store))
    assert found.level is Level.BAD
    assert "ahead of ours" in found.text


def test_a_clock_that_cannot_be_asked_is_bad():
    def away():
        raise Unavailable("redis_unavailable")

    assert levels(diagnosis.clock("x", away)) == [Level.BAD]


def test_the_fleet_has_all_kinds_of_one_version():
    all_kinds = [Process(kind, VERSION, "h:1") for kind in ("api", "worker", "reconciler")]
    assert levels(diagnosis.fleet(all_kinds)) == [Level.OK] * 3
    assert levels(diagnosis.fleet(all_kinds[:2])) == [Level.OK, Level.OK, Level.BAD]
    mixed = list(diagnosis.fleet([*all_kinds, Process("worker", "9.9.9", "h:2")]))
    assert levels(mixed) == [Level.OK, Level.WARNING, Level.OK]
    assert mixed[1].text == f"1 of version {VERSION}, 1 of version 9.9.9"


def test_messages_that_were_refused_are_a_warning(tmp_path):
    pulse.write(tmp_path, pulse.Pulse("a", VERSION, at=1000, waiting=0, refused=3), well_at=1000)
    found = list(diagnosis.workers(tmp_path, now=1001))
    assert levels(found) == [Level.OK, Level.WARNING]
    assert "3 messages refused" in found[1].text


def test_workers_are_told_by_their_pulses(tmp_path):
    assert levels(diagnosis.workers(tmp_path)) == [Level.BAD]
    pulse.write(tmp_path, pulse.Pulse("a", VERSION, at=1000, waiting=None, running=1, taken=5), well_at=1000)
    pulse.write(tmp_path, pulse.Pulse("b", VERSION, at=1000, trouble="3 wait", waiting=3), well_at=900)
    found = list(diagnosis.workers(tmp_path, now=1001))
    assert [(each.part, each.level, each.text) for each in found] == [
        ("worker a", Level.OK, "1 running, ? waiting, 5 taken"), ("worker b", Level.BAD, "3 wait"),
    ]  # fmt: skip
    assert levels(diagnosis.workers(tmp_path, now=2000)) == [Level.BAD, Level.BAD]
