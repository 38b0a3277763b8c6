from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, new_upload
from app.domain.layout import artifact_key, marker_key, object_key, result_key, tombstone_key
from app.protocol import erase
from app.protocol.outcome import outcome
from tests.unit.doubles import ADA, CHANNEL, EVE, a_failure, a_record, a_success
from tests.unit.reconcile.conftest import AGES, DAY, Fleet
from worker.pipeline import scratch
from worker.reconcile import holdings
from worker.reconcile.sweep import EVER, Ages, Sweep

OLD, YOUNG = 2 * DAY, timedelta(hours=23)
DEAD = Fence("dead")


def sweep(fleet: Fleet, *, ages: Ages = AGES, since: datetime = EVER) -> Counter[str]:
    return +Sweep(fleet.parts(), ages, now=datetime.now(UTC), since=since).run()


def orphan(fleet: Fleet, age: timedelta = OLD, owner: OwnerId = ADA) -> str:
    return fleet.put(object_key(owner, new_upload()), age=age)


def dead_artifact(fleet: Fleet, source: str, age: timedelta = OLD, run: int = 1) -> str:
    return fleet.put(artifact_key(ADA, SourceId(source), run, DEAD, "text.txt"), age=age)


def test_what_belongs_to_something_stays_however_old(fleet: Fleet) -> None:
    fleet.accepted("open", age=OLD)
    fleet.ended("good", age=OLD)
    record = a_record("bad")
    fleet.ended("bad", age=OLD, result=a_failure(record), upload=record.upload)
    fleet.ended("theirs", age=OLD, owner=EVE)
    before = fleet.everything()
    assert sweep(fleet) == Counter()
    assert fleet.everything() == before


def test_old_bytes_that_nothing_names_go_and_young_ones_stay(fleet: Fleet) -> None:
    """The upload was cut between its bytes and its inbox record, which may be just about to be written."""
    fleet.ended("good", age=OLD)
    fleet.accepted("open", age=OLD)
    gone, alone, young = orphan(fleet), orphan(fleet, owner=EVE), orphan(fleet, YOUNG)
    assert sweep(fleet) == Counter(objects=2)
    assert not {gone, alone} & fleet.everything()
    assert young in fleet.everything()


def test_bytes_that_a_fetch_made_are_known_by_the_result(fleet: Fleet) -> None:
    record = a_record("url", url="http://there/", size=None)
    result = a_success(record)
    fetched = object_key(ADA, new_upload())
    result = result.model_copy(update={"artifacts": {"original": result.artifacts["original"].model_copy(update={"key": fetched})}})
    fleet.ended("url", age=OLD, result=result)
    assert sweep(fleet) == Counter()
    assert fetched in fleet.everything()


def test_what_attempts_made_that_did_not_win_goes(fleet: Fleet) -> None:
    result = fleet.ended("good", age=OLD)
    record = a_record("bad")
    fleet.ended("bad", age=OLD, result=a_failure(record))
    dead = {dead_artifact(fleet, "good"), dead_artifact(fleet, "bad")}
    young = dead_artifact(fleet, "good", YOUNG, run=2)
    assert sweep(fleet) == Counter(artifacts=2)
    assert not dead & fleet.everything()
    assert {young, result.artifacts["text"].key} <= fleet.everything()


def test_a_live_run_is_not_touched_whatever_its_attempts_left(fleet: Fleet) -> None:
    fleet.accepted("open", age=OLD)
    fleet.accepted("again", age=OLD, run=2)
    fleet.ended("again", age=OLD, result=a_failure(a_record("again")))
    live = {dead_artifact(fleet, "open"), dead_artifact(fleet, "again", run=2)}
    assert sweep(fleet) == Counter()
    assert live <= fleet.everything()


def test_a_run_that_ends_while_it_is_swept_keeps_everything(fleet: Fleet, monkeypatch) -> None:
    """The inbox record goes after the result is there; the sweep reads them in the other order than it would need to be fooled."""
    record = fleet.accepted("s", age=OLD)
    orphan(fleet)
    listing = fleet.store.listing

    def ends(prefix: str, **more):
        if prefix.startswith("sources/") and fleet.store.names("inbox/"):
            fleet.ended("s", result=a_success(record))
            fleet.store.delete([f"inbox/{ADA}~s"])
        return listing(prefix, **more)

    monkeypatch.setattr(fleet.store, "listing", ends)
    assert sweep(fleet) == Counter(objects=1)
    assert object_key(ADA, record.upload) in fleet.everything()


def test_a_result_that_cannot_be_read_protects_all_of_its_owner(fleet: Fleet) -> None:
    fleet.ended("newer", age=OLD)
    fleet.put(result_key(ADA, SourceId("newer"), 1), age=OLD, body=b'{"schema":99}')
    dead_artifact(fleet, "newer")
    orphan(fleet)
    theirs = orphan(fleet, owner=EVE)
    before = fleet.everything()
    assert sweep(fleet) == Counter(objects=1)
    assert before - fleet.everything() == {theirs}


def test_a_deletion_that_was_cut_short_is_finished_and_its_end_is_said(fleet: Fleet) -> None:
    fleet.ended("s")
    erase.bury(fleet.store, ADA, SourceId("s"))
    fleet.accepted("open", known=True)
    erase.bury(fleet.store, ADA, SourceId("open"))
    dead_artifact(fleet, "open", timedelta())
    assert sweep(fleet) == Counter(deletions=2)
    assert fleet.everything() == {tombstone_key(ADA, SourceId("s")), tombstone_key(ADA, SourceId("open"))}
    assert b'"code":"cancelled"' in fleet.memory.channels[ADA, CHANNEL].stream[-1]


def test_tombstones_go_after_their_time_and_the_id_is_free_again(fleet: Fleet) -> None:
    for source, age in (("old", 31 * DAY), ("young", 29 * DAY)):
        fleet.put(tombstone_key(ADA, SourceId(source)), age=age)
    assert sweep(fleet) == Counter(tombstones=1)
    assert fleet.everything() == {tombstone_key(ADA, SourceId("young"))}
    assert not outcome(fleet.store, ADA, SourceId("old")).deleted


def test_sources_past_their_retention_are_deleted_by_the_protocol(fleet: Fleet) -> None:
    keep = Ages(DAY, 30 * DAY, retention=7 * DAY)
    fleet.ended("old", age=8 * DAY)
    fleet.ended("young", age=6 * DAY)
    fleet.ended("again", age=8 * DAY)
    fleet.accepted("again", run=2, age=8 * DAY)
    assert sweep(fleet) == Counter(), "nothing is configured"
    assert sweep(fleet, ages=keep) == Counter(sources=1)
    assert outcome(fleet.store, ADA, SourceId("old")).deleted
    assert {key for key in fleet.everything() if "old" in key} == {tombstone_key(ADA, SourceId("old"))}
    assert outcome(fleet.store, ADA, SourceId("young")).result
    assert outcome(fleet.store, ADA, SourceId("again")).result


def test_the_latest_run_decides_about_the_retention(fleet: Fleet) -> None:
    fleet.ended("s", age=8 * DAY, result=a_failure(a_record("s")))
    fleet.ended("s", age=DAY, result=a_success(a_record("s", run=2)), run=2)
    assert sweep(fleet, ages=Ages(DAY, 30 * DAY, retention=7 * DAY)) == Counter()


def test_markers_of_sources_that_are_gone_go(fleet: Fleet) -> None:
    fleet.ended("good", age=OLD)
    fleet.accepted("open", age=OLD)
    fleet.put(tombstone_key(ADA, SourceId("deleted")), age=OLD)
    kept = {fleet.put(marker_key(CHANNEL, ADA, SourceId(source)), age=OLD) for source in ("good", "open")}
    young = fleet.put(marker_key(CHANNEL, ADA, SourceId("deleted")), age=YOUNG)
    gone = {fleet.put(marker_key(ChannelId(f"x-{n}"), ADA, SourceId("deleted")), age=OLD) for n in range(3)}
    assert sweep(fleet) == Counter(markers=3)
    assert not gone & fleet.everything()
    assert kept | {young} <= fleet.everything()


def test_transfers_that_nobody_finished_are_dropped(fleet: Fleet) -> None:
    transfer = fleet.store.start("objects/o/u", part_bytes=5 << 20)
    assert sweep(fleet) == Counter()
    transfer.touched -= OLD
    assert sweep(fleet) == Counter(transfers=1)


def test_scratch_folders_of_killed_workers_go(fleet: Fleet) -> None:
    (fleet.scratch / "headrace-attempt-of-a-killed-one").mkdir()
    (fleet.scratch / "another-s").mkdir()
    with scratch.folder(fleet.scratch) as at_work:
        assert sweep(fleet) == Counter(scratch=1)
        assert sorted(fleet.scratch.iterdir()) == sorted([fleet.scratch / "another-s", at_work])


def test_at_an_age_of_nothing_all_that_belongs_to_nothing_goes(fleet: Fleet) -> None:
    fleet.ended("good")
    fleet.accepted("open")
    before = fleet.everything()
    orphan(fleet, timedelta())
    dead_artifact(fleet, "good", timedelta())
    fleet.put(marker_key(CHANNEL, ADA, SourceId("never")))
    fleet.store.start("objects/o/u", part_bytes=5 << 20)
    now = Ages(timedelta(0), 30 * DAY)
    assert sweep(fleet, ages=now) == Counter(objects=1, artifacts=1, markers=1, transfers=1)
    assert sweep(fleet, ages=now) == Counter()
    assert fleet.everything() == before


def test_what_the_last_sweep_judged_is_not_read_again(fleet: Fleet, monkeypatch) -> None:
    since = datetime.now(UTC) - 3 * DAY
    fleet.ended("long-ago", age=10 * DAY)
    fleet.ended("lately", age=OLD)
    gone = {orphan(fleet), dead_artifact(fleet, "lately")}
    late = fleet.ended("late", age=OLD)  # an attempt of long ago, and a result of lately
    gone.add(dead_artifact(fleet, "late", 10 * DAY))
    read = []
    get = fleet.store.get
    monkeypatch.setattr(fleet.store, "get", lambda key: read.append(key) or get(key))
    assert sweep(fleet, since=since) == Counter(objects=1, artifacts=2)
    assert not gone & fleet.everything()
    assert late.artifacts["text"].key in fleet.everything()
    assert not any("long-ago" in key for key in read)


@pytest.mark.parametrize("page", [1, 3, 1000])
def test_pages_and_slices_of_any_size_come_to_the_same(fleet: Fleet, monkeypatch, page: int) -> None:
    monkeypatch.setattr(holdings, "CANDIDATES", page)
    listing = fleet.store.listing
    monkeypatch.setattr(fleet.store, "listing", lambda prefix, *, after="", limit=1000: listing(prefix, after=after, limit=min(limit, page)))
    for n in range(5):
        fleet.ended(f"s-{n}", age=OLD)
        dead_artifact(fleet, f"s-{n}")
        fleet.accepted(f"o-{n}", age=OLD)
    kept = {key for key in fleet.everything() if "/dead/" not in key}
    gone = {orphan(fleet) for _ in range(7)}
    assert sweep(fleet) == Counter(objects=7, artifacts=5)
    assert not gone & fleet.everything()
    assert fleet.everything() == kept
