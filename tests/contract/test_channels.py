"""Channels, sentence by sentence of ports.Channels, over memory and Redis."""

import pytest

from app.domain.channel import Registration
from app.domain.ids import ChannelId, SourceId, UploadId
from app.domain.position import Position
from app.domain.source import State
from tests.ledgers import OWNER, STRANGER, WS, events, milestone, record, success, take, told
from tests.servers import eventually

RUN = record()


def tell(ledger, count, first=1):
    """So many milestones of RUN."""
    if first == 1:
        ledger.accept(OWNER, RUN)
        tell.fence = take(ledger)[0]
        count -= 1
    for seq in range(first, first + count):
        assert ledger.append(OWNER, RUN, milestone(RUN, str(seq)), fence=tell.fence, attempt=1, seq=seq, stage=None)


def test_a_registered_channel_is_open_and_empty(ledger):
    assert ledger.register(OWNER, WS, explicit=True) == Registration(OWNER, new=True)
    state = ledger.state(OWNER, WS)
    assert (state.owner, state.head, state.mark, state.keep_open, state.busy) == (OWNER, 0, 0, False, 0)
    assert state.epoch
    assert ledger.is_open(OWNER, WS)
    assert (ledger.read(OWNER, WS, after=0), ledger.latest_progress(OWNER, WS)) == ([], [])
    assert ledger.resolve(WS) == OWNER


def test_nothing_is_known_of_a_channel_that_nobody_registered(ledger):
    ledger.register(STRANGER, WS, explicit=True)
    ledger.told(OWNER, WS, Position("e", 3))
    ledger.receiving(OWNER, WS, UploadId("u"), seconds=60)
    assert ledger.state(OWNER, WS) is None
    assert not ledger.is_open(OWNER, WS)
    assert ledger.resolve(ChannelId("other")) is None
    assert (ledger.read(OWNER, WS, after=0), ledger.latest_progress(OWNER, WS)) == ([], [])


@pytest.mark.parametrize("explicit", [True, False])
def test_a_name_belongs_to_who_was_first_and_the_second_changes_nothing(ledger, explicit):
    ledger.register(OWNER, WS, explicit=True)
    before = ledger.state(OWNER, WS)
    assert ledger.register(STRANGER, WS, explicit=explicit, keep_open=True) == Registration(OWNER, new=False)
    assert (ledger.resolve(WS), ledger.state(STRANGER, WS), ledger.state(OWNER, WS)) == (OWNER, None, before)


def test_registering_again_keeps_the_channel(ledger):
    ledger.register(OWNER, WS, explicit=True, keep_open=True)
    before = ledger.state(OWNER, WS)
    assert ledger.register(OWNER, WS, explicit=False) == Registration(OWNER, new=False)
    assert ledger.state(OWNER, WS) == before


def test_keep_open_is_as_it_was_last_said(ledger):
    for said, is_ in ((None, False), (True, True), (None, True), (False, False)):
        ledger.register(OWNER, WS, explicit=True, keep_open=said)
        assert ledger.state(OWNER, WS).keep_open is is_


def test_a_second_explicit_registration_moves_the_mark_to_what_readers_were_told(ledger):
    ledger.register(OWNER, WS, explicit=True)
    tell(ledger, 5)
    for offset in (3, 2):
        ledger.told(OWNER, WS, Position(ledger.state(OWNER, WS).epoch, offset))
    assert ledger.state(OWNER, WS).mark == 0
    ledger.register(OWNER, WS, explicit=False)
    assert ledger.state(OWNER, WS).mark == 0, "an upload's registration moves nothing"
    ledger.register(OWNER, WS, explicit=True)
    assert ledger.state(OWNER, WS).mark == 3
    ledger.told(OWNER, WS, Position(ledger.state(OWNER, WS).epoch, 4))
    ledger.register(OWNER, WS, explicit=True)
    assert ledger.state(OWNER, WS).mark == 4


def test_the_first_explicit_registration_moves_nothing_though_an_upload_came_before(ledger):
    ledger.register(OWNER, WS, explicit=False)
    tell(ledger, 2)
    ledger.told(OWNER, WS, Position(ledger.state(OWNER, WS).epoch, 2))
    ledger.register(OWNER, WS, explicit=True)
    assert ledger.state(OWNER, WS).mark == 0


def test_what_was_told_of_an_epoch_that_is_gone_does_not_hide_the_new(ledger):
    ledger.register(OWNER, WS, explicit=True)
    tell(ledger, 5)
    gone = ledger.state(OWNER, WS).last
    ledger.wipe()
    ledger.register(OWNER, WS, explicit=True)
    tell(ledger, 5)
    ledger.told(OWNER, WS, gone)
    ledger.register(OWNER, WS, explicit=True)
    assert ledger.state(OWNER, WS).mark == 0


def test_restore_gives_the_name_to_whom_the_store_says(ledger):
    ledger.register(STRANGER, WS, explicit=True)
    for _ in range(2):
        ledger.restore(OWNER, WS)
        assert ledger.resolve(WS) == OWNER
        assert ledger.state(OWNER, WS).head == 0
    assert ledger.register(STRANGER, WS, explicit=True) == Registration(OWNER, new=False)
    assert ledger.register(OWNER, WS, explicit=True) == Registration(OWNER, new=False)


def test_a_channel_is_opened_again_whoever_has_its_bare_name(ledger):
    for _ in range(2):
        ledger.reopen(OWNER, WS)
        assert ledger.resolve(WS) == OWNER
        assert not ledger.state(OWNER, WS).registered
    ledger.reopen(STRANGER, WS)
    assert ledger.state(STRANGER, WS).head == 0
    assert ledger.resolve(WS) == OWNER


def test_milestones_are_read_in_order_from_one_without_a_gap(ledger):
    tell(ledger, 7)
    assert [offset for offset, _ in ledger.read(OWNER, WS, after=0)] == [1, 2, 3, 4, 5, 6, 7]
    assert [offset for offset, _ in ledger.read(OWNER, WS, after=2, limit=3)] == [3, 4, 5]
    assert ledger.read(OWNER, WS, after=7) == ledger.read(OWNER, WS, after=99) == []
    assert len(events(ledger)) == 7
    assert ledger.state(OWNER, WS).head == 7


def test_the_heads_of_channels_are_those_of_their_states(ledger):
    ledger.register(OWNER, WS, explicit=True)
    tell(ledger, 3)
    other, unknown = ChannelId("other"), ChannelId("unknown")
    ledger.register(STRANGER, other, explicit=True)
    ledger.told(OWNER, unknown, Position("e", 3))
    asked = [(OWNER, WS), (STRANGER, WS), (STRANGER, other), (OWNER, unknown), (OWNER, WS)]
    states = [ledger.state(*one) for one in asked]
    assert [state and state.head for state in states] == [3, None, 0, None, 3]
    assert ledger.heads(asked).of == [state and (state.epoch, state.head) for state in states]
    assert ledger.heads([]).of == []
    assert ledger.heads([]).life == ledger.heads(asked).life != ""


def test_the_sources_of_a_channel_share_its_offsets(ledger):
    runs = [record(SourceId(name)) for name in "abc"]
    for run in runs:
        ledger.accept(OWNER, run)
    for run in runs:
        ledger.finish(OWNER, run, success(run), state=State.SUCCEEDED)
    assert [(e["event"], e["source-uuid"]) for e in events(ledger) if e["event"] != "batch"] == [
        *(("source.accepted", name) for name in "abc"),
        *(("source.succeeded", name) for name in "abc"),
    ]


def test_a_wiped_channel_begins_anew_with_another_epoch(ledger):
    tell(ledger, 3)
    epoch = ledger.state(OWNER, WS).epoch
    ledger.wipe()
    assert (ledger.state(OWNER, WS), ledger.resolve(WS)) == (None, None)
    ledger.accept(OWNER, RUN)
    assert told(ledger) == ["accepted"]
    assert ledger.state(OWNER, WS).epoch != epoch


def test_a_channel_is_busy_while_sources_are_open_and_uploads_come(ledger):
    ledger.register(OWNER, WS, explicit=True)
    other = record(SourceId("s-2"))
    seen = []

    def look(_):
        seen.append(ledger.state(OWNER, WS).busy)

    for _ in range(2):
        look(ledger.receiving(OWNER, WS, UploadId("u"), seconds=60))
    look(ledger.receiving(OWNER, WS, UploadId("v"), seconds=60))
    look(ledger.receiving(OWNER, WS, UploadId("v"), seconds=0))
    look(ledger.receiving(OWNER, WS, UploadId("v"), seconds=0))
    look(ledger.accept(OWNER, RUN, receiving=UploadId("u")))
    look(ledger.accept(OWNER, other))
    look(ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED))
    look(ledger.finish(OWNER, other, success(other), state=State.SUCCEEDED))
    assert seen == [1, 1, 2, 1, 1, 1, 2, 1, 0]


def test_an_upload_holds_its_channel_no_longer_than_it_said(ledger):
    ledger.register(OWNER, WS, explicit=True)
    ledger.receiving(OWNER, WS, UploadId("long"), seconds=1000)
    ledger.receiving(OWNER, WS, UploadId("short"), seconds=100)
    ledger.pass_time(95)
    assert ledger.state(OWNER, WS).busy == 2
    ledger.pass_time(5)
    assert eventually(lambda: ledger.state(OWNER, WS).busy == 1)
    ledger.pass_time(900)
    assert eventually(lambda: ledger.state(OWNER, WS).busy == 0)


def test_the_sources_that_a_channel_told_of_are_known_also_after_their_end(ledger):
    ledger.accept(OWNER, RUN)
    ledger.accept(OWNER, record(SourceId("s-2")))
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert sorted(ledger.sources(OWNER, WS)) == ["s-1", "s-2"]
    assert ledger.sources(STRANGER, WS) == []


def test_whether_its_owner_opened_it_is_known(ledger):
    ledger.accept(OWNER, RUN)
    assert not ledger.state(OWNER, WS).registered
    ledger.register(OWNER, WS, explicit=False)
    assert not ledger.state(OWNER, WS).registered
    ledger.register(OWNER, WS, explicit=True)
    assert ledger.state(OWNER, WS).registered


@pytest.mark.parametrize("kind", ["redis", "redis-async"])
def test_the_first_offset_that_is_kept_is_known_of_a_trimmed_and_of_an_expired_stream(open_ledger, kind):
    ledger = open_ledger(kind)
    ledger.register(OWNER, WS, explicit=True)
    assert ledger.state(OWNER, WS).first == 1
    tell(ledger, 5)
    assert ledger.state(OWNER, WS).first == 1
    stream = ledger.keys.stream(OWNER, WS)
    ledger.raw.xtrim(stream, minid="4-0", approximate=False)
    assert ledger.state(OWNER, WS).first == 4
    ledger.raw.delete(stream)
    assert (ledger.state(OWNER, WS).first, ledger.state(OWNER, WS).head) == (6, 5)
