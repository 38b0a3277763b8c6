from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.errors import Unavailable
from app.domain.ids import OwnerId, UploadId
from app.domain.layout import SWEEP, object_key
from tests.unit.reconcile.conftest import AGES, DAY, Fleet
from worker.reconcile import daily
from worker.reconcile.daily import Daily, read

OWNERS = [OwnerId(f"{n:032x}") for n in range(1, 6)]


class Time:
    """Each step takes a second."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.ticked = 0.0

    def clock(self) -> datetime:
        return self.now

    def ticks(self) -> float:
        self.ticked += 1
        return self.ticked


@pytest.fixture
def time(monkeypatch) -> Time:
    monkeypatch.setattr(daily, "_LOOK_SECONDS", 0)
    return Time()


def a_daily(fleet: Fleet, time: Time) -> Daily:
    return Daily(fleet.parts(), AGES, every=DAY, clock=time.clock, ticks=time.ticks)


def orphans(fleet: Fleet) -> None:
    for owner in OWNERS:
        fleet.put(object_key(owner, UploadId("u")), age=2 * DAY)


def left(fleet: Fleet) -> list[str]:
    return fleet.store.keys("objects/")


def until_finished(it: Daily, fleet: Fleet) -> int:
    for steps in range(1, 100):
        it.step()
        place = read(fleet.store)
        if place is not None and place.finished:
            return steps
    raise AssertionError("it has no end")


def test_a_sweep_is_made_of_steps_and_is_due_again_a_day_after_it_began(fleet: Fleet, time: Time) -> None:
    orphans(fleet)
    it = a_daily(fleet, time)
    assert until_finished(it, fleet) > len(OWNERS)
    assert left(fleet) == []
    began = read(fleet.store).began
    orphans(fleet)
    time.now += DAY - timedelta(seconds=1)
    it.step()
    assert read(fleet.store).began == began
    time.now += timedelta(seconds=1)
    it.step()
    assert (read(fleet.store).began, read(fleet.store).finished) == (time.now, None)
    assert read(fleet.store).since == began - AGES.orphans


def test_it_goes_on_under_the_next_leader_where_it_was(fleet: Fleet, time: Time) -> None:
    orphans(fleet)
    first = a_daily(fleet, time)
    while len(left(fleet)) > 3:
        first.step()
    first.step()
    place = read(fleet.store)
    assert place.after == OWNERS[1]
    fleet.put(object_key(OWNERS[0], UploadId("later")), age=2 * DAY)
    until_finished(a_daily(fleet, time), fleet)
    assert left(fleet) == [object_key(OWNERS[0], UploadId("later"))], "which the next sweep will judge, as it is newer than this one's age"
    assert read(fleet.store).began == place.began


def test_an_outage_costs_the_owner_that_was_being_swept(fleet: Fleet, time: Time, monkeypatch) -> None:
    orphans(fleet)
    it = a_daily(fleet, time)
    while len(left(fleet)) > 3:
        it.step()
    delete = fleet.store.delete
    monkeypatch.setattr(fleet.store, "delete", lambda _keys: (_ for _ in ()).throw(Unavailable("storage_unavailable")))
    with pytest.raises(Unavailable):
        for _ in range(9):
            it.step()
    monkeypatch.setattr(fleet.store, "delete", delete)
    until_finished(it, fleet)
    assert left(fleet) == []


def test_a_place_that_cannot_be_read_is_no_place(fleet: Fleet, time: Time) -> None:
    fleet.put(SWEEP, body=b"?")
    orphans(fleet)
    until_finished(a_daily(fleet, time), fleet)
    assert left(fleet) == []
