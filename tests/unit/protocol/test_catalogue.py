from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.memory import MemoryObjectStore
from app.domain.layout import result_key, tombstone_key
from app.protocol import catalogue, inbox
from tests.unit.doubles import ADA, EVE, Troubled, a_record, a_success


def open_(store, source, owner=ADA):
    assert inbox.create(store, owner, a_record(source))


def ended(store, source):
    store.put(result_key(ADA, source, 1), a_success(a_record(source)).to_json())


def walk(store, limit, between=lambda: None):
    found, after = [], ""
    while page := catalogue.ids(store, ADA, after=after, limit=limit):
        assert len(page) <= limit
        found += page
        after = page[-1]
        between()
    return found


# Of ids that begin with one another the orders differ: many of them.
IDS = st.lists(st.text("a-.0", min_size=1, max_size=6).filter(lambda name: name not in {".", ".."}), max_size=25, unique=True)


@settings(max_examples=300)
@given(IDS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_every_id_is_on_one_page_in_the_order_of_the_folders(ids, limit, chance):
    store = MemoryObjectStore()
    for source in ids:
        for put in chance.sample([open_, ended, lambda store, source: store.put(tombstone_key(ADA, source), b"")], chance.randint(1, 3)):
            put(store, source)
        open_(store, source, EVE)
    assert walk(store, limit) == sorted(ids, key=lambda name: f"{name}/")


@settings(max_examples=100)
@given(IDS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_what_is_there_all_the_time_is_on_one_page_whatever_comes_and_ends_meanwhile(ids, limit, chance):
    store = MemoryObjectStore()
    stays, moves = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    for source in ids:
        open_(store, source)

    def meanwhile():
        if moves:
            source = moves.pop(chance.randrange(len(moves)))
            if chance.random() < 0.5:
                ended(store, source)
            store.delete([f"inbox/{ADA}~{source}"])
        new = f"n{chance.randrange(10**6)}"
        inbox.create(store, ADA, a_record(new))

    found = walk(store, limit, meanwhile)
    assert len(found) == len(set(found))
    assert set(stays) <= set(found)


def test_a_source_that_ends_between_the_two_listings_is_listed(monkeypatch):
    store = MemoryObjectStore()
    open_(store, "s")
    names = store.names

    def ends(prefix, **more):
        found = names(prefix, **more)
        if inbox.is_open(store, ADA, "s"):
            ended(store, "s")
            store.delete([f"inbox/{ADA}~s"])
        return found

    monkeypatch.setattr(store, "names", ends)
    assert catalogue.ids(store, ADA, after="", limit=9) == ["s"]


def test_a_page_costs_a_listing_of_each_and_a_look_for_what_the_cursor_begins_with():
    store = MemoryObjectStore()
    for n in range(50):
        open_(store, f"doc-{n:02}")
        ended(store, f"old-{n:02}")
    troubled = Troubled(store)
    assert catalogue.ids(troubled, ADA, after="doc-09", limit=5) == [f"doc-{n}" for n in range(10, 15)]
    assert troubled.calls == ["stat", "names", "names"]
