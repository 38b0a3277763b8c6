import pytest

from app.services.message import Message
from app.services.reader import UNKNOWN
from tests.ledgers import milestone, progress, record, success
from tests.unit.services.lines import Line, a_reader


def at(offset, event=None, epoch="e"):
    return Message((event or milestone(record())).to_json(), epoch, offset)


def told_percent(reader):
    return [event["progress"] for event in reader.outlet.events]


def test_what_comes_next_is_sent_at_once_and_what_is_known_is_dropped():
    reader = a_reader(at=("e", 3))
    for offset in (4, 3, 4, 5, 1):
        reader.tell(at(offset))
    assert (reader.offset, len(reader.outlet.heard), reader._keeper.behind) == (5, 2, [])


@pytest.mark.parametrize("message", [at(5), at(4, epoch="f"), at(1, epoch="f")])
def test_a_gap_and_another_epoch_make_it_hold_what_comes_until_the_history_is_read(message):
    reader = a_reader(at=("e", 3))
    for _ in range(2):
        reader.tell(message)
        reader.tell(at(4))
    assert reader._keeper.behind == [reader], "asked once"
    assert (reader.held.missed, reader.outlet.heard, reader.offset) == (True, [], 3)


def test_what_was_held_is_followed_in_order():
    reader = a_reader()
    reader.epoch = "e"
    for offset in (1, 2, 3):
        reader.tell(at(offset))
    assert reader.outlet.heard == []
    reader.offset = 1
    assert reader.settle()
    assert (reader.offset, len(reader.outlet.heard), reader.held) == (3, 2, None)


def test_what_is_lacking_among_what_was_held_is_to_be_read_first():
    reader = a_reader()
    reader.epoch = "e"
    for offset in (1, 3, 4):
        reader.tell(at(offset))
    assert not reader.settle()
    assert (reader.offset, reader.held.missed) == (1, True)


@pytest.mark.parametrize(
    ("position", "head", "behind"),
    [(("e", 3), ("e", 3), False), (("e", 3), ("e", 4), True), (("e", 3), ("f", 3), True), (("e", 3), None, True), (UNKNOWN, None, False)],
)
def test_it_compares_heads(position, head, behind):
    reader = a_reader(at=position)
    reader.compare(head)
    assert bool(reader._keeper.behind) == behind


def test_a_head_says_nothing_to_who_is_reading():
    reader = a_reader()
    reader.compare(("e", 4))
    assert (reader.held.missed, reader._keeper.behind) == (False, [])


@pytest.mark.parametrize(("head", "epoch", "behind"), [(3, "e", False), (2, "e", False), (4, "e", True), (3, "f", True)])
def test_progress_that_was_said_after_a_milestone_that_it_lacks_shows_the_gap(head, epoch, behind):
    reader = a_reader(at=("e", 3))
    reader.tell(Message(progress(record(), 20).to_json(), epoch, head=head))
    assert (bool(reader._keeper.behind), len(reader.outlet.heard), reader.offset) == (behind, not behind, 3)


def test_progress_that_is_older_than_what_was_told_is_dropped():
    reader, run = a_reader(at=("e", 0)), record()
    for message in (
        Message(progress(run, 20).to_json()),
        Message(progress(run, 10).to_json()),
        at(1, milestone(run).model_copy(update={"progress": 50})),
        Message(progress(run, 49).to_json()),
        Message(progress(run, 50).to_json()),
        at(2, success(run)),
        Message(progress(run, 60).to_json()),
        Message(progress(run.rerun(2), 5).to_json()),
        Message(progress(run, 100).to_json()),
    ):
        reader.tell(message)
    assert told_percent(reader) == [20, 50, 50, 100, 5]


def test_a_run_ends_once_also_in_another_epoch():
    reader = a_reader(at=("e", 0))
    reader.tell(at(1, success(record())))
    assert reader._keeper.lingering == [reader]
    reader.epoch, reader.offset = "f", 0
    reader.tell(at(1, success(record()), "f"))
    reader.tell(at(2, success(record().rerun(2)), "f"))
    assert [event["run"] for event in reader.outlet.events] == [1, 2]
    assert reader.offset == 2


def test_who_gives_way_to_a_full_client_was_not_told_what_it_refused_nor_what_still_waits():
    reader = a_reader(at=("e", 0), line=Line(takes=4))
    for offset in range(1, 7):
        reader.outlet.stuck = offset > 2
        line = reader.outlet
        reader.tell(at(offset))
        if reader.outlet is None:
            break
    assert (len(line.heard), reader._keeper.gone) == (4, [(reader, 2)])


def test_who_has_gone_is_told_nothing_more_and_goes_once():
    reader = a_reader(at=("e", 0))
    line = reader.outlet
    for _ in range(2):
        reader.detach()
        reader.tell(at(1))
        reader.tell(at(9))
        reader.miss()
        reader.close()
    assert (line.heard, line.codes, reader._keeper.gone, reader._keeper.behind) == ([], [], [(reader, 0)], [])


def test_a_reader_that_waits_for_nothing_has_nothing_but_its_place():
    reader = a_reader(at=("e", 3))
    assert not hasattr(reader, "__dict__")
    assert (reader.held, reader.told) == (None, None)
