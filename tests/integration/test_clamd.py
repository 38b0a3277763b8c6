"""The scanner, on Debian's clamd where it is installed, and on one that says anything."""

import os
import zipfile

import pytest

from app.adapters.clamd import Clamd
from app.adapters.memory import MemoryObjectStore
from app.adapters.memory_ledger import MemoryLedger, MemoryState
from app.domain.errors import ProcessingFailed, Unavailable
from app.domain.layout import object_key
from app.domain.source import State
from app.protocol import inbox
from app.protocol.outcome import outcome
from tests.integration.clamav import NAME, STREAM_BYTES, VIRUS, NotInstalled, RealClamd, ScriptedClamd
from tests.ports import free_port
from tests.unit.doubles import ADA, SOURCE, a_record, announcer
from tests.unit.pipeline.stage import a_context
from worker.isolation.inline import Inline
from worker.pipeline.run import Parts, process, scanned
from worker.pipeline.stages.scan import Scan


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    try:
        clamd = RealClamd(tmp_path_factory.mktemp("clamav"))
    except NotInstalled as error:
        if os.environ.get("REQUIRE_CLAMD") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with clamd:
        yield Clamd(clamd.url, timeout_seconds=60)


@pytest.fixture
def file(tmp_path):
    def make(body):
        (tmp_path / "file").write_bytes(body)
        return tmp_path / "file"

    return make


def scan(clamd, path, alive=lambda _: None):
    return clamd.scan(path, alive)


def scripted(answer):
    return ScriptedClamd(answer if callable(answer) else lambda _: answer)


# ------------------------------------------------------------------------------------------------ the real one


def test_what_is_clean_passes(real, file):
    assert scan(real, file(b"words" * 100_000)) is None


def test_a_virus_has_its_name(real, file):
    assert scan(real, file(b"before" + VIRUS + b"after")) == NAME


def test_a_virus_in_an_archive_is_found(real, file):
    path = file(b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"x" * 1000 + VIRUS)
    assert scan(real, path) == NAME


def test_what_it_gives_up_on_is_not_clean(real, file):
    path = file(b"")
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(50):
            archive.writestr(str(number), str(number) * 50)
    with pytest.raises(ProcessingFailed) as failure:
        scan(real, path)
    assert failure.value.code == "bomb"


def test_what_is_longer_than_it_takes_is_not_clean(real, file):
    with pytest.raises(ProcessingFailed) as failure:
        scan(real, file(bytes(4 * STREAM_BYTES)))
    assert failure.value.code == "unscanned"


# ------------------------------------------------------------------------------------------------ any


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 1_000_000])
def test_every_byte_is_sent_once(file, size):
    seen, told = [], []
    with scripted(lambda body: seen.append(body) or b"stream: OK\0") as clamd:
        body = os.urandom(size)
        assert scan(Clamd(clamd.url, timeout_seconds=30), file(body), told.append) is None
    assert seen == [body]
    assert told == sorted(told)
    assert not size or told[-1] == size


@pytest.mark.parametrize("answer", [b"", b"stream: ", b"\0", b"stream: Can't allocate memory ERROR\0", b"OK ish\0", b"x" * 10_000])
def test_without_a_verdict_nothing_is_clean(file, answer):
    with scripted(answer) as clamd, pytest.raises(Unavailable) as error:
        scan(Clamd(clamd.url, timeout_seconds=30), file(b"x"))
    assert error.value.code == "scanner_unavailable"


def test_a_verdict_that_does_not_come_is_none(file):
    with ScriptedClamd(lambda _: b"stream: OK\0") as clamd:
        clamd.verdict = lambda _: b"stream"  # and closes: so the end comes before the time
        with pytest.raises(Unavailable):
            scan(Clamd(clamd.url, timeout_seconds=0), file(b"x"))


def test_nobody_there_is_no_verdict(file, tmp_path):
    for url in (f"tcp://127.0.0.1:{free_port()}", f"unix://{tmp_path}/absent"):
        with pytest.raises(Unavailable):
            scan(Clamd(url, timeout_seconds=30), file(b"x"))


def test_a_verdict_in_the_middle_of_the_stream_counts(file):
    with ScriptedClamd(lambda _: b"INSTREAM size limit exceeded. ERROR\0") as clamd:
        clamd.stops_reading_at = 100_000
        with pytest.raises((ProcessingFailed, Unavailable)) as failure:
            scan(Clamd(clamd.url, timeout_seconds=30), file(bytes(20 << 20)))
    assert failure.value.code in {"unscanned", "scanner_unavailable"}


@pytest.mark.parametrize("url", ["clamd", "http://h:1", "tcp://", "unix://", "unix://host/path"])
def test_an_address_that_makes_no_sense_is_refused(url):
    with pytest.raises(ValueError, match="neither"):
        Clamd(url, timeout_seconds=1)


def test_what_stops_the_run_stops_the_scan(file):
    class Stopped(Exception):
        pass

    def stop(_):
        raise Stopped

    with scripted(b"stream: OK\0") as clamd, pytest.raises(Stopped):
        scan(Clamd(clamd.url, timeout_seconds=30), file(b"x"), stop)


# ------------------------------------------------------------------------------------------------ in a run


class Says:
    def __init__(self, verdict):
        self.verdict = verdict

    def scan(self, path, alive):
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


@pytest.fixture
def house(tmp_path):
    """A worker with a scanner, and one source that waits."""
    store, state, record = MemoryObjectStore(), MemoryState(), a_record(filename="a.txt")
    store.put(object_key(ADA, record.upload), b"abc")
    assert inbox.create(store, ADA, record)
    ledger = MemoryLedger(state)
    ledger.accept(ADA, record)

    def work(verdict):
        process(Parts(store, ledger, None, announcer(), tmp_path, 1 << 30, 30, parser=Inline(), stages=scanned(Says(verdict))), ADA, SOURCE)
        return record, store

    return work


def test_what_is_infected_ends_and_its_bytes_are_gone(house):
    record, store = house("Some.Virus")
    found = outcome(store, ADA, SOURCE).result
    assert (found.state, found.code, found.artifacts) == (State.FAILED, "infected", {})
    assert store.stat(object_key(ADA, record.upload)) is None
    assert inbox.read(store, ADA, SOURCE) is None


def test_a_death_before_the_bytes_are_gone_leaves_them_to_the_next(house, monkeypatch):
    """The commit is first: a run that finds no bytes would end otherwise."""

    class Died(BaseException):
        pass

    def die(*_):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(MemoryObjectStore, "delete", lambda self, keys: die() if any(key.startswith("objects/") for key in keys) else None)
        with pytest.raises(Died):
            house("Some.Virus")
    record, store = house(None)
    assert outcome(store, ADA, SOURCE).result.code == "infected"
    assert store.stat(object_key(ADA, record.upload)) is None


def test_without_a_verdict_the_run_is_given_back(house):
    _, store = house(Unavailable("scanner_unavailable"))
    assert outcome(store, ADA, SOURCE).result is None
    assert inbox.read(store, ADA, SOURCE) is not None
    house(None)
    assert outcome(store, ADA, SOURCE).result.state is State.SUCCEEDED


def test_the_stage_tells_and_names_no_virus_to_the_client(tmp_path):
    context = a_context(tmp_path, b"abc")
    Scan(Says(None)).run(context)
    assert [event.stage for event in context.told.milestones] == ["scan"]
    with pytest.raises(ProcessingFailed) as failure:
        Scan(Says("Some.Virus")).run(context)
    assert (failure.value.code, failure.value.message) == ("infected", "File is infected")


def test_a_scanner_comes_before_everything_that_reads():
    stages = [step.stage for step in scanned(Says(None))]
    assert stages == ["fetch", "guard", "sniff", "scan", "checksum", "extract", "thumbnail", "store"]
