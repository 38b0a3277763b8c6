"""Several workers on a few sources, in any order: memory and Redis give the same answers, and what was promised holds after each step."""

import itertools
import json
import uuid

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.adapters.redis.calls import Terms
from app.domain.ids import ChannelId, SourceId, UploadId, new_fence
from app.domain.jobs import Lane, lane_of
from app.domain.position import Position
from app.domain.source import EDGES, State
from app.domain.stages import Stage
from app.ports import Due
from tests.ledgers import OWNER, WS, MemoryFaces, RedisFaces, failure, milestone, progress, record, success

# No sum of steps of time meets a lease or a pause to the second, so both clocks fall on the same side of each.
TERMS = Terms(lease_seconds=1000, grace_seconds=100, attempts=2, turns=1)
STEPS = (130, 1030)

SOURCES = tuple(SourceId(f"s{n}") for n in range(3))
CHANNELS = (WS, ChannelId("ws-2"))
WORKERS = ("w0", "w1", "w2")
# A later run may be in another lane: a fetched URL's size is not known.
SIZES = (1, 1, None)
RUNS = st.builds(lambda source, run: record(SOURCES[source], run=run, ws=CHANNELS[source % 2], size=SIZES[run - 1]), st.integers(0, 2), st.integers(1, 3))
REGISTRATIONS = st.sampled_from([{}, {"keep_open": True}, {"keep_open": False}, {"expect": 1}, {"expect": 3}])
ENDS = st.sampled_from([State.SUCCEEDED, State.FAILED, State.CANCELLED])


class LedgerModel(RuleBasedStateMachine):
    server = None
    held = Bundle("held")

    @initialize()
    def begin(self):
        self.memory = MemoryFaces("memory", TERMS)
        self.redis = RedisFaces("redis", self.server.url, f"test-{uuid.uuid4().hex}:", TERMS, self.server.client())
        self.seen = {}
        self.ended = set()
        self.seqs = itertools.count(1)
        self.passed = 0
        self.write()

    def teardown(self):
        if hasattr(self, "memory"):
            with self.memory, self.redis:
                self.redis.wipe()
                self.redis.raw.close()

    def both(self, name, *args, **kwargs):
        """The one answer of both."""
        ours, theirs = (getattr(ledger, name)(*args, **kwargs) for ledger in (self.memory, self.redis))
        assert ours == theirs, name
        return ours

    @rule(run=RUNS, receiving=st.sampled_from([None, UploadId("u")]))
    def accept(self, run, receiving):
        self.both("accept", OWNER, run, receiving=receiving)

    @rule(target=held, run=RUNS, worker=st.sampled_from(WORKERS), dead=st.sampled_from(["", *WORKERS]))
    def claim(self, run, worker, dead):
        fence = new_fence()
        claim = self.both("claim", OWNER, run, fence=fence, worker=worker, dead_worker=dead)
        if claim.kind in {"ok", "spent"}:
            assert self.both("claim", OWNER, run, fence=fence, worker=worker, dead_worker=dead) == claim
        return run, fence, worker, claim.attempt

    @rule(holder=held)
    def beat(self, holder):
        run, fence, worker, attempt = holder
        self.both("beat", OWNER, run, fence=fence, worker=worker, attempt=attempt)

    @rule(holder=held, stage=st.sampled_from([None, *Stage]), back=st.integers(0, 2))
    def append(self, holder, stage, back):
        run, fence, _, attempt = holder
        self.both("append", OWNER, run, milestone(run, attempt=attempt), fence=fence, attempt=attempt, seq=max(1, next(self.seqs) - back), stage=stage)

    @rule(holder=held, percent=st.integers(0, 100))
    def progress(self, holder, percent):
        run, fence, _, _ = holder
        self.both("progress", OWNER, run, progress(run, percent), fence=fence)

    @rule(holder=held, overran=st.booleans())
    def release(self, holder, overran):
        run, fence, _, _ = holder
        self.both("release", OWNER, run, fence=fence, overran=overran)

    @rule(run=RUNS, state=ENDS)
    def finish(self, run, state):
        said = self.both("finish", OWNER, run, success(run) if state is State.SUCCEEDED else failure(run), state=state)
        assert not (said and (run.source_uuid, run.run) in self.ended)
        if said:
            self.ended.add((run.source_uuid, run.run))

    @rule(run=RUNS, dead=st.sampled_from(["", *WORKERS]))
    def requeue(self, run, dead):
        due = Due(OWNER, run.source_uuid, run.run, lane_of(run))
        if self.both("requeue", due, dead_worker=dead):
            assert not self.both("requeue", due, dead_worker=dead), "repeated, it changes nothing"

    @rule(lane=st.sampled_from([Lane.FAST, Lane.SLOW]))
    def pop(self, lane):
        if any(due.lane is lane for due in self.memory.queued()):
            self.both("pop", lane)

    @rule(lane=st.sampled_from([Lane.FAST, Lane.SLOW]))
    def wake(self, lane):
        assert not self.both("wake", OWNER, lane), "every end gives its turn on"

    @rule(run=RUNS)
    def forget(self, run):
        self.both("forget", OWNER, run.source_uuid)
        self.seen.pop(run.source_uuid, None)

    @rule(channel=st.sampled_from(CHANNELS), explicit=st.booleans(), said=REGISTRATIONS)
    def register(self, channel, explicit, said):
        self.both("register", OWNER, channel, explicit=explicit, **(said if explicit else {}))

    @rule(channel=st.sampled_from(CHANNELS), offset=st.integers(0, 12), epoch=st.integers(0, 2))
    def told(self, channel, offset, epoch):
        for ledger in (self.memory, self.redis):
            state = ledger.state(OWNER, channel)
            epochs = [end.epoch for end in (*state.past, state.last)] if state else ["unknown"]
            ledger.told(OWNER, channel, Position(epochs[epoch % len(epochs)], offset))

    @rule()
    def write(self):
        """What is said until here is on disk."""
        self.written = [(ledger, ledger.written()) for ledger in (self.memory, self.redis)]
        self.known = self.seen.copy(), self.ended.copy(), self.passed

    @rule(lost=st.booleans())
    def restart(self, lost):
        """With all that was said, or without the last of it."""
        if not lost:
            self.write()
        for ledger, written in self.written:
            ledger.restart(written)
        self.seen, self.ended = self.known[0].copy(), self.known[1].copy()
        self.redis.pass_time(self.passed - self.known[2])  # memory's clock goes on by itself

    @rule(channel=st.sampled_from(CHANNELS), seconds=st.sampled_from([0, 500]))
    def receiving(self, channel, seconds):
        self.both("receiving", OWNER, channel, UploadId("u"), seconds=seconds)

    @rule(seconds=st.sampled_from(STEPS))
    def pass_time(self, seconds):
        self.both("pass_time", seconds)
        self.passed += seconds

    @invariant()
    def both_tell_the_same_of_each_run_and_states_move_along_the_edges(self):
        for source in SOURCES:
            found = self.both("record", OWNER, source)
            timelines = [[(m.what, m.attempt) for m in ledger.timeline(OWNER, source, found.run if found else 1)] for ledger in (self.memory, self.redis)]
            assert timelines[0] == timelines[1]
            before, self.seen[source] = self.seen.get(source), found
            if before is None or found is None:
                continue
            assert found.run >= before.run
            if found.run == before.run:
                assert found.state == before.state or found.state in EDGES[before.state]
                assert found.progress >= before.progress

    @invariant()
    def the_same_is_open_at_work_and_enqueued(self):
        for source in SOURCES:
            self.both("place", OWNER, source)
        for name in ("due", "running", "queued", "queueing"):
            ours, theirs = (getattr(ledger, name)(**({"limit": 99} if name == "due" else {})) for ledger in (self.memory, self.redis))
            assert (ours if name == "queued" else sorted(map(str, ours))) == (theirs if name == "queued" else sorted(map(str, theirs))), name

    @invariant()
    def the_channels_read_alike_without_a_gap_and_each_run_ends_once(self):
        ends = []
        for channel in CHANNELS:
            states = [ledger.state(OWNER, channel) for ledger in (self.memory, self.redis)]
            ours, theirs = (s and (s._replace(epoch="", past=(), began=None), [end.offset for end in s.past]) for s in states)
            assert ours == theirs
            told = [(sorted(ledger.sources(OWNER, channel)), ledger.ends(OWNER, channel)) for ledger in (self.memory, self.redis)]
            assert told[0] == told[1]
            latest = [[each.split(b" ")[0] for each in ledger.latest_progress(OWNER, channel)] for ledger in (self.memory, self.redis)]
            assert sorted(latest[0]) == sorted(latest[1])
            read = [ledger.read(OWNER, channel, after=0) for ledger in (self.memory, self.redis)]
            bodies = [[json.loads(body) for _, body in milestones] for milestones in read]
            for state, milestones, events in zip(states, read, bodies, strict=True):
                assert [offset for offset, _ in milestones] == list(range(state.first if state else 1, (state.head if state else 0) + 1))
                assert [event["event-id"] for event in events] == [f"{state.epoch_of(offset)}:{offset}" for offset, _ in milestones]
            batches = [[(e["done"], e["failed"], e["total"], e["percent"]) for e in events if e["event"] == "batch"] for events in bodies]
            assert batches[0] == batches[1]
            stories = [[(e["event"], e.get("source-uuid"), e.get("run"), e.get("attempt")) for e in events] for events in bodies]
            assert stories[0] == stories[1]
            ends += [(source, run) for event, source, run, _ in stories[0] if event in {"source.succeeded", "source.failed"}]
            for source in SOURCES:
                runs = [run for _, of, run, _ in stories[0] if of == source]
                assert runs == sorted(runs)
        assert len(ends) == len(set(ends))


@pytest.mark.timeout(300)
def test_memory_and_redis_give_the_same_answers(valkey):
    class Model(LedgerModel):
        server = valkey

    # Not shrunk: that would take minutes, and the steps of a failure are few enough to read.
    phases = (Phase.explicit, Phase.generate)
    run_state_machine_as_test(
        Model,
        settings=settings(max_examples=50, stateful_step_count=40, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck)),
    )
