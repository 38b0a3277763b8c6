from app.domain.layout import result_key, tombstone_key
from app.protocol.outcome import Outcome, is_deleted, outcome, result
from tests.unit.doubles import ADA, SOURCE, Troubled, a_failure, a_record, a_success


def keep(store, found):
    store.create(result_key(ADA, SOURCE, found.run), found.to_json())
    return found


def test_a_source_without_a_past_costs_one_listing(store):
    troubled = Troubled(store)
    assert outcome(troubled, ADA, SOURCE) == Outcome()
    assert troubled.calls == ["keys"]


def test_the_latest_run_that_was_committed_is_what_the_source_came_to(store):
    keep(store, a_failure(a_record(run=2)))
    keep(store, a_failure(a_record(run=9)))
    latest = keep(store, a_success(a_record(run=10)))
    store.put(f"sources/{ADA}/{SOURCE}/runs/11/fence/text", b"of an attempt that has not committed")
    assert outcome(store, ADA, SOURCE) == Outcome(result=latest)


def test_a_source_that_ended_costs_a_listing_and_a_read(store):
    keep(store, a_success(a_record()))
    troubled = Troubled(store)
    outcome(troubled, ADA, SOURCE)
    assert troubled.calls == ["keys", "get"]


def test_the_latest_run_is_found_behind_any_number_of_things(store, monkeypatch):
    keys = store.keys
    monkeypatch.setattr("app.protocol.outcome._PAGE", 3)
    monkeypatch.setattr(store, "keys", lambda prefix, *, after="", limit=3: keys(prefix, after=after, limit=limit))
    for n in range(7):
        store.put(f"sources/{ADA}/{SOURCE}/runs/1/fence{n}/text", b"x")
    latest = keep(store, a_success(a_record(run=2)))
    assert outcome(store, ADA, SOURCE) == Outcome(result=latest)


def test_a_run_without_a_commit_is_no_past(store):
    store.put(f"sources/{ADA}/{SOURCE}/runs/1/fence/text", b"x")
    assert outcome(store, ADA, SOURCE) == Outcome()
    assert result(store, ADA, SOURCE, 1) is None


def test_a_tombstone_is_the_last_word(store):
    keep(store, a_success(a_record()))
    assert not is_deleted(store, ADA, SOURCE)
    store.put(tombstone_key(ADA, SOURCE), b"{}")
    assert outcome(store, ADA, SOURCE) == Outcome(deleted=True)
    assert is_deleted(store, ADA, SOURCE)


def test_another_source_whose_id_begins_alike_is_not_looked_at(store):
    store.put(tombstone_key(ADA, SOURCE + "0"), b"{}")
    assert outcome(store, ADA, SOURCE) == Outcome()
