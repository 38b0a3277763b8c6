"""What only Redis has: keys that expire, a server that goes away, and strangers on it. The rest of the ledger: test_ledger.py and its neighbours."""

import pytest

from app.adapters.redis.calls import Terms
from app.domain.errors import Unavailable
from app.domain.ids import SourceId, UploadId
from app.domain.jobs import Lane
from app.domain.lease import this_worker
from app.domain.position import Position
from app.domain.source import State
from app.domain.stages import Stage
from app.ports import Due
from tests.ledgers import OWNER, SOURCE, STRANGER, WS, RedisFaces, events, failure, milestone, progress, record, success, take, told
from tests.monitor import Monitor
from tests.servers import Valkey

RUN = record()
OTHER = record(SourceId("s-2"))
AGAIN = record(run=2)
TTL, AFTER_END = 5000, 700
TERMS = Terms(events_ttl_seconds=TTL, events_ttl_after_end_seconds=AFTER_END)


@pytest.fixture(params=["redis", "redis-async"])
def kind(request):
    return request.param


@pytest.fixture
def ledger(kind, open_ledger):
    return open_ledger(kind, TERMS)


def seconds_left(ledger, owner=OWNER):
    """Of the channel's history, head and bare name, rounded; None: it stays."""
    k = ledger.keys
    left = [ledger.raw.pttl(name) for name in (k.stream(owner, WS), k.channel(owner, WS), k.alias(WS))]
    assert -2 not in left, "one of them is gone"
    return tuple(None if ms == -1 else round(ms / 1000, -1) for ms in left)


STAYS = (None, None, None)
ENDED = (AFTER_END, AFTER_END + 60, AFTER_END)


def test_a_channel_stays_while_a_source_is_open_whatever_happens_to_it(ledger):
    ledger.register(OWNER, WS, explicit=True)
    ledger.accept(OWNER, RUN)
    assert seconds_left(ledger) == STAYS
    ledger.register(OWNER, WS, explicit=True, keep_open=True)
    assert seconds_left(ledger) == STAYS, "registered again"
    fence, _ = take(ledger)
    for seq in (1, 1):
        ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=seq, stage=Stage.SNIFF)
    assert seconds_left(ledger) == STAYS, "a milestone"
    ledger.accept(OWNER, OTHER)
    ledger.finish(OWNER, OTHER, success(OTHER), state=State.SUCCEEDED)
    assert seconds_left(ledger) == STAYS, "another of its sources ended"
    ledger.restore(OWNER, WS)
    assert seconds_left(ledger) == STAYS, "restored"


def test_a_channel_expires_after_its_last_end_and_stays_again_for_the_next_source(ledger):
    ledger.accept(OWNER, RUN)
    ledger.accept(OWNER, OTHER)
    for run in (RUN, OTHER):
        assert seconds_left(ledger) == STAYS
        ledger.finish(OWNER, run, success(run), state=State.SUCCEEDED)
    assert seconds_left(ledger) == ENDED
    ledger.accept(OWNER, AGAIN)
    assert seconds_left(ledger) == STAYS


def test_a_registered_channel_that_nothing_comes_to_expires(ledger):
    ledger.register(OWNER, WS, explicit=True)
    assert round(ledger.raw.ttl(ledger.keys.alias(WS)), -1) == TTL
    assert round(ledger.raw.ttl(ledger.keys.channel(OWNER, WS)), -1) == TTL + 60


def test_a_registration_after_the_end_keeps_history_and_head_alike(ledger):
    ledger.accept(OWNER, RUN)
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    ledger.register(OWNER, WS, explicit=True)
    assert seconds_left(ledger) == (TTL, TTL + 60, TTL)
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert seconds_left(ledger) == (TTL, TTL + 60, TTL), "an end that was said already moves nothing"


def test_a_channel_of_which_only_a_wiped_record_remained_stays_from_the_next_beat(ledger):
    fence, _ = take(ledger)
    ledger.wipe()
    ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=None)
    ledger.restore(OWNER, WS)
    assert seconds_left(ledger) == (TTL, TTL + 60, TTL)
    ledger.beat(OWNER, RUN, fence=fence, worker="w", attempt=1)
    assert seconds_left(ledger) == STAYS
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert seconds_left(ledger) == ENDED


def test_a_record_is_kept_in_the_small_form_while_its_run_is_at_work(ledger):
    ledger.accept(OWNER, RUN)
    take(ledger, worker=this_worker())
    for name in (ledger.keys.source(OWNER, SOURCE), ledger.keys.running):
        assert ledger.raw.object("ENCODING", name) == "listpack", name


def test_a_claim_of_an_unknown_run_keeps_its_channel(ledger):
    ledger.register(OWNER, WS, explicit=True)
    take(ledger)
    assert ledger.raw.pttl(ledger.keys.channel(OWNER, WS)) == ledger.raw.pttl(ledger.keys.alias(WS)) == -1


def test_another_owners_bare_name_lives_by_its_own_sources(ledger):
    ledger.register(STRANGER, WS, explicit=True)
    ledger.accept(STRANGER, RUN)
    ledger.accept(OWNER, RUN)
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert seconds_left(ledger, STRANGER) == STAYS
    ledger.finish(STRANGER, RUN, success(RUN), state=State.SUCCEEDED)
    ledger.accept(OWNER, AGAIN)
    assert seconds_left(ledger, STRANGER) == ENDED


def test_a_forgotten_source_lets_its_channel_expire(ledger):
    ledger.accept(OWNER, RUN)
    ledger.forget(OWNER, SOURCE)
    assert seconds_left(ledger) == ENDED


def test_nothing_stays_for_ever_once_all_has_ended(ledger):
    ledger.register(OWNER, WS, explicit=True)
    ledger.receiving(OWNER, WS, UploadId("u"), seconds=60)
    for run in (RUN, OTHER):
        ledger.accept(OWNER, run)
        fence, _ = take(ledger, run)
        ledger.append(OWNER, run, milestone(run), fence=fence, attempt=1, seq=1, stage=Stage.SNIFF)
        ledger.progress(OWNER, run, progress(run, 50), fence=fence)
        ledger.finish(OWNER, run, failure(run), state=State.FAILED)
        ledger.append(OWNER, run, milestone(run), fence=fence, attempt=2, seq=1, stage=Stage.STORE)
    ledger.lead("me", seconds=10)
    for _ in range(2):
        ledger.pop()
    assert [name for name in ledger.names() if ledger.raw.ttl(name) < 0] == []


def test_a_zombies_milestone_leaves_nothing_that_stays(ledger):
    fence, _ = take(ledger)
    ledger.wipe()
    ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=Stage.SNIFF)
    assert ledger.names()
    assert [name for name in ledger.names() if ledger.raw.ttl(name) < 0] == []


def test_an_uploads_hold_is_not_shortened_by_another(ledger):
    ledger.receiving(OWNER, WS, UploadId("long"), seconds=5000)
    ledger.receiving(OWNER, WS, UploadId("short"), seconds=50)
    assert ledger.raw.ttl(ledger.keys.receiving(OWNER, WS)) > 5000


def test_history_without_its_head_is_not_gone_on_with(ledger):
    """A head that was lost alone (it should outlive the history) must not stop every later event of the channel."""
    ledger.accept(OWNER, RUN)
    ledger.accept(OWNER, OTHER)
    ledger.raw.delete(ledger.keys.channel(OWNER, WS))
    assert ledger.accept(OWNER, AGAIN)
    assert told(ledger) == ["accepted"]


def test_every_key_and_channel_is_under_the_prefix(kind, redis_prefix, frail, frail_ledger):
    """Judged by the commands that the server saw, those inside of scripts as well."""
    with Monitor(frail) as seen:
        everything(frail_ledger)
    names = {name for command in seen.commands for name in command.names(frail_ledger.raw)}
    assert [name for name in names if not name.startswith(redis_prefix)] == []
    assert {name.removeprefix(redis_prefix).split(":")[0] for name in names} == {
        "source", "timeline", "open", "running", "leader", "alias", "channel", "events", "live", "busy", "receiving", "progress", "turns", "waiting",
        "queueing", "sent", "scan", "headrace.fast", "ping",
    }  # fmt: skip


def everything(ledger):
    """Each call of the ledger once, whatever it answers."""
    ledger.register(OWNER, WS, explicit=True, keep_open=False)
    ledger.restore(OWNER, WS)
    ledger.resolve(WS)
    ledger.receiving(OWNER, WS, UploadId("u"), seconds=9)
    ledger.accept(OWNER, RUN, receiving=UploadId("u"))
    fence, _ = take(ledger, worker="w")
    ledger.beat(OWNER, RUN, fence=fence, worker="w", attempt=1)
    ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=Stage.SNIFF)
    ledger.progress(OWNER, RUN, progress(RUN, 1), fence=fence)
    ledger.release(OWNER, RUN, fence=fence)
    ledger.due(limit=1)
    ledger.running()
    ledger.requeue(Due(OWNER, SOURCE, 1), dead_worker="w")
    ledger.unopened([(OWNER, SOURCE)])
    ledger.begin_scan("token")
    ledger.end_scan("token")
    ledger.is_whole()
    ledger.queueing()
    ledger.wake(OWNER, Lane.FAST)
    ledger.place(OWNER, SOURCE)
    ledger.lead("me", seconds=1)
    ledger.told(OWNER, WS, Position("e", 1))
    ledger.state(OWNER, WS)
    ledger.read(OWNER, WS, after=0)
    ledger.latest_progress(OWNER, WS)
    ledger.timeline(OWNER, SOURCE, 1)
    ledger.record(OWNER, SOURCE)
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    ledger.forget(OWNER, SOURCE)
    ledger.ping()


# ------------------------------------------------------------------------------------------------ the server away


CALLS = {
    "accept": lambda ledger: ledger.accept(OWNER, OTHER),
    "claim": take,
    "finish": lambda ledger: ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED),
    "record": lambda ledger: ledger.record(OWNER, SOURCE),
    "running": lambda ledger: ledger.running(),
    "timeline": lambda ledger: ledger.timeline(OWNER, SOURCE, 1),
    "forget": lambda ledger: ledger.forget(OWNER, SOURCE),
    "register": lambda ledger: ledger.register(OWNER, WS, explicit=True),
    "resolve": lambda ledger: ledger.resolve(WS),
    "state": lambda ledger: ledger.state(OWNER, WS),
    "read": lambda ledger: ledger.read(OWNER, WS, after=0),
    "latest_progress": lambda ledger: ledger.latest_progress(OWNER, WS),
    "ping": lambda ledger: ledger.ping(),
}


@pytest.fixture(scope="module")
def frail():
    """A server that these tests stop, wipe and freeze."""
    with Valkey() as server:
        yield server


@pytest.fixture
def frail_ledger(frail, kind, redis_prefix):
    with frail.client() as raw, RedisFaces(kind, frail.url, redis_prefix, TERMS, raw, timeout_seconds=0.3) as ledger:
        yield ledger


def test_every_call_is_unavailable_while_the_server_is_gone_and_goes_on_when_it_is_back(frail, frail_ledger):
    frail_ledger.accept(OWNER, RUN)
    frail.kill()
    try:
        for name, call in CALLS.items():
            with pytest.raises(Unavailable) as caught:
                call(frail_ledger)
            assert caught.value.code == "redis_unavailable", name
    finally:
        frail.start()
    assert frail_ledger.record(OWNER, SOURCE) is None, "this server keeps nothing on disk, so it came back empty"
    assert frail_ledger.accept(OWNER, RUN) is True, "the scripts are sent again to a server that does not know them"
    assert told(frail_ledger) == ["accepted"]


def test_a_frozen_server_is_unavailable(frail, frail_ledger):
    frail_ledger.ping()
    frail.freeze()
    try:
        for name in ("accept", "state", "ping"):
            with pytest.raises(Unavailable):
                CALLS[name](frail_ledger)
    finally:
        frail.thaw()
    frail_ledger.ping()


def test_a_full_server_accepts_nothing_and_takes_no_half(frail, frail_ledger):
    frail_ledger.receiving(OWNER, WS, UploadId("u"), seconds=60)
    frail_ledger.raw.config_set("maxmemory", 1)
    try:
        for _ in range(2):
            with pytest.raises(Unavailable):
                frail_ledger.accept(OWNER, RUN, receiving=UploadId("u"))
            assert frail_ledger.state(OWNER, WS) is None, "it can still be read"
    finally:
        frail_ledger.raw.config_set("maxmemory", 0)
    assert frail_ledger.names() == [frail_ledger.keys.receiving(OWNER, WS)], "the upload holds its channel still"


def test_a_full_server_is_not_well_though_it_answers(frail, frail_ledger):
    frail_ledger.raw.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable):
            frail_ledger.ping()
    finally:
        frail_ledger.raw.config_set("maxmemory", 0)
    frail_ledger.ping()


def test_flushall_begins_another_epoch(frail, frail_ledger):
    frail_ledger.accept(OWNER, RUN)
    before = events(frail_ledger)[0]["event-id"]
    frail_ledger.raw.flushall()
    assert frail_ledger.accept(OWNER, RUN)
    assert events(frail_ledger)[0]["event-id"] != before


def test_a_connection_that_went_stale_is_mended_unseen(frail, frail_ledger):
    for call in CALLS.values():
        frail_ledger.raw.client_kill_filter(_type="normal", skipme=True)
        call(frail_ledger)


def test_a_kept_log_brings_everything_back(kind, redis_prefix):
    with Valkey(aof=True) as server:
        with server.client() as raw, RedisFaces(kind, server.url, redis_prefix, TERMS, raw) as ledger:
            ledger.accept(OWNER, RUN)
            before = (events(ledger), ledger.queued(), ledger.record(OWNER, SOURCE))
            server.stop()
            server.start()
            assert (events(ledger), ledger.queued(), ledger.record(OWNER, SOURCE)) == before
            assert seconds_left(ledger) == STAYS
