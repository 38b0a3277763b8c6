"""Readers under chaos, a short run of it (`make chaos-readers` is the long one); and that the verdict sees what is wrong."""

from __future__ import annotations

import pytest

from tests.faults.readers.run import Run
from tests.faults.readers.verdict import WRONG, Book, Story


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["sockets", "streams"])
def test_whatever_is_killed_each_reader_hears_its_channel_whole_and_in_order(kind):
    run = Run(kind, seed=7, seconds=6, readers=24, channels=6, each_second=30, lost_tails=True)
    run.play()
    assert {name: run.book.counts[name] for name in WRONG} == dict.fromkeys(WRONG, 0), "\n\n".join([str(run.figures), *run.book.remarks])
    assert run.book.counts["milestones heard"] > 500
    assert run.faults["crashes of Redis"] > 0
    assert run.faults["live links cut"] > 0
    assert run.faults["API processes killed"] + run.faults["API processes stopped"] > 0


def milestone(offset, epoch="e", *, source="s", **more):
    return {"event": "source.processing", "event-id": f"{epoch}:{offset}", "source-uuid": source, **more}


def end(offset, epoch="e", *, source="s"):
    return milestone(offset, epoch, source=source, event="source.succeeded", status="success")


def progress(percent, source="s"):
    return {"event": "source.progress", "source-uuid": source, "progress": percent}


HISTORY = [milestone(1), milestone(2), end(3)]
LOSS = {"event": "channel.recovered", "recovered": False}


def heard(*sessions, history):
    """What is wrong with it. A session is what it heard, behind False (from its position) or True (anew)."""
    book = Book()
    for event in history:
        book.enter(event)
    story = Story(book, lost_tails=False)
    for anew, *events in sessions:
        story.begin(anew=anew)
        for event in events:
            story.hear(event)
    story.close(history, {"s"})
    return {name: count for name, count in book.counts.items() if count and name in WRONG}


def test_nothing_is_wrong_with_a_whole_history():
    assert heard((True, milestone(1), progress(5), milestone(2)), (False, end(3)), history=HISTORY) == {}
    after_a_restart = [milestone(1), milestone(2, "f"), end(3, "f")]
    assert heard((True, *after_a_restart), history=after_a_restart) == {}
    assert heard((True, milestone(1), milestone(2), LOSS | {"event-id": "e:1"}, milestone(2, "f"), end(3, "f")), history=after_a_restart) == {}


@pytest.mark.parametrize(
    ("sessions", "wrong"),
    [
        ([(True, milestone(1), end(3))], {"missing": 1}),
        ([(True, milestone(2), end(3))], {"missing": 1}),
        ([(True, milestone(1), milestone(2))], {"missing": 1, "ends unknown": 1}),
        ([(True, milestone(1)), (False, end(3))], {"missing": 1}),
        ([(True, milestone(1), milestone(1), milestone(2), end(3))], {"repeated": 1}),
        ([(True, milestone(1), milestone(2)), (False, milestone(2), end(3))], {"repeated": 1}),
        ([(True, progress(7), milestone(1), progress(6), milestone(2), end(3))], {"progress back": 1}),
        ([(True, progress(7), milestone(1, progress=6), milestone(2), end(3))], {"differing": 1, "progress back": 1}),
        ([(True, progress(7), milestone(1)), (False, progress(6), milestone(2), end(3))], {"progress back": 1}),
        ([(True, milestone(1), milestone(2), end(3), end(4))], {"second ends": 1, "after an end": 1}),
        ([(True, milestone(1), milestone(2, source="t"), end(3))], {"differing": 1}),
        ([(True, milestone(1), milestone(2), milestone(3))], {"differing": 1, "ends unknown": 1}),
    ],
)
def test_the_verdict_sees_what_is_wrong(sessions, wrong):
    assert heard(*sessions, history=HISTORY) == wrong


def test_what_a_connection_passes_over_after_an_end_is_not_missing():
    after = end(4, "f", source="t")
    loss = LOSS | {"event-id": "e:1"}
    history = [milestone(1), milestone(2, "f"), end(3, "f"), after]
    brought, began_behind = [(True, milestone(1), end(2), loss)], [(True, milestone(1), end(2)), (False, milestone(3, source="t"), loss)]
    for sessions in brought, began_behind:
        *before, last = sessions
        assert heard(*before, (*last, after), history=history) == {}
        assert heard(*before, (*last, milestone(2, "f"), after), history=history) == {"after an end": 1}
        assert heard(*before, (*last, after), history=[milestone(1), milestone(2, "f"), milestone(3, "f", source="u"), after]) == {"missing": 1}
    assert heard(brought[0], (False, after), history=history) == {"missing": 2}
    assert heard((True, milestone(1), end(2)), (False, loss, after), history=history) == {"missing": 2}
