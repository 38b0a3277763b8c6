import pytest

from app.domain.errors import Unavailable
from app.domain.layout import member, object_key
from app.protocol import inbox
from tests.unit.doubles import ADA, EVE, SOURCE, Troubled, a_record


def test_the_first_claim_on_an_id_wins_and_stays(store):
    first = a_record()
    assert inbox.create(store, ADA, first)
    assert not inbox.create(store, ADA, a_record())
    assert inbox.read(store, ADA, SOURCE) == first
    assert inbox.read(store, EVE, SOURCE) is None


def test_the_winner_that_is_handed_its_own_refusal_has_won(store, monkeypatch):
    first = a_record()
    assert inbox.create(store, ADA, first)
    assert inbox.create(store, ADA, first)
    assert not inbox.create(store, ADA, first.rerun(2)), "another run is another claim"


def test_a_refusal_whose_reason_cannot_be_read_is_neither_yes_nor_no(store):
    troubled = Troubled(store)
    inbox.create(store, ADA, a_record())
    troubled.reset(refuse_at=2)
    with pytest.raises(Unavailable):
        inbox.create(troubled, ADA, a_record())


def test_bytes_that_travelled_in_a_record_get_their_object_once_and_for_all(store):
    body = bytes(range(256))
    packed = a_record().packed(body)
    inbox.create(store, ADA, packed)
    assert inbox.read(store, ADA, SOURCE) == packed
    for _ in range(2):
        inbox.unpack(store, ADA, inbox.read(store, ADA, SOURCE))
        assert store.get(object_key(ADA, packed.upload)) == body
    assert inbox.holds(store, ADA, packed.packed(None)), "it is the same acceptance, with its bytes or without"


def test_a_record_without_bytes_has_nothing_to_unpack(store):
    inbox.unpack(store, ADA, a_record())
    assert store.keys("objects/") == []


def test_only_the_run_s_own_record_is_removed(store):
    first = a_record()
    inbox.create(store, ADA, first)
    inbox.remove(store, ADA, first.rerun(2))
    inbox.remove(store, ADA, a_record())
    assert inbox.read(store, ADA, SOURCE) == first
    inbox.remove(store, ADA, first)
    inbox.remove(store, ADA, first)
    assert inbox.read(store, ADA, SOURCE) is None


def test_everything_in_the_inbox_is_listed_over_as_many_pages_as_it_takes(store, monkeypatch):
    names = store.names
    monkeypatch.setattr(store, "names", lambda prefix, *, after="", limit=1000: names(prefix, after=after, limit=min(limit, 3)))
    ids = ["a", "a-b", "a.b", "b", "c", "z", "Z"]
    for owner in (ADA, EVE):
        for source in ids:
            inbox.create(store, owner, a_record(source))
    found, after = [], ""
    while page := inbox.page(store, after=after, limit=4):
        found += page
        after = page[-1]
    assert found == sorted(member(owner, source) for owner in (ADA, EVE) for source in ids)
    for owner in (ADA, EVE):
        assert sorted(inbox.sources_of(store, owner)) == sorted(ids)
    assert list(inbox.sources_of(store, "0" * 32)) == list(inbox.sources_of(store, "f" * 32)) == []
